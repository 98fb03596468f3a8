package protocol

import (
	"fmt"
	"strings"
	"testing"
)

func TestNATSGo(t *testing.T) {
	checkTalk(t, "nats-go.talk",
		`nats: publish orders.created kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="orders.created" messaging.message.body.size="17"`,
		`nats: publish orders.{id} kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="orders.12345" messaging.message.body.size="12"`,
		`nats: deliver orders.* kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="orders.created" messaging.message.body.size="17"`,
		`nats: deliver orders.* kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="orders.12345" messaging.message.body.size="12"`,
		`nats: deliver svc.add kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="svc.add" messaging.message.body.size="3" messaging.consumer.group.name="workers"`,
		`nats: publish _INBOX.* kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="_INBOX.hm5ieF5CRVvgGRmi34iFgV.ESchqUQQ" messaging.destination.temporary="true" messaging.message.body.size="1"`,
		`nats: request svc.add messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="svc.add" messaging.message.body.size="3"`,
		`nats: request svc.none FAILED "no responders" messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="svc.none" messaging.message.body.size="0" error.type="503"`,
	)
}

func TestNATSVerbose(t *testing.T) {
	checkTalk(t, "nats-verbose.talk",
		`nats: deliver svc.old kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="svc.old" messaging.message.body.size="3"`,
		`nats: publish _INBOX.* kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="_INBOX.CB1Q1OlBB7gwQX4f8dM9Cz" messaging.destination.temporary="true" messaging.message.body.size="1"`,
		`nats: request svc.old messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="svc.old" messaging.message.body.size="3"`,
		`nats: publish orders.created kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="orders.created" messaging.message.body.size="0"`,
	)
}

func TestNATSJetstream(t *testing.T) {
	checkTalk(t, "nats-jetstream.talk",
		`nats: request $JS.API.STREAM.INFO.NONE FAILED "stream not found" messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.STREAM.INFO.NONE" messaging.message.body.size="0" error.type="10059"`,
		`nats: request $JS.API.STREAM.CREATE.ORDERS messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.STREAM.CREATE.ORDERS" messaging.message.body.size="299"`,
		`nats: publish shop.created kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop.created" messaging.message.body.size="1"`,
		`nats: publish shop.created kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop.created" messaging.message.body.size="1"`,
		`nats: publish shop.created kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop.created" messaging.message.body.size="1"`,
		`nats: request $JS.API.STREAM.NAMES messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.STREAM.NAMES" messaging.message.body.size="20"`,
		`nats: request $JS.API.CONSUMER.INFO.ORDERS.> FAILED "consumer not found" messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.CONSUMER.INFO.ORDERS.worker" messaging.message.body.size="0" error.type="10014"`,
		`nats: request $JS.API.CONSUMER.CREATE.ORDERS.> messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.CONSUMER.CREATE.ORDERS.worker.shop.*" messaging.message.body.size="199"`,
		`nats: deliver shop.created kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop.created" messaging.message.body.size="1" messaging.consumer.group.name="worker"`,
		`nats: deliver shop.created kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop.created" messaging.message.body.size="1" messaging.consumer.group.name="worker"`,
		`nats: ack ORDERS messaging.system="nats" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="ORDERS" messaging.consumer.group.name="worker"`,
		`nats: nack ORDERS messaging.system="nats" messaging.operation.name="nack" messaging.operation.type="settle" messaging.destination.name="ORDERS" messaging.consumer.group.name="worker"`,
		`nats: deliver shop.created kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop.created" messaging.message.body.size="1" messaging.consumer.group.name="worker"`,
		`nats: ack ORDERS messaging.system="nats" messaging.operation.name="ack" messaging.operation.type="settle" messaging.destination.name="ORDERS" messaging.consumer.group.name="worker"`,
		`nats: publish shop.created kind=1 FAILED "wrong last sequence: 3" messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="shop.created" messaging.message.body.size="1" error.type="10071"`,
		`nats: request $JS.API.STREAM.NAMES messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.STREAM.NAMES" messaging.message.body.size="20"`,
		`nats: request $JS.API.CONSUMER.CREATE.ORDERS.> messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.CONSUMER.CREATE.ORDERS.NhAw1rB3.shop.*" messaging.message.body.size="306"`,
		`nats: deliver shop.created kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop.created" messaging.message.body.size="1" messaging.consumer.group.name="NhAw1rB3"`,
		`nats: deliver shop.created kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop.created" messaging.message.body.size="1" messaging.consumer.group.name="NhAw1rB3"`,
		`nats: deliver shop.created kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="shop.created" messaging.message.body.size="1" messaging.consumer.group.name="NhAw1rB3"`,
		`nats: request $JS.API.STREAM.DELETE.ORDERS messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="$JS.API.STREAM.DELETE.ORDERS" messaging.message.body.size="0"`,
	)
}

func TestNATSNode(t *testing.T) {
	checkTalk(t, "nats-node.talk",
		`nats: publish node.a kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="node.a" messaging.message.body.size="1"`,
		`nats: deliver node.> kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="node.a" messaging.message.body.size="1"`,
		`nats: deliver node.> kind=2 messaging.system="nats" messaging.operation.name="deliver" messaging.operation.type="process" messaging.destination.name="node.ping" messaging.message.body.size="1"`,
		`nats: publish _INBOX.* kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="_INBOX.XVT2U47Y8NH1PZR37GCUHQ.XVT2U47Y8NH1PZR37GCUG9" messaging.destination.temporary="true" messaging.message.body.size="4"`,
		`nats: request node.ping messaging.system="nats" messaging.operation.name="request" messaging.operation.type="send" messaging.destination.name="node.ping" messaging.message.body.size="1"`,
	)
}

func TestNATSDenied(t *testing.T) {
	checkTalk(t, "nats-denied.talk",
		`nats: connect FAILED "Authorization Violation" messaging.system="nats" messaging.operation.name="connect" error.type="authorization_violation"`,
	)
}

func TestNATSPermissions(t *testing.T) {
	checkTalk(t, "nats-permissions.talk",
		`nats: publish ok.a kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="ok.a" messaging.message.body.size="1"`,
		`nats: publish secret.b kind=1 messaging.system="nats" messaging.operation.name="publish" messaging.operation.type="send" messaging.destination.name="secret.b" messaging.message.body.size="1"`,
		`nats: error FAILED "Permissions Violation for Publish to ?" messaging.system="nats" messaging.operation.name="error" error.type="permissions_violation_for_publish_to"`,
	)
}

func TestNATSTLS(t *testing.T) { checkTalk(t, "nats-tls.talk") }

// TestNATSContext has a context in the headers of a message, sent and received.
func TestNATSContext(t *testing.T) {
	const headers = "NATS/1.0\r\nNats-Msg-Id: m-1\r\nTraceparent: " + amqpTrace + "\r\n\r\n"
	sizes := fmt.Sprint(len(headers), " ", len(headers)+2, "\r\n")
	k := talk{
		{d: toServer, bytes: []byte("HPUB a " + sizes + headers + "hi\r\n")},
		{d: toClient, bytes: []byte("HMSG a 1 " + sizes + headers + "hi\r\n")},
	}
	out, counts := k.play(RoleClient, whole, 0)
	if len(out) != 2 {
		t.Fatalf("%q, %s", tellAll(out), counts)
	}
	for _, x := range out {
		if x.Trace.TraceID[0] != 0x0a || x.Trace.ParentID[0] != 0xb7 || x.Trace.Evidence != EvidenceHeader ||
			!strings.Contains(tell(x), `messaging.message.body.size="2" messaging.message.id="m-1"`) {
			t.Errorf("%s: %+v", tell(x), x.Trace)
		}
	}
}

// TestNATSTurnsToTLS counts what can't be followed, and follows nothing of it.
func TestNATSTurnsToTLS(t *testing.T) {
	_, counts := readTalk(t, "nats-tls.talk").play(RoleClient, whole, 0)
	if counts != "dropped opaque 1" {
		t.Error(counts)
	}
}

// TestNATSManyRequests asks more than may wait: none is lost.
func TestNATSManyRequests(t *testing.T) {
	const n = 1000
	var k talk
	for i := range n {
		k = append(k, piece{d: toServer, bytes: fmt.Appendf(nil, "PUB a _INBOX.x.%d 2\r\nhi\r\n", i)})
	}
	k = append(k, piece{d: toClient, bytes: fmt.Appendf(nil, "MSG _INBOX.x.%d 1 2\r\nhi\r\n", n-1)})
	k = append(k, piece{d: toClient, bytes: []byte("MSG _INBOX.x.0 1 2\r\nhi\r\n")}) // of one that was ended
	out, counts := k.play(RoleClient, whole, 0)
	answered, closed := 0, 0
	for _, x := range out {
		if x.Failed {
			closed++
		} else if !x.FirstByte.IsZero() {
			answered++
		}
	}
	if len(out) != n || answered != 1 || closed != maxUnconfirmed-1 || !strings.Contains(counts, "response_without_request 1") {
		t.Errorf("%d exchanges, %d answered, %d closed: %s", len(out), answered, closed, counts)
	}
}

// TestNATSKeys looks for keys of key-value stores, which users choose.
func TestNATSKeys(t *testing.T) {
	k := talk{{d: toServer, bytes: []byte("PUB $KV.people.mail-of-x _INBOX.a 2\r\nhi\r\n" +
		"PUB $JS.API.DIRECT.GET.KV_people.$KV.people.mail-of-x _INBOX.b 0\r\n\r\n")}}
	out, _ := k.play(RoleClient, whole, 0)
	if len(out) != 2 || out[0].Target != "$KV.people.>" || out[1].Target != "$JS.API.DIRECT.GET.KV_people.>" {
		t.Errorf("%q", tellAll(out))
	}
	for _, x := range out {
		if strings.Contains(tell(x), "mail-of-x") {
			t.Error(tell(x))
		}
	}
}

func TestMatchesSubject(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"a.b", "a.b"}: true, {"a.*", "a.b"}: true, {"a.>", "a.b.c"}: true, {"*.b", "a.b"}: true, {"a", "a"}: true,
		{"a.*", "a"}: false, {"a.*", "a.b.c"}: false, {"a.>", "b.c"}: false, {"a.>", "a"}: false, {">", "a"}: false,
		{"", ""}: false, {"a.b", "a"}: false, {"a", "a.b"}: false,
	} {
		if got := matchesSubject(pair[0], pair[1]); got != want {
			t.Errorf("%q: %v", pair, got)
		}
	}
}

func TestDetectNATS(t *testing.T) {
	for line, want := range map[string]bool{
		"> PUB a.b 2\r\nhi\r\n": true, "> pub a.b c 2\r\nhi\r\n": true, "> PUB a.b 200\r\nhi": true,
		"> PUB a.b 2\r\nhi!!": false, "> PUB a.b x\r\nhi\r\n": false, "> PUB a.b 2\nhi\r\n": false, "> PUB a.b": false,
		"> PUB a 99999999999\r\n": false, "> HPUB a 5 4\r\n": false, "> SUB a 1\r\n": true, "> SUB a q 1\r\nPING\r\n": true,
		"> SUB a 1\r\nhello": false, "> SUB a\r\n": false, "> SUB a b c d\r\n": false, "> UNSUB 1 5\r\n": true, "> UNSUB 1 x\r\n": false,
		"> PING\r\n": false, "> PUBLISH a b\r\n": false, "> CONNECT {\"verbose\":false}\r\n": true, "> CONNECT a:443 HTTP/1.1\r\n": false,
		"> INFO {\"server_id\":\"x\"}\r\n": false, "< INFO {\"server_id\":\"x\"}\r\n": true, "< INFO {}\r\n": false,
		"< MSG a 1 2\r\nhi\r\n": true, "> MSG a 1 2\r\nhi\r\n": false, "< HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n": true,
		"< -ERR 'x'\r\n": true, "< -ERR unknown command\r\n": false, "< +OK\r\n": false, "> ": false,
	} {
		d := toServer
		if line[0] == '<' {
			d = toClient
		}
		if got := detectNATS(d, []byte(line[2:]), uint64(len(line)-2)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
