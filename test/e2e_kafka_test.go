package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// kafkaClients are the clients with the beginning of their topics' names.
var kafkaClients = []sqlClient{
	{name: "kafka-python", command: []string{"/usr/bin/python3", "$CLIENTS/python/kafka_python.py"}},
	{name: "kafkajs", command: []string{"node", "$CLIENTS/node/kafkajs.js"}},
	{name: "franz-go", command: []string{"$BUILT/franz"}},
}

// kafkaTopics is what the clients call their topics.
var kafkaTopics = []string{"py", "js", "go"}

// kafkaRecords is how many records each client produces that it gets back.
const kafkaRecords = 22

// TestKafka lets every client of Kafka do its work, on connections that are older
// than the agent and on new ones, and compares the spans in Jaeger with what the
// broker was asked.
func TestKafka(t *testing.T) {
	s := newStage(t)
	built := buildGo(t, "kfake", "franz")
	var topics []string
	for _, name := range kafkaTopics {
		topics = append(topics, name+".orders", name+".big", name+".refused")
	}
	broker, err := servers.StartKafka(t.Context(), s.scene, servers.Config{}, built+"/kfake", topics...)
	if err != nil {
		t.Fatal(err)
	}
	clients := s.gather("kafka", broker.Statements, kafkaClients, map[string]string{
		"BUILT": built, "ADDRESS": broker.Address, "VALUE": "hush-value", "TRACEPARENT": messageParent,
	})
	s.watch()
	clients.work(t, nil)
	spans := s.settle()
	var rows []row
	for i, c := range kafkaClients {
		t.Run(c.name, func(t *testing.T) {
			own := spans.Where(rig.Service(c.name), func(s rig.Span) bool { return s.Attributes["messaging.system"] == "kafka" })
			rows = append(rows, clients.compareKafka(t, i, own))
			received(t, own, kafkaTopics[i])
			sent := one(t, own, "the record with a context", func(s rig.Span) bool { return s.TraceID == messageTrace && s.Kind == "producer" })
			attributes(t, sent, "messaging.destination.name", kafkaTopics[i]+".orders", "clew.parent.evidence", "header")
		})
	}
	printRows("Spans of producers of Kafka, against the broker's own record:", rows)
	kept(t, spans)
}

// compareKafka compares what a client produced with the broker's record: topic,
// partition, number of records, and refusal.
func (p *party) compareKafka(t *testing.T, client int, spans rig.Spans) row {
	t.Helper()
	var record []servers.Statement
	for _, s := range p.said[client] {
		if strings.HasPrefix(s.Text, "produce ") {
			record = append(record, s)
		}
	}
	p.said[client] = record
	var deeds []deed
	for _, span := range spans {
		if span.Attributes["messaging.operation.type"] != "send" {
			continue
		}
		what := fmt.Sprintf("produce %s/%s %d", span.Attributes["messaging.destination.name"],
			span.Attributes["messaging.destination.partition.id"], recordsOf(t, span))
		deeds = append(deeds, deed{start: span.Start, what: what, failure: span.Attributes["error.type"]})
	}
	return p.compare(t, client, deeds, nil, "")
}

// received expects that the spans of fetches account for all records, and name
// the group.
func received(t *testing.T, spans rig.Spans, topic string) {
	t.Helper()
	n := 0
	for _, span := range spans {
		if span.Attributes["messaging.operation.type"] == "receive" && !span.Failed && span.Attributes["messaging.destination.name"] != "" {
			attributes(t, span, "messaging.destination.name", topic+".orders", "messaging.consumer.group.name", topic+".workers")
			n += recordsOf(t, span)
		}
	}
	if n != kafkaRecords {
		t.Errorf("fetches brought %d records, want %d", n, kafkaRecords)
	}
}

// recordsOf is how many records a span is about.
func recordsOf(t *testing.T, span rig.Span) int {
	t.Helper()
	text := span.Attributes["messaging.batch.message_count"]
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Errorf("a batch of %q: %v", text, span)
	}
	return n
}
