package test

import (
	"maps"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// What clients that can send a context along with a message do send.
const (
	messageTrace  = "0af7651916cd43dd8448eb211c80319c"
	messageParent = "00-" + messageTrace + "-b7ad6b7169203331-01"
)

var rabbitmqClients = []sqlClient{
	{name: "pika", command: []string{"/usr/bin/python3", "$CLIENTS/python/pika_client.py"}},
	{name: "amqplib", command: []string{"node", "$CLIENTS/node/amqplib.js"}},
	{name: "amqp091-go", command: []string{"$BUILT/amqp"}},
}

var natsClients = []sqlClient{
	{name: "nats.go", command: []string{"$BUILT/natsgo"}},
	{name: "nats.js", command: []string{"node", "$CLIENTS/node/nats.js"}},
}

// TestBrokers lets every client of the brokers do its work, on connections that
// are older than the agent and on new ones, and compares the spans in Jaeger with
// what the brokers say that they did.
func TestBrokers(t *testing.T) {
	s := newStage(t)
	rabbitmq, err := servers.StartRabbitMQ(t.Context(), s.scene, servers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	nats, err := servers.StartNATS(t.Context(), s.scene, servers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"BUILT": buildGo(t, "amqp", "natsgo"), "VALUE": "hush-value", "TRACEPARENT": messageParent}
	with := func(address, username, password string) map[string]string {
		all := maps.Clone(variables)
		all["ADDRESS"], all["USERNAME"], all["PASSWORD"] = address, username, password
		return all
	}
	rabbits := s.gather("rabbitmq", rabbitmq.Statements, rabbitmqClients, with(rabbitmq.Address, rabbitmq.Username, rabbitmq.Password))
	subjects := s.gather("nats", nats.Statements, natsClients, with(nats.Address, nats.Username, nats.Password))
	if err := nats.Idle(t.Context(), len(natsClients)); err != nil {
		t.Fatal(err)
	}
	s.watch()
	var closings []map[string]int // after each client
	rabbits.work(t, func(int) {
		all, err := rabbitmq.Errors()
		if err != nil {
			t.Error(err)
		}
		closings = append(closings, all)
	})
	subjects.work(t, nil)
	spans := s.settle()

	var rows []row
	for i, c := range rabbitmqClients {
		t.Run(c.name, func(t *testing.T) {
			own := spans.Where(rig.Service(c.name))
			// The server closed channels, and gave one message back: the client
			// has checked that.
			refusals := map[string]int{"404": closings[i+1]["404"] - closings[i]["404"], "312": 1}
			rows = append(rows, rabbits.compare(t, i, rabbitmqDeeds(t, own), refusals, "404"))
			carried(t, own, "order.new", "order.more")
			settled(t, own)
		})
	}
	for i, c := range natsClients {
		t.Run(c.name, func(t *testing.T) {
			own := spans.Where(rig.Service(c.name))
			rows = append(rows, subjects.compareNATS(t, i, own))
			carried(t, own, "orders.new")
		})
	}
	printRows("Spans of clients of brokers, against the brokers' own records:", rows)
	kept(t, spans)
}

// rabbitmqDeeds are the messages that spans tell of, and what was refused.
func rabbitmqDeeds(t *testing.T, spans rig.Spans) []deed {
	t.Helper()
	var deeds []deed
	for _, span := range spans {
		attributes(t, span, "messaging.system", "rabbitmq")
		d := deed{start: span.Start, failure: span.Attributes["error.type"]}
		where := span.Attributes["messaging.destination.name"]
		switch operation := span.Attributes["messaging.operation.name"]; operation {
		case "publish":
			d.what = "publish " + where
		case "deliver":
			d.what = "deliver " + where
		case "get":
			if span.Attributes["messaging.rabbitmq.message.delivery_tag"] == "" {
				continue // the queue was empty
			}
			d.what = "deliver " + where
		default:
			if !span.Failed {
				continue // settles messages, or sets something up: not in the record
			}
			d.what = operation
		}
		deeds = append(deeds, d)
	}
	return deeds
}

// natsForbidden is the error.type of what NATS says when it refuses a message. It
// says so by itself, so it is a span of its own.
const natsForbidden = "permissions_violation_for_publish_to"

// compareNATS compares the spans of a client of NATS with the server's record.
func (p *party) compareNATS(t *testing.T, client int, spans rig.Spans) row {
	t.Helper()
	// That nobody listens is no message in the record; the client has checked it.
	refusals := map[string]int{"503": 1}
	var record []servers.Statement
	for _, s := range p.said[client] {
		if s.Error != "" {
			refusals[natsForbidden]++
		}
		if !strings.HasPrefix(s.Text, "MSG _INBOX") { // a reply: it ends the span of its request
			record = append(record, s)
		}
	}
	p.said[client] = record
	var deeds []deed
	for _, span := range spans {
		attributes(t, span, "messaging.system", "nats")
		d := deed{start: span.Start, failure: span.Attributes["error.type"]}
		about := " " + span.Attributes["messaging.destination.name"] + " " + span.Attributes["messaging.message.body.size"]
		switch operation := span.Attributes["messaging.operation.name"]; operation {
		case "publish", "request":
			d.what = "PUB" + about
		case "deliver":
			d.what = "MSG" + about
		default:
			d.what = operation
		}
		deeds = append(deeds, d)
	}
	return p.compare(t, client, deeds, refusals, natsForbidden)
}

// carried expects that exactly the spans of messages with these in their
// destinations are in the trace that the messages carried, as a client sent them
// and as it got them.
func carried(t *testing.T, spans rig.Spans, destinations ...string) {
	t.Helper()
	seen := make(map[string]int)
	for _, span := range spans {
		var about string
		for _, d := range destinations {
			if strings.Contains(span.Attributes["messaging.destination.name"], d) {
				about = d
			}
		}
		switch {
		case span.Attributes["messaging.operation.type"] == "settle":
		case (span.TraceID == messageTrace) != (about != ""):
			t.Errorf("in the wrong trace: %v", span)
		case about != "":
			attributes(t, span, "clew.parent.evidence", "header")
			seen[about+" "+span.Kind]++
		}
	}
	if len(seen) != 2*len(destinations) {
		t.Errorf("of %v there are only the spans %v", destinations, seen)
	}
}

// settled expects a span for each message that a client of RabbitMQ acknowledged
// or rejected: all four that it got.
func settled(t *testing.T, spans rig.Spans) {
	t.Helper()
	counts := make(map[string]int)
	for _, span := range spans {
		if span.Attributes["messaging.operation.type"] == "settle" {
			counts[span.Attributes["messaging.operation.name"]]++
		}
	}
	if !maps.Equal(counts, map[string]int{"ack": 3, "reject": 1}) {
		t.Errorf("messages were settled by %v, want 3 acks and 1 reject", counts)
	}
}
