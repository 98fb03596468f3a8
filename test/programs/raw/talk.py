"""A TCP client that sends exactly the bytes it is told, each time in one send.

Usage: talk.py COMMANDS ANSWERS, two pipes. A command is a line of JSON, and so is
the answer to it:

    {"do": "connect", "to": "host:port", "mss": N}    mss is optional
    {"do": "send", "bytes": hex}
    {"do": "read", "n": N}                            answers with {"bytes": hex}
    {"do": "close"}

Connections are numbered in the order of their connects, from 0; "on" says which
one is meant, the newest if it is missing. A failure is answered with {"error": …}.
"""

import json
import socket
import sys

connections = []


def connect(command):
    host, port = command["to"].rsplit(":", 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if command.get("mss"):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, command["mss"])
    s.settimeout(60)
    s.connect((host, int(port)))
    connections.append(s)
    return {}


def send(command):
    data = bytes.fromhex(command["bytes"])
    n = chosen(command).send(data)
    if n != len(data):
        raise OSError("%d of %d bytes were sent" % (n, len(data)))
    return {}


def read(command):
    data = b""
    while len(data) < command["n"]:
        more = chosen(command).recv(command["n"] - len(data))
        if not more:
            raise OSError("closed after %d bytes" % len(data))
        data += more
    return {"bytes": data.hex()}


def close(command):
    chosen(command).close()
    return {}


def chosen(command):
    return connections[command.get("on", -1)]


deeds = {"connect": connect, "send": send, "read": read, "close": close}

with open(sys.argv[1]) as commands, open(sys.argv[2], "w") as answers:
    for line in commands:
        command = json.loads(line)
        try:
            answer = deeds[command["do"]](command)
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
