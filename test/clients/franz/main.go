// Franz uses Kafka by franz-go.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/clewtrace/clew/test/clients"
)

const topic = "go.orders"

func main() {
	ctx := context.Background()
	producer, err := kgo.NewClient(kgo.SeedBrokers(clients.Address()), kgo.ClientID("go"),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	clients.Must("make a producer", err)
	defer producer.Close()
	clients.Must("ping", producer.Ping(ctx))
	clients.Start()

	publish(ctx, producer, &kgo.Record{Topic: topic, Key: []byte(clients.Value()), Value: []byte(clients.Value()),
		Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(clients.Traceparent())}}})
	publish(ctx, producer, &kgo.Record{Topic: topic, Value: []byte(clients.Value())})
	publish(ctx, producer, &kgo.Record{Topic: "go.big", Value: make([]byte, 300_000)})
	batch := make([]*kgo.Record, 20)
	for i := range batch {
		batch[i] = &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%s-%d", clients.Value(), i)}
	}
	publish(ctx, producer, batch...)
	err = producer.ProduceSync(ctx, &kgo.Record{Topic: "go.refused", Value: []byte(clients.Value())}).FirstErr()
	clients.Want("refused", errors.Is(err, kerr.TopicAuthorizationFailed), true)

	consumer, err := kgo.NewClient(kgo.SeedBrokers(clients.Address()), kgo.ClientID("go"),
		kgo.ConsumerGroup("go.workers"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	clients.Must("make a consumer", err)
	defer consumer.Close()
	for seen := 0; seen < 2+len(batch); {
		fetched := consumer.PollFetches(ctx)
		clients.Must("fetch", fetched.Err())
		seen += fetched.NumRecords()
	}
	clients.Must("commit", consumer.CommitUncommittedOffsets(ctx))
}

func publish(ctx context.Context, producer *kgo.Client, records ...*kgo.Record) {
	clients.Must("produce", producer.ProduceSync(ctx, records...).FirstErr())
}
