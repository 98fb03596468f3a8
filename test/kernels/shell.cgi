#!/bin/sh
# A CGI program that leaves its request to a command of a command, as system(3)
# and scripts do: neither this shell nor the next one sends anything itself. The
# pause is that of chain.cgi.
printf 'Content-Type: text/plain\r\n\r\n'
sh -c '{ sleep 1; printf "GET /bb/shell HTTP/1.0\r\nHost: 127.0.0.1:8006\r\n\r\n"; } | nc 127.0.0.1 8006; :'
