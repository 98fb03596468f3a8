"""Speaks memcached's meta commands, which no client library at hand does."""

import socket

import told
from told import value, want

connection = socket.create_connection((told.host, told.port))
answers = connection.makefile("rb")


def ask(command, *expected):
    connection.sendall(command)
    want(command[:20], tuple(answers.readline().split()[:1][0] for _ in expected), expected)


ask(b"mn\r\n", b"MN")
told.start()
data = value.encode()
ask(b"ms hush:meta:k %d T60\r\n%s\r\n" % (len(data), data), b"HD")
ask(b"mg hush:meta:k v t\r\n", b"VA", data)
ask(b"mg hush:meta:nothing v\r\n", b"EN")
ask(b"ms hush:meta:n 1\r\n5\r\n", b"HD")
ask(b"ma hush:meta:n v\r\n", b"VA", b"6")
ask(b"md hush:meta:n\r\n", b"HD")
ask(b"mg hush:meta:k v q\r\nmg hush:meta:nothing v q\r\nmn\r\n", b"VA", data, b"MN")
ask(b"mg\r\n", b"ERROR")
