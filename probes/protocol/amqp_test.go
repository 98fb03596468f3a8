package protocol

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAMQPPika(t *testing.T) {
	checkTalk(t, "amqp-pika.talk",
		`amqp: publish shop:order.created kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop:order.created" messaging.rabbitmq.destination.routing_key="order.created" messaging.message.body.size="17" messaging.message.id="m-1" messaging.message.conversation_id="c-1"`,
		`amqp: publish orders kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="orders" messaging.rabbitmq.destination.routing_key="orders" messaging.message.body.size="9000"`,
		`amqp: publish shop:order.paid kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop:order.paid" messaging.rabbitmq.destination.routing_key="order.paid" messaging.message.body.size="0"`,
		`amqp: get shop:order.created:orders messaging.system="rabbitmq" messaging.operation.name="get" messaging.operation.type="receive" messaging.destination.name="shop:order.created:orders" messaging.rabbitmq.destination.routing_key="order.created" messaging.rabbitmq.message.delivery_tag="1" messaging.message.body.size="17" messaging.message.id="m-1" messaging.message.conversation_id="c-1"`,
		`amqp: ack shop:order.created:orders messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="shop:order.created:orders" messaging.rabbitmq.destination.routing_key="order.created" messaging.rabbitmq.message.delivery_tag="1"`,
		`amqp: get orders messaging.system="rabbitmq" messaging.operation.name="get" messaging.operation.type="receive" messaging.destination.name="orders" messaging.rabbitmq.destination.routing_key="orders" messaging.rabbitmq.message.delivery_tag="2" messaging.message.body.size="9000"`,
		`amqp: nack orders messaging.system="rabbitmq" messaging.operation.name="nack" messaging.operation.type="settle" messaging.destination.name="orders" messaging.rabbitmq.destination.routing_key="orders" messaging.rabbitmq.message.delivery_tag="2"`,
		`amqp: deliver shop:order.paid:orders kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop:order.paid:orders" messaging.rabbitmq.destination.routing_key="order.paid" messaging.rabbitmq.message.delivery_tag="3" messaging.message.body.size="0"`,
		`amqp: reject shop:order.paid:orders messaging.system="rabbitmq" messaging.operation.name="reject" messaging.operation.type="settle" messaging.destination.name="shop:order.paid:orders" messaging.rabbitmq.destination.routing_key="order.paid" messaging.rabbitmq.message.delivery_tag="3"`,
		`amqp: get orders messaging.system="rabbitmq" messaging.operation.name="get" messaging.operation.type="receive" messaging.destination.name="orders"`,
		`amqp: publish amq.gen-* kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.message.body.size="2"`,
		`amqp: publish amq.gen-* kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.message.body.size="2"`,
		`amqp: publish amq.gen-* kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.message.body.size="2"`,
		`amqp: deliver amq.gen-* kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.rabbitmq.message.delivery_tag="4" messaging.message.body.size="2"`,
		`amqp: deliver amq.gen-* kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.rabbitmq.message.delivery_tag="5" messaging.message.body.size="2"`,
		`amqp: deliver amq.gen-* kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.rabbitmq.message.delivery_tag="6" messaging.message.body.size="2"`,
		`amqp: ack amq.gen-* messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.rabbitmq.destination.routing_key="amq.gen-E29cxd5kUHxMw_-zhhQDPQ" messaging.destination.anonymous="true" messaging.batch.message_count="3"`,
		`amqp: queue.declare missing FAILED "NOT_FOUND - no queue ?" messaging.system="rabbitmq" messaging.operation.name="queue.declare" messaging.destination.name="missing" error.type="404"`,
		`amqp: publish nowhere:k kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="nowhere:k" messaging.rabbitmq.destination.routing_key="k" messaging.message.body.size="4"`,
		`amqp: channel.close FAILED "NOT_FOUND - no exchange ? (publish)" messaging.system="rabbitmq" messaging.operation.name="channel.close" error.type="404"`,
		`amqp: get orders FAILED "NOT_FOUND - no exchange ?" messaging.system="rabbitmq" messaging.operation.name="get" messaging.operation.type="receive" messaging.destination.name="orders" error.type="404"`,
		`amqp: publish small kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="small" messaging.rabbitmq.destination.routing_key="small" messaging.message.body.size="1"`,
		`amqp: publish small kind=1 FAILED "the server refused the message" messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="small" messaging.rabbitmq.destination.routing_key="small" messaging.message.body.size="1" error.type="nack"`,
		`amqp: publish shop:nobody.wants kind=1 FAILED "NO_ROUTE" messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop:nobody.wants" messaging.rabbitmq.destination.routing_key="nobody.wants" messaging.message.body.size="1" error.type="312"`,
	)
}

func TestAMQPGo(t *testing.T) {
	checkTalk(t, "amqp-go.talk",
		`amqp: deliver right kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="right" messaging.rabbitmq.destination.routing_key="right" messaging.rabbitmq.message.delivery_tag="1" messaging.message.body.size="4150"`,
		`amqp: deliver right kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="right" messaging.rabbitmq.destination.routing_key="right" messaging.rabbitmq.message.delivery_tag="2" messaging.message.body.size="4150"`,
		`amqp: publish right kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="right" messaging.rabbitmq.destination.routing_key="right" messaging.message.body.size="4150"`,
		`amqp: publish right kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="right" messaging.rabbitmq.destination.routing_key="right" messaging.message.body.size="4150"`,
		`amqp: ack right messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="right" messaging.rabbitmq.destination.routing_key="right" messaging.rabbitmq.message.delivery_tag="1"`,
		`amqp: ack right messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="right" messaging.rabbitmq.destination.routing_key="right" messaging.rabbitmq.message.delivery_tag="2"`,
		`amqp: deliver left kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="left" messaging.rabbitmq.destination.routing_key="left" messaging.rabbitmq.message.delivery_tag="1" messaging.message.body.size="3320"`,
		`amqp: deliver left kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="left" messaging.rabbitmq.destination.routing_key="left" messaging.rabbitmq.message.delivery_tag="2" messaging.message.body.size="3320"`,
		`amqp: publish left kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="left" messaging.rabbitmq.destination.routing_key="left" messaging.message.body.size="3320"`,
		`amqp: publish left kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="left" messaging.rabbitmq.destination.routing_key="left" messaging.message.body.size="3320"`,
		`amqp: ack left messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="left" messaging.rabbitmq.destination.routing_key="left" messaging.rabbitmq.message.delivery_tag="1"`,
		`amqp: ack left messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="left" messaging.rabbitmq.destination.routing_key="left" messaging.rabbitmq.message.delivery_tag="2"`,
	)
}

func TestAMQPNode(t *testing.T) {
	checkTalk(t, "amqp-node.talk",
		`amqp: publish rpc kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="rpc" messaging.rabbitmq.destination.routing_key="rpc" messaging.message.body.size="4" messaging.message.conversation_id="42"`,
		`amqp: deliver rpc kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="rpc" messaging.rabbitmq.destination.routing_key="rpc" messaging.rabbitmq.message.delivery_tag="1" messaging.message.body.size="4" messaging.message.conversation_id="42"`,
		`amqp: publish amq.rabbitmq.reply-to.* kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.rabbitmq.reply-to.g1h2AA5yZXBseUAyNjg1Nzg0NAAAAzMAAAAAawMOLQ==.QAJin6qbWU+gz1VCiCCgqQ==" messaging.rabbitmq.destination.routing_key="amq.rabbitmq.reply-to.g1h2AA5yZXBseUAyNjg1Nzg0NAAAAzMAAAAAawMOLQ==.QAJin6qbWU+gz1VCiCCgqQ==" messaging.message.body.size="4" messaging.message.conversation_id="42"`,
		`amqp: deliver amq.rabbitmq.reply-to.* kind=2 messaging.system="rabbitmq" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="amq.rabbitmq.reply-to.g1h2AA5yZXBseUAyNjg1Nzg0NAAAAzMAAAAAawMOLQ==.QAJin6qbWU+gz1VCiCCgqQ==" messaging.rabbitmq.destination.routing_key="amq.rabbitmq.reply-to.g1h2AA5yZXBseUAyNjg1Nzg0NAAAAzMAAAAAawMOLQ==.QAJin6qbWU+gz1VCiCCgqQ==" messaging.rabbitmq.message.delivery_tag="1" messaging.message.body.size="4" messaging.message.conversation_id="42"`,
		`amqp: ack rpc messaging.system="rabbitmq" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="rpc" messaging.rabbitmq.destination.routing_key="rpc" messaging.rabbitmq.message.delivery_tag="1"`,
		`amqp: publish amq.topic:user.{id}.seen kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.topic:user.12340.seen" messaging.rabbitmq.destination.routing_key="user.12340.seen" messaging.message.body.size="1"`,
		`amqp: publish amq.topic:user.{id}.seen kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.topic:user.12341.seen" messaging.rabbitmq.destination.routing_key="user.12341.seen" messaging.message.body.size="1"`,
		`amqp: publish amq.topic:user.{id}.seen kind=1 messaging.system="rabbitmq" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="amq.topic:user.12342.seen" messaging.rabbitmq.destination.routing_key="user.12342.seen" messaging.message.body.size="1"`,
		`amqp: queue.declare rpc FAILED "PRECONDITION_FAILED - inequivalent arg ?" messaging.system="rabbitmq" messaging.operation.name="queue.declare" messaging.destination.name="rpc" error.type="406"`,
	)
}

func TestAMQPDenied(t *testing.T) {
	checkTalk(t, "amqp-denied.talk",
		`amqp: connection.start-ok FAILED "connection closed before the answer" messaging.system="rabbitmq" messaging.operation.name="connection.start-ok" error.type="connection_closed"`,
	)
}

func TestAMQPVhost(t *testing.T) {
	checkTalk(t, "amqp-vhost.talk",
		`amqp: connection.open FAILED "NOT_ALLOWED - vhost nosuch not found" messaging.system="rabbitmq" messaging.operation.name="connection.open" error.type="530"`,
	)
}

// amqpFrame returns a frame; amqpCall one of a method, amqpText a short string.
func amqpFrame(kind byte, channel uint16, payload string) string {
	b := []byte{kind, byte(channel >> 8), byte(channel), 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[3:], uint32(len(payload)))
	return string(b) + payload + "\xce"
}

func amqpCall(channel uint16, m amqpMethod, arguments string) string {
	return amqpFrame(amqpFrameMethod, channel, string(binary.BigEndian.AppendUint32(nil, uint32(m)))+arguments)
}

func amqpText(s string) string { return string([]byte{byte(len(s))}) + s }

// amqpMessage is a publish of two bytes, with a traceparent in its headers.
func amqpMessage(channel uint16, key, trace string) string {
	field := amqpText("other") + "t\x01" + amqpText("traceparent") + "S\x00\x00\x00" + string([]byte{byte(len(trace))}) + trace
	header := "\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x20\x00\x00\x00\x00" + string([]byte{byte(len(field))}) + field
	return amqpCall(channel, amqpPublish, "\x00\x00"+amqpText("")+amqpText(key)+"\x00") +
		amqpFrame(amqpFrameHeader, channel, header) + amqpFrame(amqpFrameBody, channel, "hi")
}

const amqpTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func amqpTag(tag byte, bits byte) string { return string([]byte{0, 0, 0, 0, 0, 0, 0, tag, bits}) }

// TestAMQPContext has messages that carry a context, one sent and one received.
func TestAMQPContext(t *testing.T) {
	message := amqpMessage(1, "k", amqpTrace)
	content := message[strings.IndexByte(message, 0xce)+1:]
	k := talk{
		{d: toServer, bytes: []byte(message)},
		{d: toClient, bytes: []byte(amqpCall(1, amqpDeliver, amqpText("tag")+amqpTag(1, 0)+amqpText("")+amqpText("k")) + content)},
		{d: toClient, bytes: []byte(amqpCall(1, amqpDeliver, amqpText("tag")+amqpTag(2, 0)+amqpText("")+amqpText("k")) + strings.Replace(content, amqpTrace, strings.Repeat("x", len(amqpTrace)), 1))},
	}
	out, counts := k.play(RoleClient, whole, 0)
	if len(out) != 3 {
		t.Fatalf("%q, %s", tellAll(out), counts)
	}
	for i, x := range out {
		carried := x.Trace.TraceID[0] == 0x0a && x.Trace.ParentID[0] == 0xb7 && x.Trace.Evidence == EvidenceHeader && x.Trace.Sampled
		if carried != (i < 2) {
			t.Errorf("%s: %+v", tell(x), x.Trace)
		}
	}
	if x := out[2]; x.Trace.Evidence != EvidenceNone || x.Trace.ParentID != [8]byte{} {
		t.Errorf("%s: %+v", tell(x), x.Trace)
	}
}

// TestAMQPInterleaved sends the frames of two channels in turns, and confirms them
// the other way around.
func TestAMQPInterleaved(t *testing.T) {
	var sent []string
	parts := [2][]string{}
	for i := range parts {
		number := uint16(i + 1)
		sent = append(sent, amqpCall(number, amqpChannelOpen, "\x00"), amqpCall(number, amqpConfirmSelect, "\x00"))
		parts[i] = strings.SplitAfter(amqpMessage(number, fmt.Sprint("key", number), amqpTrace), "\xce")
	}
	for i := range parts[0][:3] {
		sent = append(sent, parts[0][i], parts[1][i])
	}
	k := talk{
		{d: toServer, bytes: []byte(strings.Join(sent, ""))},
		{d: toClient, bytes: []byte(amqpCall(2, amqpAck, amqpTag(1, 0)))},
		{d: toClient, bytes: []byte(amqpCall(1, amqpNack, amqpTag(1, 0)))},
	}
	out, counts := k.play(RoleClient, whole, 0)
	var names []string
	for _, x := range out {
		if x.Kind == KindProducer {
			names = append(names, fmt.Sprint(x.Target, " ", x.Failed, " ", x.End.Sub(x.Start)))
		}
	}
	if want := []string{"key2 false 1ms", "key1 true 2ms"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q: %s", names, want, counts)
	}
}

// TestAMQPManyUnconfirmed publishes more than may wait: none is lost, and those
// that still wait are confirmed together.
func TestAMQPManyUnconfirmed(t *testing.T) {
	const n = 1000
	k := talk{{d: toServer, bytes: []byte(amqpCall(1, amqpChannelOpen, "\x00") + amqpCall(1, amqpConfirmSelect, "\x00"))},
		{d: toClient, bytes: []byte(amqpCall(1, 20<<16|11, "\x00\x00\x00\x00") + amqpCall(1, 85<<16|11, ""))}}
	for range n {
		k = append(k, piece{d: toServer, bytes: []byte(amqpMessage(1, "k", amqpTrace))})
	}
	k = append(k, piece{d: toClient, bytes: []byte(amqpCall(1, amqpAck, "\x00\x00\x00\x00\x00\x00\x03\xe8\x01"))})
	out, counts := k.play(RoleClient, whole, 0)
	confirmed := 0
	for _, x := range out {
		if !x.FirstByte.IsZero() {
			confirmed++
		}
	}
	if len(out) != n || confirmed != maxUnconfirmed || strings.Contains(counts, "too_deep") {
		t.Errorf("%d exchanges, %d confirmed: %s", len(out), confirmed, counts)
	}
}

// TestAMQPLongReceives has a delivery of several frames, and one behind it, that
// are received in large pieces, of which only both ends are seen: where frames
// begin is not among them.
func TestAMQPLongReceives(t *testing.T) {
	const piece, frame, body = 50_000, 131064, 300_000
	deliver := func(tag byte) string {
		return amqpCall(1, amqpDeliver, amqpText("c")+amqpTag(tag, 0)+amqpText("shop")+amqpText("order"))
	}
	header := func(size uint64) string {
		return amqpFrame(amqpFrameHeader, 1, string(binary.BigEndian.AppendUint64([]byte{0, 60, 0, 0}, size))+"\x00\x00")
	}
	sent := amqpCall(1, amqpConsumeOK, amqpText("c")) + deliver(1) + header(body)
	for left := body; left > 0; left -= frame {
		sent += amqpFrame(amqpFrameBody, 1, strings.Repeat("x", min(left, frame)))
	}
	sent += deliver(2) + header(2) + amqpFrame(amqpFrameBody, 1, "hi")
	k := talk{{d: toServer, bytes: []byte(amqpCall(1, amqpConsume, "\x00\x00"+amqpText("orders")+amqpText("c")+"\x00\x00\x00\x00\x00"))}}
	for len(sent) > 0 {
		n := min(len(sent), piece)
		k, sent = append(k, talk{{d: toClient, bytes: []byte(sent[:n])}}...), sent[n:]
	}
	out, counts := k.play(RoleClient, 4096, 128)
	var got []string
	for _, x := range out {
		got = append(got, x.Operation+" "+x.Target)
	}
	if want := []string{"deliver shop:order:orders", "deliver shop:order:orders"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v; counts: %s", got, want, counts)
	}
}

// TestAMQPSecrets looks for what the clients of the talks logged in with.
func TestAMQPSecrets(t *testing.T) {
	for _, name := range []string{"amqp-pika.talk", "amqp-node.talk", "amqp-denied.talk", "amqp-vhost.talk", "nats-denied.talk", "nats-permissions.talk"} {
		out, _ := readTalk(t, name).play(RoleClient, whole, 0)
		for _, x := range out {
			for _, secret := range []string{"guest", "wrong", "hush", "PLAIN", "secret\\\""} {
				if strings.Contains(tell(x), secret) {
					t.Errorf("%s: %s has %q", name, tell(x), secret)
				}
			}
		}
	}
}

func TestDetectAMQP(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		d    direction
		want bool
	}{
		"greeting":             {amqpGreeting, toServer, true},
		"greeting of 1.0":      {"AMQP\x00\x01\x00\x00", toServer, false},
		"heartbeat":            {amqpFrame(amqpFrameHeartbeat, 0, ""), toClient, true},
		"heartbeat in channel": {amqpFrame(amqpFrameHeartbeat, 1, ""), toClient, false},
		"publish":              {amqpMessage(1, "k", ""), toServer, true},
		"publish to a client":  {amqpMessage(1, "k", ""), toClient, false},
		"publish in channel 0": {amqpMessage(0, "k", ""), toServer, false},
		"deliver":              {amqpCall(7, amqpDeliver, ""), toClient, true},
		"unknown method":       {amqpCall(7, 60<<16|61, ""), toClient, false},
		"body":                 {amqpFrame(amqpFrameBody, 1, "hi"), toServer, false},
		"no end":               {strings.TrimSuffix(amqpCall(7, amqpDeliver, ""), "\xce") + "\xcd", toClient, false},
		"cut":                  {"\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x0a", toServer, false},
		"":                     {"", toServer, false},
	} {
		if got := detectAMQP(c.d, []byte(c.data), uint64(len(c.data))); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
