package protocol

import "testing"

func TestKafkaJs(t *testing.T) {
	checkTalk(t, "kafka-js.talk",
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="till" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="till" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send order.events kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="order.events" messaging.client.id="till" messaging.destination.partition.id="1" messaging.kafka.offset="0"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="till" messaging.destination.partition.id="0" messaging.kafka.offset="3"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="till" messaging.destination.partition.id="0"`,
		`kafka: send refused kind=1 FAILED "TOPIC_AUTHORIZATION_FAILED" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="refused" messaging.client.id="till" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaJsgroup(t *testing.T) {
	checkTalk(t, "kafka-jsgroup.talk")
}

func TestKafkaJsread(t *testing.T) {
	checkTalk(t, "kafka-jsread.talk",
		`kafka: poll single messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.destination.name="single" messaging.client.id="till" messaging.destination.partition.id="0" messaging.batch.message_count="5"`,
	)
}

func TestKafkaPy(t *testing.T) {
	checkTalk(t, "kafka-py.talk",
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="desk" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="desk" messaging.destination.partition.id="0" messaging.batch.message_count="3"`,
		`kafka: send refused kind=1 FAILED "TOPIC_AUTHORIZATION_FAILED" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="refused" messaging.client.id="desk" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaPyread(t *testing.T) {
	checkTalk(t, "kafka-pyread.talk",
		`kafka: poll single messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.destination.name="single" messaging.client.id="desk" messaging.destination.partition.id="0" messaging.batch.message_count="4"`,
	)
}

func TestKafkaNames(t *testing.T) {
	checkTalk(t, "kafka-names.talk",
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="5"`,
		`kafka: send order.events kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="order.events" messaging.client.id="shop" messaging.destination.partition.id="1" messaging.kafka.offset="0"`,
		`kafka: send orders kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="orders" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send refused kind=1 FAILED "not for ?" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="refused" messaging.client.id="shop" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaNamesread(t *testing.T) {
	checkTalk(t, "kafka-namesread.talk",
		`kafka: poll single messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.destination.name="single" messaging.client.id="shop-reader" messaging.destination.partition.id="0" messaging.batch.message_count="6"`,
	)
}

func TestKafkaGzip(t *testing.T) {
	checkTalk(t, "kafka-gzip.talk",
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="5"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="1" messaging.kafka.offset="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 FAILED "not for ?" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaGzipread(t *testing.T) {
	checkTalk(t, "kafka-gzipread.talk",
		`kafka: poll messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.client.id="shop-reader" messaging.destination.partition.id="0" messaging.batch.message_count="6"`,
	)
}

func TestKafkaAcks(t *testing.T) {
	checkTalk(t, "kafka-acks.talk",
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0"`,
	)
}

func TestKafkaSasl(t *testing.T) {
	checkTalk(t, "kafka-sasl.talk",
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="5"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 FAILED "not for ?" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaDenied(t *testing.T) {
	checkTalk(t, "kafka-denied.talk",
		`kafka: SaslAuthenticate FAILED "connection closed before the answer" messaging.system="kafka" messaging.operation.name="SaslAuthenticate" messaging.client.id="shop" error.type="connection_closed"`,
	)
}

func TestKafkaOld(t *testing.T) {
	checkTalk(t, "kafka-old.talk",
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="5"`,
		`kafka: send orders kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="orders" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send order.events kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="order.events" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send refused kind=1 FAILED "TOPIC_AUTHORIZATION_FAILED" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="refused" messaging.client.id="shop" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaGo00(t *testing.T) {
	checkTalk(t, "kafka-go00.talk")
}

func TestKafkaGo01(t *testing.T) {
	checkTalk(t, "kafka-go01.talk",
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="5"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send kind=1 FAILED "not for ?" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.client.id="shop" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
}

func TestKafkaGo02(t *testing.T) {
	checkTalk(t, "kafka-go02.talk")
}

func TestKafkaGo03(t *testing.T) {
	checkTalk(t, "kafka-go03.talk")
}

func TestKafkaGo04(t *testing.T) {
	checkTalk(t, "kafka-go04.talk")
}

func TestKafkaGo05(t *testing.T) {
	checkTalk(t, "kafka-go05.talk")
}

func TestKafkaGo06(t *testing.T) {
	checkTalk(t, "kafka-go06.talk",
		`kafka: poll messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.client.id="shop-reader" messaging.destination.partition.id="0" messaging.batch.message_count="6"`,
	)
}
