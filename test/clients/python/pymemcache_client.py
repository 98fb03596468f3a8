"""Uses memcached by pymemcache."""

import pymemcache
import told
from told import value, want

client = pymemcache.Client((told.host, told.port), default_noreply=False)
client.version()
told.start()

want("set", client.set("hush:py:k", value, expire=60), True)
want("get", client.get("hush:py:k"), value.encode())
want("get nothing", client.get("hush:py:nothing"), None)
want("get many", len(client.get_many(["hush:py:k", "hush:py:nothing", "hush:py:else"])), 1)
big = value * (300_000 // len(value))
want("set much", client.set("hush:py:big", big), True)
want("get much", client.get("hush:py:big"), big.encode())
# Nobody waits for the answer of these, and there is none.
client.set("hush:py:unanswered", value, noreply=True)
client.set_many({"hush:py:a": value, "hush:py:b": value}, noreply=True)
want("get after those", client.get("hush:py:unanswered"), value.encode())
want("set many", client.set_many({"hush:py:a": value, "hush:py:b": value}, noreply=False), [])

want("add what is there", client.add("hush:py:k", value), False)
want("replace", client.replace("hush:py:k", value), True)
want("append", client.append("hush:py:k", value), True)
want("prepend", client.prepend("hush:py:k", value), True)
_, cas = client.gets("hush:py:k")
want("compare and swap", client.cas("hush:py:k", "5", cas), True)
want("compare again", client.cas("hush:py:k", "6", cas), False)
want("increment", client.incr("hush:py:k", 2), 7)
want("decrement", client.decr("hush:py:k", 1), 6)
want("touch", client.touch("hush:py:k", 60), True)
try:
    client.incr("hush:py:big", 1)
    raise SystemExit("no error")
except pymemcache.exceptions.MemcacheClientError as error:
    want("increment text", b"non-numeric" in error.args[0], True)
want("delete", client.delete("hush:py:k"), True)
want("delete nothing", client.delete("hush:py:k"), False)
client.quit()
