package protocol

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// kafkaRefusal is the first error of an answer, if its code is not 0.
type kafkaRefusal struct {
	code  int16
	text  string // what the server said of it; empty: nothing
	topic string // that it is of, if it is of one
}

// kafkaHelper is a kind of request that clients make beside producing and
// fetching. It is a span only if it failed.
type kafkaHelper struct {
	name string
	what attribute.KeyValue // the type of operation, if there is one
	// urgent says that the answer comes soon, so that none is a failure as well.
	// Others wait for the rest of a group.
	urgent bool
	// grouped is the first version that does not begin with a group's name.
	grouped int16
	// throttled is the first version whose answer begins with a throttle time.
	throttled int16
	// refused reads the first error behind that.
	refused func(r *kafkaReader, version int16) kafkaRefusal
}

const kafkaNever = int16(99)

// kafkaHelpers are those kinds. Missing are those of which a failure tells
// nothing, as an older version is tried then, and those that servers send.
var kafkaHelpers = map[int16]kafkaHelper{
	2:                 {name: "ListOffsets", throttled: 2, refused: refusedOffsets},
	kafkaMetadata:     {name: "Metadata", throttled: 3, refused: refusedMetadata},
	kafkaCommit:       {name: "commit", what: semconv.MessagingOperationTypeSettle, urgent: true, grouped: kafkaNever, throttled: 3, refused: refusedCommit},
	9:                 {name: "OffsetFetch", grouped: 8, throttled: 3, refused: refusedOffsetFetch},
	10:                {name: "FindCoordinator", throttled: 1, refused: refusedCoordinator},
	kafkaJoin:         {name: "JoinGroup", grouped: kafkaNever, throttled: 2, refused: refusedAtOnce},
	kafkaHeartbeat:    {name: "Heartbeat", grouped: kafkaNever, throttled: 1, refused: refusedAtOnce},
	13:                {name: "LeaveGroup", grouped: kafkaNever, throttled: 1, refused: refusedAtOnce},
	kafkaSync:         {name: "SyncGroup", grouped: kafkaNever, throttled: 1, refused: refusedAtOnce},
	kafkaHandshake:    {name: "SaslHandshake", urgent: true, throttled: kafkaNever, refused: refusedAtOnce},
	19:                {name: "CreateTopics", throttled: 2, refused: refusedCreation},
	20:                {name: "DeleteTopics", throttled: 1, refused: refusedDeletion},
	21:                {name: "DeleteRecords", refused: refusedTruncation},
	kafkaInit:         {name: "InitProducerId", urgent: true, refused: refusedAtOnce},
	24:                {name: "AddPartitionsToTxn", refused: refusedPartitions},
	25:                {name: "AddOffsetsToTxn", refused: refusedAtOnce},
	26:                {name: "EndTxn", refused: refusedAtOnce},
	28:                {name: "TxnOffsetCommit", what: semconv.MessagingOperationTypeSettle, refused: refusedTxnCommit},
	kafkaAuthenticate: {name: "SaslAuthenticate", urgent: true, throttled: kafkaNever, refused: refusedWithText},
	37:                {name: "CreatePartitions", refused: refusedGrowth},
	42:                {name: "DeleteGroups", refused: refusedGroups},
	kafkaGroup:        {name: "ConsumerGroupHeartbeat", grouped: kafkaNever, refused: refusedWithText},
}

// kafkaPassing are errors by which a server tells a client what to do next, in
// the course of things: where to ask, or to join a group anew.
var kafkaPassing = map[int16]bool{
	5: true, 6: true, 14: true, 15: true, 16: true, 22: true, 25: true, 27: true, 41: true,
	51: true, 74: true, 75: true, 78: true, 79: true, 88: true, 100: true, 103: true, 110: true, 113: true,
}

// helper begins to wait for the answer to such a request.
func (s *kafka) helper(q *query, h *kafkaRequest, asked *kafkaAsked) {
	k, ok := kafkaHelpers[h.key]
	if !ok || !asked.known {
		s.link.void(q, auxiliary)
		return
	}
	q.auxiliary = true
	if r := h.body; k.grouped > h.version {
		asked.group = string(r.string())
	}
	if !k.urgent {
		q.patience = endless
		return
	}
	k.describe(q, asked)
}

func (k *kafkaHelper) describe(q *query, asked *kafkaAsked) {
	q.messaging(semconv.MessagingSystemKafka, k.name, k.what)
	q.text(semconv.MessagingClientIDKey, asked.client)
	q.text(semconv.MessagingConsumerGroupNameKey, asked.group)
}

// helped takes the answer to such a request.
func (s *kafka) helped(q *query, asked *kafkaAsked, r kafkaReader) {
	if asked.key == kafkaMetadata {
		s.names.learn(asked.version, r)
	}
	if q.void {
		return
	}
	k := kafkaHelpers[asked.key]
	if asked.version >= k.throttled {
		r.int32()
	}
	e := k.refused(&r, asked.version)
	if e.code == 0 || kafkaPassing[e.code] && !k.urgent {
		return
	}
	if !k.urgent {
		k.describe(q, asked)
	}
	if e.topic != "" {
		q.addressed(e.topic, subjectTemplate(e.topic))
	}
	q.refuse(e.code, e.text)
}

func refusedAtOnce(r *kafkaReader, _ int16) kafkaRefusal { return kafkaRefusal{code: r.int16()} }

func refusedWithText(r *kafkaReader, _ int16) kafkaRefusal {
	return kafkaRefusal{code: r.int16(), text: string(r.string())}
}

func refusedCoordinator(r *kafkaReader, version int16) (e kafkaRefusal) {
	if version < 4 {
		if e.code = r.int16(); version >= 1 {
			e.text = string(r.string())
		}
		return e
	}
	for n := r.length(); n > 0 && !r.short && e.code == 0; n-- {
		r.string() // group, or transaction
		r.int32()  // server
		r.string() // host
		r.int32()
		e.code, e.text = r.int16(), string(r.string())
		r.tags(noTag)
	}
	return e
}

// perPartition reads answers that have a list of topics with their partitions,
// whose code has that many bytes before it and behind it.
func (r *kafkaReader) perPartition(byID bool, before, behind int64) (e kafkaRefusal) {
	for topics := r.length(); topics > 0 && !r.short; topics-- {
		topic := r.topic(byID)
		for partitions := r.length(); partitions > 0 && !r.short; partitions-- {
			r.int32() // number
			r.take(before)
			if e.code = r.int16(); e.code != 0 {
				e.topic = topic.name
				return e
			}
			r.take(behind)
			r.tags(noTag)
		}
		r.tags(noTag)
	}
	return e
}

func refusedCommit(r *kafkaReader, version int16) kafkaRefusal {
	return r.perPartition(version >= 10, 0, 0)
}

func refusedTxnCommit(r *kafkaReader, version int16) kafkaRefusal {
	return r.perPartition(version >= 6, 0, 0)
}

func refusedTruncation(r *kafkaReader, _ int16) kafkaRefusal { return r.perPartition(false, 8, 0) }

func refusedPartitions(r *kafkaReader, version int16) kafkaRefusal {
	if version >= 4 {
		return refusedAtOnce(r, version)
	}
	return r.perPartition(false, 0, 0)
}

func refusedOffsets(r *kafkaReader, version int16) kafkaRefusal {
	switch {
	case version == 0: // of 2015, otherwise than the rest
		return kafkaRefusal{}
	case version < 4:
		return r.perPartition(false, 0, 8+8)
	}
	return r.perPartition(false, 0, 8+8+4)
}

func refusedOffsetFetch(r *kafkaReader, version int16) (e kafkaRefusal) {
	if version < 8 {
		if e = r.fetchedOffsets(version); e.code == 0 && version >= 2 {
			e.code = r.int16()
		}
		return e
	}
	for groups := r.length(); groups > 0 && !r.short && e.code == 0; groups-- {
		r.string()
		if e = r.fetchedOffsets(version); e.code == 0 {
			e.code = r.int16()
		}
		r.tags(noTag)
	}
	return e
}

func (r *kafkaReader) fetchedOffsets(version int16) (e kafkaRefusal) {
	for topics := r.length(); topics > 0 && !r.short; topics-- {
		topic := r.topic(version >= 10)
		for partitions := r.length(); partitions > 0 && !r.short; partitions-- {
			r.take(4 + 8) // number and offset
			if version >= 5 {
				r.int32() // epoch
			}
			r.string() // what the client wished to remember
			if e.code = r.int16(); e.code != 0 {
				e.topic = topic.name
				return e
			}
			r.tags(noTag)
		}
		r.tags(noTag)
	}
	return e
}

func refusedCreation(r *kafkaReader, version int16) (e kafkaRefusal) {
	for topics := r.length(); topics > 0 && !r.short && e.code == 0; topics-- {
		e.topic = string(r.string())
		if version >= 7 {
			r.uuid()
		}
		if e.code = r.int16(); version >= 1 {
			e.text = string(r.string())
		}
		if version >= 5 {
			r.take(4 + 2) // partitions, replicas
			for settings := r.length(); settings > 0 && !r.short; settings-- {
				r.string()        // name
				r.string()        // value
				r.take(1 + 1 + 1) // and what it is
				r.tags(noTag)
			}
		}
		r.tags(noTag)
	}
	return e
}

func refusedDeletion(r *kafkaReader, version int16) (e kafkaRefusal) {
	for topics := r.length(); topics > 0 && !r.short && e.code == 0; topics-- {
		e.topic = string(r.string())
		if version >= 6 {
			r.uuid()
		}
		if e.code = r.int16(); version >= 5 {
			e.text = string(r.string())
		}
		r.tags(noTag)
	}
	return e
}

func refusedGrowth(r *kafkaReader, _ int16) (e kafkaRefusal) {
	for topics := r.length(); topics > 0 && !r.short && e.code == 0; topics-- {
		e.topic = string(r.string())
		e.code, e.text = r.int16(), string(r.string())
		r.tags(noTag)
	}
	return e
}

func refusedGroups(r *kafkaReader, version int16) (e kafkaRefusal) {
	for groups := r.length(); groups > 0 && !r.short && e.code == 0; groups-- {
		r.string()
		if e.code = r.int16(); version >= 3 {
			e.text = string(r.string())
		}
		r.tags(noTag)
	}
	return e
}

// refusedMetadata reads an answer whose throttle time was read.
func refusedMetadata(r *kafkaReader, version int16) (e kafkaRefusal) {
	r.metadata(version, func(code int16, name string, _ [16]byte) bool {
		e.code, e.topic = code, name
		return code == 0
	})
	return e
}
