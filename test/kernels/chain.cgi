#!/bin/sh
# A CGI program: becomes a client of the server behind this one. The pause is for
# user space, which must have seen the client before the kernel takes its birth
# as evidence of anything.
printf 'Content-Type: text/plain\r\n\r\n'
mkfifo "/tmp/chain.$$"
{
	rm "/tmp/chain.$$"
	sleep 1
	printf 'GET /bb/chain HTTP/1.0\r\nHost: 127.0.0.1:8006\r\n\r\n'
} >"/tmp/chain.$$" &
exec /bin/busybox nc 127.0.0.1 8006 <"/tmp/chain.$$"
