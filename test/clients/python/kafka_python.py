"""Uses Kafka by kafka-python."""

import kafka
import told
from told import value, want

topic = "py.orders"
server = f"{told.host}:{told.port}"
producer = kafka.KafkaProducer(bootstrap_servers=server, client_id="py", api_version=(2, 3, 0), linger_ms=50)
producer.partitions_for(topic)
told.start()


def publish(body, headers=(), to=topic):
    """Sends a record in a request of its own."""
    producer.send(to, body, headers=list(headers)).get(timeout=20)


publish(value.encode(), [("traceparent", told.traceparent.encode())])
publish(value.encode())
publish(bytes(300_000), to="py.big")
for i in range(20):
    producer.send(topic, f"{value}-{i}".encode())
producer.flush(20)
try:
    producer.send("py.refused", value.encode()).get(timeout=20)
    raise SystemExit("no error")
except kafka.errors.TopicAuthorizationFailedError:
    pass
producer.close()

consumer = kafka.KafkaConsumer(
    topic, bootstrap_servers=server, client_id="py", api_version=(2, 3, 0), group_id="py.workers",
    auto_offset_reset="earliest", enable_auto_commit=False, consumer_timeout_ms=20_000,
)
seen = 0
for _ in consumer:
    seen += 1
    if seen == 22:
        break
want("received", seen, 22)
consumer.commit()
consumer.close(autocommit=False)
