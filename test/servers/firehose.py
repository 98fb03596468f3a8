"""Prints what RabbitMQ says that it published and delivered, a line each.

RabbitMQ gives a copy of each message to the exchange amq.rabbitmq.trace, if a
virtual host is traced: with the routing key publish.EXCHANGE when it came in,
and deliver.QUEUE when it went out to a consumer. The destination is printed as
the messaging conventions name it: the exchange, the key and the queue, without
what is not there, and the name of a queue that is all three only once.
"""

import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, "amq.rabbitmq.trace", "#")
print("listening", flush=True)
for method, properties, _ in channel.consume(queue, auto_ack=True):
    what, _, where = method.routing_key.partition(".")
    key = (properties.headers.get("routing_keys") or [""])[0]
    parts = [properties.headers.get("exchange_name"), key]
    if what == "deliver" and where != key:
        parts.append(where)
    print(what, ":".join(part for part in parts if part), flush=True)
