package protocol

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// maxKafkaTopics bounds the spans of one request.
const maxKafkaTopics = 128

// kafkaBatches is what is read of one topic in a request, or in an answer.
type kafkaBatches struct {
	topic      kafkaTopic
	partitions int // with records in them
	partition  int32
	records    kafkaRecords
	code       int16 // first error
	failedAt   int32 // the partition that it is of
}

// add notes that a partition has records.
func (b *kafkaBatches) add(partition int32, data []byte, size int64) {
	before := b.records.any
	b.records.any = false
	b.records.add(data, size)
	if b.records.any {
		b.partitions++
		b.partition = partition
	}
	b.records.any = b.records.any || before
}

// records hands on what there is of a field of records.
func (r *kafkaReader) records() (data []byte, size int64) {
	size = r.length()
	data = r.data[:min(size, int64(len(r.data)))]
	r.take(size)
	return data, size
}

// describe says what is sent or was received.
func (b *kafkaBatches) describe(s *kafka, q *query, client, operation string, what attribute.KeyValue, complete bool) {
	q.messaging(semconv.MessagingSystemKafka, operation, what)
	if name := s.names.name(b.topic); name != "" {
		q.addressed(name, subjectTemplate(name))
	}
	q.text(semconv.MessagingClientIDKey, client)
	switch {
	case b.partitions == 1 && complete:
		q.text(semconv.MessagingDestinationPartitionIDKey, strconv.Itoa(int(b.partition)))
	case b.partitions == 0 && b.code != 0:
		q.text(semconv.MessagingDestinationPartitionIDKey, strconv.Itoa(int(b.failedAt)))
	}
	if b.records.count > 1 && !b.records.uncounted && complete {
		q.number(semconv.MessagingBatchMessageCountKey, b.records.count)
	}
	if b.records.unread {
		q.lacks = sealed
	}
}

// produce takes a request with messages.
func (s *kafka) produce(f *frame, h *kafkaRequest, asked *kafkaAsked) {
	r := h.body
	if !asked.known {
		q := s.link.ask(f)
		q.id, q.note = uint64(h.id), asked
		(&kafkaBatches{}).describe(s, q, asked.client, "send", semconv.MessagingOperationTypeSend, false)
		q.producer()
		return
	}
	if h.version >= 3 {
		r.string() // transaction
	}
	acks := r.int16()
	r.int32() // timeout
	topics := r.length()
	for n := range topics {
		b, complete := r.produced(h.version)
		if n >= maxKafkaTopics || b.topic == (kafkaTopic{}) {
			s.link.drop(s.link.ask(f), uncaptured)
			return
		}
		q := s.link.ask(f)
		own := *asked
		own.topic, own.single = b.topic, complete && b.records.count == 1 && !b.records.uncounted
		q.id, q.note = uint64(h.id), &own
		b.describe(s, q, asked.client, "send", semconv.MessagingOperationTypeSend, complete)
		q.producer()
		if trace := b.records.agreed(); complete {
			s.link.carries(q, trace)
		}
		if acks == 0 {
			s.link.finish(q, f)
		}
	}
}

func (q *query) producer() {
	if q.origin.role == RoleClient {
		q.kind = KindProducer
	}
}

// produced reads a topic of a produce request. It is not complete if some of its
// partitions may lie beyond the capture.
func (r *kafkaReader) produced(version int16) (b kafkaBatches, complete bool) {
	b.topic = r.topic(version >= 13)
	partitions := r.length()
	for n := range partitions {
		partition := r.int32()
		if r.short {
			return b, false
		}
		data, size := r.records()
		b.add(partition, data, size)
		if r.short {
			return b, n == partitions-1
		}
		r.tags(noTag)
	}
	r.tags(noTag)
	return b, true
}

// produced takes the answer to the produce request of that id.
func (s *kafka) produced(f *frame, id uint64, asked *kafkaAsked, r kafkaReader) {
	for topics := r.length(); topics > 0 && !r.short; topics-- {
		topic := r.topic(asked.version >= 13)
		q := s.sent(id, topic)
		for partitions := r.length(); partitions > 0 && !r.short; partitions-- {
			code, offset, text := r.stored(asked.version)
			switch {
			case q == nil || r.short:
			case code != 0:
				q.refuse(code, text)
			default:
				own, _ := q.note.(*kafkaAsked)
				if own.single && offset >= 0 {
					q.number(semconv.MessagingKafkaOffsetKey, offset)
				}
			}
		}
		r.tags(noTag)
		if q != nil && !r.short {
			s.link.finish(q, f)
		}
	}
	for q := s.link.find(id); q != nil; q = s.link.find(id) {
		if r.short { // whether these failed is not known
			s.link.drop(q, uncaptured)
		} else {
			s.link.finish(q, f)
		}
	}
}

// sent returns the request with that id for that topic.
func (s *kafka) sent(id uint64, topic kafkaTopic) *query {
	for q := s.link.first; q != nil; q = q.next {
		if own, _ := q.note.(*kafkaAsked); q.id == id && own != nil && own.topic == topic {
			return q
		}
	}
	return nil
}

// stored reads what became of one partition's messages.
func (r *kafkaReader) stored(version int16) (code int16, offset int64, text string) {
	r.int32() // partition
	code, offset = r.int16(), r.int64()
	if version >= 2 {
		r.int64() // time
	}
	if version >= 5 {
		r.int64() // offset of the log's begin
	}
	if version >= 8 {
		for records := r.length(); records > 0 && !r.short; records-- {
			r.int32()
			r.string()
			r.tags(noTag)
		}
		text = string(r.string())
	}
	r.tags(noTag)
	return code, offset, text
}

// fetched takes the answer to a fetch request: a span for each topic that it
// brings something of, or an error.
func (s *kafka) fetched(f *frame, q *query, asked *kafkaAsked, r kafkaReader) {
	if asked.version >= 1 {
		r.int32() // throttle time
	}
	if asked.version >= 7 {
		r.int16() // error of the session: it will be begun anew
		r.int32() // session
	}
	var first kafkaBatches
	topics := r.length()
	told := 0
	for n := range topics {
		b, complete := r.fetched(asked.version)
		switch {
		case !b.records.any && b.code == 0:
		case told >= maxKafkaTopics:
			r.short = true
		case told == 0:
			first = b
			s.poll(q, &b, asked, complete)
			told++
		default:
			other := s.link.beside(q)
			s.poll(other, &b, asked, complete)
			s.received(other, &b, complete)
			s.link.finish(other, f)
			told++
		}
		if r.short && n < topics-1 {
			s.link.drop(s.link.beside(q), uncaptured)
			break
		}
	}
	if told > 0 {
		s.received(q, &first, !r.short)
	}
	s.link.finish(q, f)
}

// poll says of q that it got b.
func (s *kafka) poll(q *query, b *kafkaBatches, asked *kafkaAsked, complete bool) {
	q.auxiliary = false
	b.describe(s, q, asked.client, "poll", semconv.MessagingOperationTypeReceive, complete)
	q.text(semconv.MessagingConsumerGroupNameKey, s.groupOf(&q.origin, asked.client))
	if b.records.count == 1 && b.records.hasFirst && !b.records.uncounted && complete {
		q.number(semconv.MessagingKafkaOffsetKey, b.records.offset)
	}
	if b.code != 0 {
		q.refuse(b.code, "")
	}
}

// received makes the sender q's parent, if it has none and there is only one.
func (s *kafka) received(q *query, b *kafkaBatches, complete bool) {
	if complete && q.origin.role == RoleClient && q.origin.trace.Evidence == EvidenceNone {
		s.link.carries(q, b.records.agreed())
	}
}

// fetched reads a topic of the answer to a fetch request.
func (r *kafkaReader) fetched(version int16) (b kafkaBatches, complete bool) {
	b.topic = r.topic(version >= 13)
	partitions := r.length()
	for n := range partitions {
		partition, code := r.int32(), r.int16()
		r.int64() // high watermark
		if version >= 4 {
			r.int64() // last stable offset
		}
		if version >= 5 {
			r.int64() // offset of the log's begin
		}
		if version >= 4 {
			for aborted := r.length(); aborted > 0 && !r.short; aborted-- {
				r.take(8 + 8)
				r.tags(noTag)
			}
		}
		if version >= 11 {
			r.int32() // replica to read from
		}
		if r.short {
			return b, false
		}
		data, size := r.records()
		b.add(partition, data, size)
		if code != 0 && b.code == 0 {
			b.code, b.failedAt = code, partition
		}
		if r.short {
			return b, n == partitions-1
		}
		r.tags(noTag)
	}
	r.tags(noTag)
	return b, true
}
