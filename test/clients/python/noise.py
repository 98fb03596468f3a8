"""Exchanges bytes without meaning with whoever listens at $ADDRESS: many turns on
many connections, of sizes of all kinds, the same in every run."""

import random
import socket

import told

source = random.Random(1)
for _ in range(100):
    with socket.create_connection((told.host, told.port)) as connection:
        for _ in range(20):
            size = source.choice([1, 4, 5, 8, 16, 24, 100, 1000, 5000])
            # Half of them begin as something could: with a small length, or text.
            start = source.choice([b"", b"\x00\x00\x00", bytes([size & 255, 0, 0]), b"*", b"get ", b"Q\x00\x00\x00"])
            connection.sendall(start + source.randbytes(size))
            connection.recv(1 << 16)
