"""What a client is told, and when it starts; see ../clients.go."""

import os

host, port = os.environ["ADDRESS"].rsplit(":", 1)
port = int(port)
username = os.environ.get("USERNAME", "")
password = os.environ.get("PASSWORD", "")
value = os.environ.get("VALUE", "")
traceparent = os.environ.get("TRACEPARENT", "")


def start():
    """Says that it is ready by opening the FIFO $GATE, and waits for its end."""
    if os.environ.get("GATE"):
        with open(os.environ["GATE"], encoding="utf-8") as gate:
            gate.read()


def want(what, got, expected):
    if got != expected:
        raise SystemExit(f"{what}: got {got!r}, want {expected!r}")
