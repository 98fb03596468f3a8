package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

// kafkaBytes makes a message of numbers, whose Go types say how long they are, of
// strings of old, and of bytes as they are.
func kafkaBytes(fields ...any) []byte {
	out := make([]byte, 4)
	for _, field := range fields {
		switch v := field.(type) {
		case int8:
			out = append(out, byte(v))
		case int16:
			out = binary.BigEndian.AppendUint16(out, uint16(v))
		case int32:
			out = binary.BigEndian.AppendUint32(out, uint32(v))
		case int64:
			out = binary.BigEndian.AppendUint64(out, uint64(v))
		case string:
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(v))), v...)
		case []byte:
			out = append(out, v...)
		default:
			panic("unknown field")
		}
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// kafkaBatch makes a record batch at that offset, of records with those trace
// contexts, which none have if there is none.
func kafkaBatch(offset int64, value string, traces ...string) []byte {
	var records []byte
	for i, trace := range traces {
		r := []byte{0, 0}
		r = binary.AppendVarint(r, int64(i))
		r = binary.AppendVarint(r, -1)
		r = append(binary.AppendVarint(r, int64(len(value))), value...)
		if trace == "" {
			r = binary.AppendVarint(r, 0)
		} else {
			r = binary.AppendVarint(r, 2)
			r = append(r, 2, 'a', 1) // header a, null
			r = append(binary.AppendVarint(r, 11), "traceparent"...)
			r = append(binary.AppendVarint(r, int64(len(trace))), trace...)
		}
		records = append(binary.AppendVarint(records, int64(len(r))), r...)
	}
	n := int32(len(traces))
	body := kafkaBytes(int32(0), int8(2), int32(0), int16(0), n-1, int64(0), int64(0), int64(-1), int16(-1), int32(-1), n, records)[4:]
	return kafkaBytes(offset, int32(len(body)), body)[4:]
}

// kafkaRecordsField is a batch as a field of records of old.
func kafkaRecordsField(batch []byte) []byte { return kafkaBytes(int32(len(batch)), batch)[4:] }

const (
	kafkaParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	kafkaOther  = "00-0af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
	kafkaSend   = `messaging.system="kafka" messaging.operation.name="send" messaging.operation.type="send"`
	kafkaPoll   = `messaging.system="kafka" messaging.operation.name="poll" messaging.operation.type="receive"`
)

// kafkaFetchOf asks for messages in version 11, kafkaFetchedOf brings them.
func kafkaFetchOf(id, replica int32) []byte {
	return kafkaBytes(int16(1), int16(11), id, "c", replica, int32(500), int32(1), int32(1<<20), int8(0), int32(0), int32(-1), int32(0), int32(0), "")
}

func kafkaFetchedOf(id int32, topics ...[]byte) []byte {
	all := slices.Concat(topics...)
	return kafkaBytes(id, int32(0), int16(0), int32(0), int32(len(topics)), all)
}

func kafkaPartOf(topic string, partition int32, code int16, batch []byte) []byte {
	return kafkaBytes(topic, int32(1), partition, code, int64(9), int64(9), int64(0), int32(-1), int32(-1), kafkaRecordsField(batch))[4:]
}

// The context in the headers of the records is the parent, if it is the only one.
func TestKafkaContext(t *testing.T) {
	got, _ := readTalk(t, "kafka-go01.talk").play(RoleClient, whole, 0)
	var evidence []Evidence
	for _, x := range got {
		evidence = append(evidence, x.Trace.Evidence)
		if x.Trace.Evidence == EvidenceHeader && hex.EncodeToString(x.Trace.ParentID[:]) != kafkaParent[36:52] {
			t.Errorf("%s has another parent: %x", tell(x), x.Trace.ParentID)
		}
	}
	own := EvidenceThread // of its sender, as the headers differ or have none
	if want := []Evidence{EvidenceHeader, EvidenceHeader, own, own, own, own, own}; !slices.Equal(evidence, want) {
		t.Errorf("got %v, want %v", evidence, want)
	}
	for name, c := range map[string]struct {
		batch []byte
		want  Evidence
	}{
		"one":          {kafkaBatch(0, "v", kafkaParent), EvidenceHeader},
		"same":         {kafkaBatch(0, "v", kafkaParent, kafkaParent), EvidenceHeader},
		"two":          {kafkaBatch(0, "v", kafkaParent, kafkaOther), EvidenceNone},
		"one has none": {kafkaBatch(0, "v", kafkaParent, ""), EvidenceNone},
		"two batches":  {append(kafkaBatch(0, "v", kafkaParent), kafkaBatch(1, "v", kafkaOther)...), EvidenceNone},
		"broken":       {kafkaBatch(0, "v", "00-nonsense"), EvidenceNone},
		"long":         {kafkaBatch(0, strings.Repeat("v", 5000), kafkaParent), EvidenceNone}, // beyond what is captured
	} {
		s, out := kafkaListener()
		s.Segment(&Segment{Connection: 1, PID: 3, Role: RoleClient, ToServer: true, Size: uint64(len(kafkaFetchOf(1, -1))), Head: kafkaFetchOf(1, -1), Trace: Trace{SpanID: [8]byte{1}, TraceID: [16]byte{1}, Sampled: true}})
		answer := kafkaFetchedOf(1, kafkaPartOf("t", 0, 0, c.batch))
		s.Segment(&Segment{Connection: 1, PID: 3, Role: RoleClient, Size: uint64(len(answer)), Head: answer[:min(len(answer), 4096)]})
		if len(*out) != 1 || (*out)[0].Trace.Evidence != c.want {
			t.Errorf("%s: got %v", name, *out)
		}
	}
}

func kafkaListener() (*Conversations, *[]Exchange) {
	var out []Exchange
	return New(Options{
		Sampler: traceparent.Sampler{Kind: traceparent.KindParentBased, Bound: traceparent.BoundAll},
		Emit:    func(x *Exchange) { out = append(out, *x) },
	}), &out
}

// What a client learns on one connection names what it does on others.
func TestKafkaConnections(t *testing.T) {
	s, out := kafkaListener()
	for n, name := range []string{"kafka-go00.talk", "kafka-go02.talk", "kafka-go01.talk", "kafka-go03.talk", "kafka-go04.talk", "kafka-go05.talk", "kafka-go06.talk"} {
		var position [2]uint64
		for i, p := range readTalk(t, name) {
			s.Segment(&Segment{
				Connection: uint64(n + 1), PID: 10, Role: RoleClient, ToServer: p.d == toServer, Time: at(i), Position: position[p.d],
				Size: uint64(len(p.bytes)), Head: p.bytes, Trace: Trace{SpanID: [8]byte{byte(i), byte(n)}, TraceID: [16]byte{1}, Sampled: true},
			})
			position[p.d] += uint64(len(p.bytes))
		}
	}
	var told []string
	for _, x := range *out {
		told = append(told, x.Operation+" "+x.Target)
	}
	slices.Sort(told)
	want := []string{"poll single", "send order.events", "send orders", "send refused", "send single", "send single", "send single", "send single"}
	if !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	if last := tell(&(*out)[len(*out)-1]); !strings.Contains(last, `messaging.consumer.group.name="workers"`) {
		t.Error(last)
	}
}

// A client that is in two groups has none that could be told.
func TestKafkaGroups(t *testing.T) {
	heartbeat := func(id int32, group string) []byte {
		return kafkaBytes(int16(12), int16(1), id, "c", group, int32(1), "member")
	}
	for _, c := range []struct {
		groups []string
		want   string
	}{{[]string{"a", "a"}, "a"}, {[]string{"a", "b"}, ""}, {nil, ""}} {
		s, out := kafkaListener()
		send := func(connection uint64, server bool, b []byte) {
			s.Segment(&Segment{Connection: connection, PID: 3, Role: RoleClient, ToServer: server, Size: uint64(len(b)), Head: b, Trace: Trace{SpanID: [8]byte{1}, Sampled: true}})
		}
		for i, group := range c.groups {
			send(uint64(i+2), true, heartbeat(int32(i), group))
		}
		send(1, true, kafkaFetchOf(1, -1))
		send(1, false, kafkaFetchedOf(1, kafkaPartOf("t", 0, 0, kafkaBatch(5, "v", ""))))
		want := "kafka: poll t " + kafkaPoll + ` messaging.destination.name="t" messaging.client.id="c" messaging.destination.partition.id="0"`
		if c.want != "" {
			want += ` messaging.consumer.group.name="` + c.want + `"`
		}
		want += ` messaging.kafka.offset="5"`
		if len(*out) != 1 || tell(&(*out)[0]) != want {
			t.Errorf("%v: got %v, want %s", c.groups, *out, want)
		}
	}
}

func TestKafkaFetch(t *testing.T) {
	poll := func(topic, rest string) string {
		return "kafka: poll " + topic + " " + kafkaPoll + ` messaging.destination.name="` + topic + `" messaging.client.id="c"` + rest
	}
	k := talk{
		{d: toServer, bytes: kafkaFetchOf(1, -1)},
		{d: toClient, bytes: kafkaFetchedOf(1)}, // nothing in time
		{d: toServer, bytes: kafkaFetchOf(2, -1)},
		{d: toClient, bytes: kafkaFetchedOf(2, kafkaPartOf("a", 3, 0, kafkaBatch(7, "v", "", "")), kafkaPartOf("b", 1, 0, nil), kafkaPartOf("c", 4, 0, kafkaBatch(9, "v", "")))},
		{d: toServer, bytes: kafkaFetchOf(3, -1)},
		{d: toClient, bytes: kafkaFetchedOf(3, kafkaPartOf("a", 3, 1, nil))},
		{d: toServer, bytes: kafkaFetchOf(4, 2)}, // another server's
		{d: toClient, bytes: kafkaFetchedOf(4, kafkaPartOf("a", 3, 0, kafkaBatch(7, "v", "")))},
		{d: toServer, bytes: kafkaFetchOf(5, -1)}, // never answered
	}
	check(t, k,
		poll("c", ` messaging.destination.partition.id="4" messaging.kafka.offset="9"`),
		poll("a", ` messaging.destination.partition.id="3" messaging.batch.message_count="2"`),
		`kafka: poll a FAILED "OFFSET_OUT_OF_RANGE" `+kafkaPoll+` messaging.destination.name="a" messaging.client.id="c" messaging.destination.partition.id="3" error.type="OFFSET_OUT_OF_RANGE"`,
	)
	got, _ := k.play(RoleClient, whole, 0)
	if got[0].Trace.SpanID == got[1].Trace.SpanID || got[0].Trace.ParentID != got[1].Trace.ParentID || !got[0].Start.Equal(got[1].Start) {
		t.Errorf("two topics of one answer: %v and %v", got[0].Trace, got[1].Trace)
	}
}

// A fetch by a server, in the version that says so at its end.
func TestKafkaReplicates(t *testing.T) {
	id := make([]byte, 16)
	fetch := func(tags []byte) kafkaRequest {
		b := kafkaBytes(int16(1), int16(17), int32(1), "c", int8(0),
			int32(500), int32(1), int32(1), int8(0), int32(0), int32(0),
			int8(2), id, int8(2), make([]byte, 32), int8(0), int8(0), // a topic with a partition
			int8(2), id, int8(2), int32(0), int8(0), // one forgotten
			int8(1), tags)
		q, ok := readKafka(b)
		if !ok {
			t.Fatal("not read")
		}
		return q
	}
	leader := fetch([]byte{1, 1, 13, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	client := fetch([]byte{0})
	if !leader.replicates() || client.replicates() {
		t.Errorf("server %v, client %v", leader.replicates(), client.replicates())
	}
}

// What is newer than known is called what it is, and nothing is said of its fields.
func TestKafkaNewer(t *testing.T) {
	check(t, talk{
		{d: toServer, bytes: kafkaBytes(int16(0), int16(15), int32(1), "c", int8(0), []byte("whatever"))},
		{d: toClient, bytes: kafkaBytes(int32(1), int8(0), []byte("whatever"))},
		{d: toServer, bytes: kafkaBytes(int16(1), int16(20), int32(2), "c", int8(0), []byte("whatever"))},
		{d: toClient, bytes: kafkaBytes(int32(2), int8(0), []byte("whatever"))},
	}, "kafka: send kind=1 "+kafkaSend+` messaging.client.id="c"`)
}

func TestKafkaRefused(t *testing.T) {
	handshake := func(version int16) []byte { return kafkaBytes(int16(17), version, int32(1), "c", "PLAIN") }
	check(t, talk{
		{d: toServer, bytes: handshake(1)},
		{d: toClient, bytes: kafkaBytes(int32(1), int16(0), int32(1), "PLAIN")},
		{d: toServer, bytes: kafkaBytes(int16(36), int16(1), int32(2), "c", int32(7), []byte("\x00me\x00pwd"))},
		{d: toClient, bytes: kafkaBytes(int32(2), int16(58), "no such user 'me'", int32(0), int64(0))},
	}, `kafka: SaslAuthenticate FAILED "no such user ?" messaging.system="kafka" messaging.operation.name="SaslAuthenticate" messaging.client.id="c" error.type="SASL_AUTHENTICATION_FAILED"`)
	check(t, talk{
		{d: toServer, bytes: kafkaBytes(int16(8), int16(3), int32(1), "c", "g", int32(1), "m", int64(-1), int32(1), "t", int32(1), int32(0), int64(5), "")},
		{d: toClient, bytes: kafkaBytes(int32(1), int32(0), int32(1), "t", int32(2), int32(0), int16(0), int32(1), int16(22))},
	}, `kafka: commit t FAILED "ILLEGAL_GENERATION" messaging.system="kafka" messaging.operation.name="commit" messaging.operation.type="settle" messaging.client.id="c" messaging.consumer.group.name="g" messaging.destination.name="t" error.type="ILLEGAL_GENERATION"`)
	// After the old handshake come bare tokens, then requests again.
	send := kafkaBytes(int16(0), int16(3), int32(2), "c", int16(-1), int16(1), int32(100), int32(1), "t", int32(1), int32(0), kafkaRecordsField(kafkaBatch(0, "v", "")))
	check(t, talk{
		{d: toServer, bytes: handshake(0)},
		{d: toClient, bytes: kafkaBytes(int32(1), int16(0), int32(1), "PLAIN")},
		{d: toServer, bytes: kafkaBytes([]byte("\x00me\x00pwd"))},
		{d: toClient, bytes: kafkaBytes()},
		{d: toServer, bytes: send},
		{d: toClient, bytes: kafkaBytes(int32(2), int32(1), "t", int32(1), int32(0), int16(0), int64(8), int64(-1), int32(0))},
	}, "kafka: send t kind=1 "+kafkaSend+` messaging.destination.name="t" messaging.client.id="c" messaging.destination.partition.id="0" messaging.kafka.offset="8"`)
}

// What lies beyond the capture is counted, and left out.
func TestKafkaCut(t *testing.T) {
	long := strings.Repeat("v", 9000)
	send := kafkaBytes(int16(0), int16(3), int32(2), "c", int16(-1), int16(1), int32(100), int32(3),
		"t", int32(1), int32(6), kafkaRecordsField(kafkaBatch(0, "v", kafkaParent)),
		"u", int32(1), int32(7), kafkaRecordsField(kafkaBatch(0, long, "", "")),
		"w", int32(1), int32(0), kafkaRecordsField(kafkaBatch(0, "v", "")))
	stored := func(topic string, offset int64) []byte {
		return kafkaBytes(topic, int32(1), int32(0), int16(0), offset, int64(-1))[4:]
	}
	k := talk{
		{d: toServer, bytes: send},
		{d: toClient, bytes: kafkaBytes(int32(2), int32(3), stored("t", 1), stored("u", 2), stored("w", 3), int32(0))},
	}
	got, counts := k.play(RoleClient, 2000, 128)
	want := []string{
		"kafka: send t kind=1 " + kafkaSend + ` messaging.destination.name="t" messaging.client.id="c" messaging.destination.partition.id="6" messaging.kafka.offset="1"`,
		"kafka: send u kind=1 " + kafkaSend + ` messaging.destination.name="u" messaging.client.id="c" messaging.destination.partition.id="7" messaging.batch.message_count="2"`,
	}
	if told := tellAll(got); !slices.Equal(told, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(told, "\n\t"), strings.Join(want, "\n\t"))
	}
	if counts != "kept  1, dropped beyond_capture 1, kept headers_unseen 1" {
		t.Error(counts)
	}
}

func TestDetectKafka(t *testing.T) {
	produce := kafkaBytes(int16(0), int16(3), int32(2), "c", int16(-1), int16(1), int32(100), int32(1), "t", int32(1), int32(0), kafkaRecordsField(kafkaBatch(0, "v", "")))
	long := kafkaBytes(int16(0), int16(3), int32(2), "c", int16(-1), int16(1), int32(100), int32(1), "t", int32(1), int32(0), kafkaRecordsField(kafkaBatch(0, strings.Repeat("v", 9000), "")))
	for _, c := range []struct {
		what string
		data []byte
		size int
		want bool
	}{
		{"versions", kafkaBytes(int16(18), int16(0), int32(0), "c"), 0, true},
		{"versions with more", kafkaBytes(int16(18), int16(0), int32(0), "c", int8(1)), 0, false},
		{"produce", produce, 0, true},
		{"long produce sent in part", long[:600], 0, true},
		{"little of it", long[:200], 0, false},
		{"produce captured in part", produce[:50], len(produce), true},
		{"two", append(slices.Clone(produce), kafkaFetchOf(3, -1)...), 0, true},
		{"noise behind", append(slices.Clone(produce), "GET / HTTP/1.1\r\n\r\n"...), 0, false},
		{"short of its size", produce[:len(produce)-1], len(produce) - 1, false},
		{"fetch", kafkaFetchOf(1, -1), 0, true},
		{"no such request", kafkaBytes(int16(200), int16(0), int32(0), "c"), 0, false},
		{"no such version", kafkaBytes(int16(3), int16(90), int32(0), "c"), 0, false},
		{"a client with control characters", kafkaBytes(int16(18), int16(0), int32(0), "\x00\x01"), 0, false},
		{"zeros", make([]byte, 400), 0, false},
		{"data of HTTP/2, zeros", append([]byte{0, 0x40, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 0x4000)...), 0, false},
		{"start of PostgreSQL", append([]byte{0, 0, 0, 40, 0, 3, 0, 0}, "user\x00postgres\x00database\x00shop\x00\x00\x00"...), 0, false},
		{"ZooKeeper", []byte("\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x02/a\x00"), 0, false},
		{"Thrift", []byte("\x00\x00\x00\x20\x80\x01\x00\x01\x00\x00\x00\x04ping\x00\x00\x00\x01\x00"), 0, false},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0, false},
		{"empty", nil, 0, false},
	} {
		size := c.size
		if size == 0 {
			size = len(c.data)
		}
		if got := detectKafka(toServer, c.data, uint64(size)); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
		if detectKafka(toClient, c.data, uint64(size)) {
			t.Errorf("%s: an answer", c.what)
		}
	}
}

func TestKafkaErrorName(t *testing.T) {
	for code, want := range map[int16]string{-1: "UNKNOWN_SERVER_ERROR", 6: "NOT_LEADER_OR_FOLLOWER", 58: "SASL_AUTHENTICATION_FAILED", 4000: "4000", -5: "-5"} {
		if got := kafkaErrorName(code); got != want {
			t.Errorf("%d: %s", code, got)
		}
	}
	for code, name := range kafkaErrors {
		if code > 0 && name == "" {
			t.Errorf("%d has no name", code)
		}
	}
}
