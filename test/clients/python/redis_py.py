"""Uses Redis by redis-py."""

import redis
import told
from told import value, want

client = redis.Redis(told.host, told.port, password=told.password, decode_responses=True)
client.ping()
told.start()

# Keys.
client.set("hush:py:k", value, ex=60)
want("get", client.get("hush:py:k"), value)
want("get nothing", client.get("hush:py:nothing"), None)
big = value * (300_000 // len(value))
client.set("hush:py:big", big)
want("get much", client.get("hush:py:big"), big)
want("delete", client.delete("hush:py:big", "hush:py:k"), 2)
want("count", client.incrby("hush:py:n", 5), 5)

# Collections.
want("push", client.rpush("hush:py:list", "a", "b", value), 3)
want("range", client.lrange("hush:py:list", 0, -1), ["a", "b", value])
client.hset("hush:py:hash", mapping={"one": value, "two": 2})
want("whole hash", client.hgetall("hush:py:hash")["one"], value)
want("many", len(client.mget([f"hush:py:many:{i}" for i in range(50)])), 50)
want("script", client.eval("return redis.call('incr', KEYS[1])", 1, "hush:py:n"), 6)
want("blocked", client.blpop("hush:py:empty", 0.1), None)

# Batches.
pipeline = client.pipeline(transaction=False)
for i in range(30):
    pipeline.set(f"hush:py:p:{i}", value)
    pipeline.get(f"hush:py:p:{i}")
want("pipeline", len(pipeline.execute()), 60)
pipeline = client.pipeline(transaction=True)
pipeline.incr("hush:py:n").incr("hush:py:n")
want("transaction", pipeline.execute(), [7, 8])

# Failures.
try:
    client.incr("hush:py:list")
    raise SystemExit("no error")
except redis.ResponseError as error:
    want("wrong type", str(error)[:9], "WRONGTYPE")
try:
    client.execute_command("nosuch", value)
    raise SystemExit("no error")
except redis.ResponseError as error:
    want("unknown command", str(error)[:15], "unknown command")
pipeline = client.pipeline(transaction=False).set("hush:py:k", 1).lpush("hush:py:k", 1).get("hush:py:k")
answers = pipeline.execute(raise_on_error=False)
want("error in a pipeline", isinstance(answers[1], redis.ResponseError), True)

# A channel.
subscription = client.pubsub()
subscription.subscribe("hush:py:channel")
want("subscribed", subscription.get_message(timeout=10)["type"], "subscribe")
for _ in range(3):
    want("publish", client.publish("hush:py:channel", value), 1)
    want("message", subscription.get_message(timeout=10)["data"], value)
subscription.unsubscribe()
want("unsubscribed", subscription.get_message(timeout=10)["type"], "unsubscribe")

third = redis.Redis(told.host, told.port, password=told.password, db=3, decode_responses=True)
third.set("hush:py:third", value)
want("get in 3", third.get("hush:py:third"), value)
