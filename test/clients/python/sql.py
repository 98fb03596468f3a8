"""What the SQL clients in Python share: the workload and the gate.

$WORKLOAD is a file of lines, each a verb, a statement with ? for parameters and
the parameters, separated by tabs; see ../../sql_workload_test.go. $GATE is a
FIFO: opening it says that the connections made before are ready, and reading
its end means go.
"""

import os
import sys


def parameter(text):
    return int(text) if text.isdigit() else text


def workload():
    with open(os.environ["WORKLOAD"], encoding="utf-8") as lines:
        for line in lines:
            verb, statement, *rest = line.rstrip("\n").split("\t")
            yield verb, statement, [parameter(text) for text in rest]


def early():
    """The statement that is prepared before the gate."""
    return next(entry for entry in workload() if entry[0] == "early")


def wait():
    with open(os.environ["GATE"], encoding="utf-8") as gate:
        gate.read()


def hosts():
    """Where the server is: by TCP, and by unix socket."""
    return ["127.0.0.1", os.environ["SOCKET"]]


def fail(why):
    sys.exit(why)
