"""Uses RabbitMQ by pika."""

import pika
import told
from told import value, want

credentials = pika.PlainCredentials(told.username, told.password)
connection = pika.BlockingConnection(pika.ConnectionParameters(told.host, told.port, credentials=credentials))
channel = connection.channel()
told.start()

channel.exchange_declare("py.shop", "topic")
channel.queue_declare("py.orders")
channel.queue_bind("py.orders", "py.shop", "order.#")
channel.confirm_delivery()


def publish(channel, exchange, key, body, headers=None):
    channel.basic_publish(exchange, key, body, pika.BasicProperties(headers=headers))


publish(channel, "py.shop", "order.new", value, {"traceparent": told.traceparent})
publish(channel, "py.shop", "order.paid", value)
publish(channel, "", "py.orders", bytes(300_000))  # several frames

# One by itself, and none from an empty queue.
method, _, body = channel.basic_get("py.orders")
want("got", body.decode(), value)
channel.basic_ack(method.delivery_tag)
channel.queue_declare("py.empty")
want("got nothing", channel.basic_get("py.empty", auto_ack=True)[0], None)

# The rest delivered, on a channel of its own.
consumer = connection.channel()
consumer.basic_qos(prefetch_count=1)
seen = 0
for method, _, body in consumer.consume("py.orders"):
    seen += 1
    if seen == 3:
        consumer.basic_reject(method.delivery_tag, requeue=False)
        break
    consumer.basic_ack(method.delivery_tag)
    if seen == 2:
        publish(channel, "py.shop", "order.more", value, {"traceparent": told.traceparent})
consumer.cancel()
consumer.close()

# What the server denies costs the channel.
publisher = connection.channel()
publisher.confirm_delivery()
try:
    publisher.basic_publish("py.shop", "nobody", value, mandatory=True)
    raise SystemExit("no error")
except pika.exceptions.UnroutableError as error:
    want("returned", error.messages[0].method.reply_code, 312)
try:
    publisher.queue_declare("py.nothing", passive=True)
    raise SystemExit("no error")
except pika.exceptions.ChannelClosedByBroker as error:
    want("refused", error.reply_code, 404)
publisher = connection.channel()
publisher.confirm_delivery()
try:
    publisher.basic_publish("py.nothing", "key", value)
    raise SystemExit("no error")
except pika.exceptions.ChannelClosedByBroker as error:
    want("refused", error.reply_code, 404)
connection.close()
