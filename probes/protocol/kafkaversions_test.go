package protocol

import (
	"slices"
	"strings"
	"testing"
)

// TestKafkaVersions has every version of the requests of which something is read:
// each asks of the topics orders, which goes well, and bills, which is refused.
// What went well is told of messages only.
func TestKafkaVersions(t *testing.T) {
	for file, want := range map[string]map[string]int{
		"produce": {"send orders": 14, "send bills!": 14, "Metadata bills!": 1},
		"fetch":   {"poll orders": 19, "poll bills!": 19, "Metadata bills!": 1},
		"groups": { // the last by ids, which nothing explains here
			"commit bills!": 10, "commit!": 1, "OffsetFetch bills!": 2, "OffsetFetch!": 9, "FindCoordinator!": 7,
			"JoinGroup!": 10, "Heartbeat!": 5, "LeaveGroup!": 6, "SyncGroup!": 6, "ConsumerGroupHeartbeat!": 2,
			"TxnOffsetCommit bills!": 6, "TxnOffsetCommit!": 1, "DeleteGroups!": 4,
		},
		"helpers": { // ListOffsets from 1 on, and newer AddPartitionsToTxn refuses everything
			"ListOffsets bills!": 11, "Metadata bills!": 14, "SaslHandshake!": 2, "SaslAuthenticate!": 3,
			"CreateTopics bills!": 8, "DeleteTopics bills!": 7, "DeleteRecords bills!": 3, "CreatePartitions bills!": 4,
			"InitProducerId!": 6, "AddPartitionsToTxn bills!": 4, "AddPartitionsToTxn!": 2, "AddOffsetsToTxn!": 5, "EndTxn!": 6,
		},
	} {
		k := readTalk(t, "kafka-every-"+file+".talk")
		got, counts := k.play(RoleClient, whole, 0)
		told := make(map[string]int)
		for _, x := range got {
			told[tellShort(x)]++
			if text := tell(x); strings.Contains(text, "secret") || !kafkaGroupRight(text) || x.Failed && !strings.Contains(text, ` error.type="TOPIC_AUTHORIZATION_FAILED"`) {
				t.Error(text)
			}
		}
		for what, n := range want {
			if told[what] != n {
				t.Errorf("%s: %d of %s, want %d", file, told[what], what, n)
			}
		}
		if len(told) != len(want) {
			t.Errorf("%s: got %v, %s", file, told, counts)
		}
		k.checkHeads(t, file, tellAll(got))
	}
}

// kafkaGroupRight says whether what tells a group tells the right one.
func kafkaGroupRight(told string) bool {
	return !strings.Contains(told, "group.name=") || strings.Contains(told, ` messaging.consumer.group.name="g" `)
}

func tellShort(x *Exchange) string {
	short := strings.TrimSpace(x.Operation + " " + x.Target)
	if x.Failed {
		short += "!"
	}
	return short
}

// checkHeads captures less and less: what is told then is what was, but less of it.
func (k talk) checkHeads(t *testing.T, file string, want []string) {
	t.Helper()
	for head := 400; head >= 12; head -= 7 {
		got, _ := k.play(RoleClient, head, head%3)
		for _, x := range got {
			text := tell(x)
			same := func(w string) bool { return text == w || messagingLess(text, w) || tellsLess(text, w) }
			if strings.Contains(text, `error.type="connection_closed"`) {
				continue
			}
			if !slices.ContainsFunc(want, same) || x.Target == "bills" && !x.Failed {
				t.Fatalf("%s, heads of %d: %s", file, head, text)
			}
		}
	}
}

// Errors in the course of things are none, but for commits, which are lost.
func TestKafkaPassing(t *testing.T) {
	heartbeat := func(id int32, code int16) talk {
		return talk{
			{d: toServer, bytes: kafkaBytes(int16(12), int16(1), id, "c", "g", int32(1), "member")},
			{d: toClient, bytes: kafkaBytes(id, int32(0), code)},
		}
	}
	check(t, slices.Concat(heartbeat(1, 0), heartbeat(2, 27), heartbeat(3, 30)),
		`kafka: Heartbeat FAILED "GROUP_AUTHORIZATION_FAILED" messaging.system="kafka" messaging.operation.name="Heartbeat" `+
			`messaging.client.id="c" messaging.consumer.group.name="g" error.type="GROUP_AUTHORIZATION_FAILED"`)
}

// A member that waits for the others of its group when the connection ends has
// not failed.
func TestKafkaJoinUnanswered(t *testing.T) {
	check(t, talk{{d: toServer, bytes: kafkaBytes(int16(11), int16(0), int32(1), "c", "g", int32(1), "", "consumer", int32(0))}})
}

// Answers that were lost are not missing, and an answer after them is nobody's.
func TestKafkaLoss(t *testing.T) {
	send := func(id int32) []byte {
		return kafkaBytes(int16(0), int16(3), id, "c", int16(-1), int16(1), int32(100), int32(1), "t", int32(1), int32(0), kafkaRecordsField(kafkaBatch(0, "v", "")))
	}
	stored := func(id int32) []byte {
		return kafkaBytes(id, int32(1), "t", int32(1), int32(0), int16(0), int64(8), int64(-1), int32(0))
	}
	check(t, talk{
		{d: toServer, bytes: send(1)},
		{d: toServer, bytes: send(2)},
		{d: toClient, bytes: stored(9), after: 47},
		{d: toServer, bytes: send(3)},
		{d: toClient, bytes: stored(3)},
	}, "kafka: send t kind=1 "+kafkaSend+` messaging.destination.name="t" messaging.client.id="c" messaging.destination.partition.id="0" messaging.kafka.offset="8"`)
}

// Of several records the headers of all must be seen: here not of the last.
func TestKafkaContextBeyondCapture(t *testing.T) {
	short, long := kafkaBatch(0, "v", kafkaParent), kafkaBatch(1, strings.Repeat("v", 9000), kafkaParent)
	send := func(records []byte) talk {
		return talk{{d: toServer, bytes: kafkaBytes(int16(0), int16(3), int32(1), "c", int16(0), int16(0), int32(100), int32(1),
			"t", int32(1), int32(0), kafkaRecordsField(records))}}
	}
	for want, records := range map[Evidence][]byte{EvidenceHeader: short, EvidenceThread: slices.Concat(short, long)} {
		out, counts := send(records).play(RoleClient, 4096, 128)
		if len(out) != 1 || out[0].Trace.Evidence != want {
			t.Errorf("want %v, got %q, %s", want, tellAll(out), counts)
		}
	}
}

// ZooKeeper's messages have their length before them, too. A client that has no
// name is one of Kafka only if more speaks for that.
func TestKafkaIsNotZooKeeper(t *testing.T) {
	for name, data := range map[string][]byte{
		"connect":  kafkaBytes(int32(0), int64(0), int32(30000), int64(0), int32(16), make([]byte, 16), int8(0)),
		"again":    kafkaBytes(int32(0), int64(7), int32(30000), int64(0x100000abcdef), int32(16), make([]byte, 16), int8(0)),
		"first":    kafkaBytes(int32(1), int32(4), int32(11), []byte("/app/config"), int8(1)),
		"fetch":    kafkaBytes(int32(0x10002), int32(4), int32(19), []byte("/app/config/of/some"), int8(1)),
		"fetch 4":  kafkaBytes(int32(0x10004), int32(4), int32(26), []byte("/app/config/of/some/server"), int8(1)),
		"metadata": kafkaBytes(int32(0x30002), int32(4), int32(11), []byte("/app/config"), int8(1)),
		"ping":     kafkaBytes(int32(-2), int32(11)),
	} {
		if detectKafka(toServer, data, uint64(len(data))) {
			t.Errorf("%s: taken for Kafka", name)
		}
	}
	fetch := kafkaFetchOf(1, -1)
	nameless := kafkaBytes(fetch[4:12], int16(-1), fetch[15:])
	if !detectKafka(toServer, nameless, uint64(len(nameless))) {
		t.Error("a fetch request of a client without a name is not recognised")
	}
}

// TestKafkaTopics has requests and answers with several topics, a compressed
// batch, and one that is not to be acknowledged.
func TestKafkaTopics(t *testing.T) {
	checkTalk(t, "kafka-jstopics.talk",
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="web-shop" messaging.destination.partition.id="0" messaging.kafka.offset="0"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="web-shop" messaging.destination.partition.id="0" messaging.batch.message_count="2"`,
		`kafka: send orders kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="orders" messaging.client.id="web-shop" messaging.batch.message_count="2"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="web-shop" messaging.destination.partition.id="0" messaging.batch.message_count="3"`,
		`kafka: send single kind=1 messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="single" messaging.client.id="web-shop" messaging.destination.partition.id="0"`,
		`kafka: send refused kind=1 FAILED "TOPIC_AUTHORIZATION_FAILED" messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send" messaging.destination.name="refused" messaging.client.id="web-shop" messaging.destination.partition.id="0" error.type="TOPIC_AUTHORIZATION_FAILED"`,
	)
	checkTalk(t, "kafka-jstopicsread.talk",
		`kafka: poll orders messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.destination.name="orders" messaging.client.id="web-shop" messaging.batch.message_count="2"`,
		`kafka: poll single messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive" messaging.destination.name="single" messaging.client.id="web-shop" messaging.destination.partition.id="0" messaging.batch.message_count="7"`,
	)
}
