"""Uses memcached by libmemcached, with the argument binary by its other protocol."""

import sys

import pylibmc
import told
from told import value, want

client = pylibmc.Client([f"{told.host}:{told.port}"], binary=sys.argv[1:] == ["binary"])
client.get("hush:lib:nothing")
told.start()

want("set", client.set("hush:lib:k", value), True)
want("get", client.get("hush:lib:k"), value)
want("get nothing", client.get("hush:lib:nothing"), None)
want("get many", len(client.get_multi(["hush:lib:k", "hush:lib:nothing"])), 1)
want("set number", client.set("hush:lib:n", "5"), True)
want("increment", client.incr("hush:lib:n", 2), 7)
want("delete", client.delete("hush:lib:k"), True)
