package protocol

import (
	"encoding/binary"
	"math"
	"strings"
)

// Kafka's protocol: a size, then a request that says what it is, in which version,
// and a correlation id, which the answer repeats.
//
// A produce request is a span for each topic in it, and so is what a fetch request
// brings: one that brings nothing is none, as it was only waiting. Their records
// are read for a trace context in the headers, which holds if it is the only one.
// Requests that a consumer or a producer makes to do its work are spans only if
// they fail (kafkaHelpers).
//
// A topic may be called by its id, which the answer to a metadata request explains,
// on this or another connection; and the group of a consumer is known from what it
// says to its coordinator, often on another connection too. Both are remembered
// beyond the connection (kafkaNames).

const (
	kafkaProduce      = 0
	kafkaFetch        = 1
	kafkaMetadata     = 3
	kafkaCommit       = 8
	kafkaJoin         = 11
	kafkaHeartbeat    = 12
	kafkaSync         = 14
	kafkaHandshake    = 17
	kafkaVersions     = 18
	kafkaInit         = 22
	kafkaAuthenticate = 36
	kafkaGroup        = 68

	kafkaHead = 8 // key, version, correlation id
	// maxKafka bounds messages; servers take 100 MiB unless told otherwise. Text of
	// any kind, and TLS, looks longer.
	maxKafka = 256 << 20
	// maxKafkaClient bounds the name of a client; servers take what they are told.
	maxKafkaClient = 255
	// wholeKafka is how long a segment must be to hold only a part of a request:
	// clients send them whole but for long ones.
	wholeKafka = 512
	// newerKafka is by how much a version may be newer than those known here.
	newerKafka = 8
)

// kafkaRequest is what a request begins with.
type kafkaRequest struct {
	key, version int16
	id           uint32
	client       []byte
	body         kafkaReader
}

// api is what is known of the kind of request, false if nothing is.
func (q *kafkaRequest) api() (kafkaAPI, bool) {
	if q.key < 0 || int(q.key) >= len(kafkaAPIs) {
		return kafkaAPI{}, false
	}
	return kafkaAPIs[q.key], true
}

// known says that its fields are those of a version that is known here.
func (q *kafkaRequest) known() bool {
	api, ok := q.api()
	return ok && q.version <= api.newest
}

// readKafka reads what the frame begins with that data is the start of. It returns
// false if that can't be.
func readKafka(data []byte) (q kafkaRequest, ok bool) {
	r := kafkaReader{data: data}
	r.int32()
	q.key, q.version, q.id = r.int16(), r.int16(), uint32(r.int32())
	api, known := q.api()
	if !known || q.version < 0 || q.version > api.newest+newerKafka {
		return q, false
	}
	n := int64(r.int16())
	if n > maxKafkaClient || n < -1 {
		return q, false
	}
	if n > 0 {
		q.client = r.take(n)
	}
	r.flexible = api.flexible >= 0 && q.version >= api.flexible
	r.tags(noTag)
	q.body = r
	return q, isPrintable(q.client)
}

func detectKafka(d direction, data []byte, size uint64) bool {
	if d != toServer || !kafkaBegins(data, size) {
		return false
	}
	n := kafkaSize(data) + 4
	return n >= int64(len(data))-kafkaHead || kafkaBegins(data[n:], size-uint64(n))
}

func kafkaSize(data []byte) int64 { return int64(binary.BigEndian.Uint32(data)) }

// kafkaBegins says whether data, of a segment of that size, begins with a request,
// and nothing contradicts it.
func kafkaBegins(data []byte, size uint64) bool {
	if len(data) < 4+kafkaHead+2 {
		return false
	}
	n := kafkaSize(data)
	if n < kafkaHead+2 || n > maxKafka || uint64(4+n) > size && size < wholeKafka {
		return false
	}
	isWhole := 4+n <= int64(len(data))
	q, ok := readKafka(data[:min(4+n, int64(len(data)))])
	if !ok || q.body.short && isWhole || q.id > math.MaxInt32 {
		return false
	}
	return q.looksSo(isWhole)
}

// looksSo looks at the first fields of the requests that are made most.
func (q *kafkaRequest) looksSo(isWhole bool) bool {
	r := q.body
	switch {
	case !q.known():
		return len(q.client) > 0 // or there is too little to go by
	case q.key == kafkaVersions && q.version < 3:
		return len(r.data) == 0
	case q.key == kafkaVersions:
		name, version := r.string(), r.string() // of the client's library
		return isPrintable(name) && isPrintable(version) && !(isWhole && r.short)
	case q.key == kafkaProduce:
		if q.version >= 3 && !isPrintable(r.string()) {
			return false
		}
		acks, timeout, topics := r.int16(), r.int32(), r.length()
		if acks < -1 || acks > 1 || timeout < 0 || topics > maxKafkaTopics || isWhole && (r.short || topics == 0) {
			return false
		}
		if name := r.topic(q.version >= 13); isWhole && (name.id == [16]byte{} && name.name == "" || !isPrintable([]byte(name.name))) {
			return false
		}
		return r.length() > 0 || r.short && !isWhole
	case q.key == kafkaFetch && q.version < 15:
		return r.fetches(q.version) && !(isWhole && r.short)
	}
	return q.key == kafkaFetch || len(q.client) > 0 // only who asks at length has no name
}

// fetches says whether what a fetch request begins with is possible.
func (r *kafkaReader) fetches(version int16) bool {
	replica, wait, least, most, isolation := r.int32(), r.int32(), r.int32(), int32(0), int8(0)
	if version >= 3 {
		most = r.int32()
	}
	if version >= 4 {
		isolation = r.int8()
	}
	if version >= 7 {
		r.take(4 + 4) // session and epoch
	}
	topics := r.length()
	return replica >= -2 && wait >= 0 && least >= 0 && most >= 0 && isolation>>1 == 0 &&
		(r.short || topics <= maxKafka/8)
}

// kafka follows a connection.
type kafka struct {
	link   *link
	losses uint32 // of answers, as of the latest frame
	names  *kafkaNames
	group  string // that the client is in, if it said so here
	tokens bool   // what comes may be of a login without requests: Kafka 0.9 to 0.11
}

func openKafka(l *link) session {
	names, _ := l.owner.learnt["kafka"].(*kafkaNames)
	if names == nil {
		names = &kafkaNames{topics: make(map[[16]byte]string), groups: make(map[kafkaMember]string)}
		l.owner.learnt["kafka"] = names
	}
	return &kafka{link: l, losses: l.losses[toClient], names: names}
}

func (s *kafka) measure(d direction, data []byte) int64 {
	if len(data) < 4 {
		return 0
	}
	least := int64(4)
	if d == toServer {
		least = kafkaHead
	}
	if s.tokens {
		least = 0
	}
	if n := kafkaSize(data); n >= least && n <= maxKafka {
		return 4 + n
	}
	return -1
}

// resume looks for a request of which all fits. An answer begins with too little.
func (s *kafka) resume(d direction, data []byte) int {
	if d == toClient {
		return -1
	}
	for i := range data {
		if kafkaBegins(data[i:], uint64(len(data)-i)) {
			return i
		}
	}
	return -1
}

func (s *kafka) take(d direction, f *frame) bool {
	if s.losses != s.link.losses[toClient] { // which answers were in the gap is not known
		s.losses = s.link.losses[toClient]
		s.link.voidAll(endUnseen)
	}
	if d == toServer {
		q, ok := readKafka(f.data)
		if !ok || !f.cut() && q.body.short {
			return s.tokens
		}
		s.tokens = q.key == kafkaHandshake && q.version == 0
		s.ask(f, &q)
		return true
	}
	if len(f.data) < 8 {
		return s.tokens || f.cut()
	}
	id := uint64(binary.BigEndian.Uint32(f.data[4:]))
	q := s.link.find(id)
	if q == nil {
		if !s.tokens {
			s.link.stray()
		}
		return true
	}
	s.link.answer(q, f)
	s.answer(f, q)
	return true
}

// kafkaAsked is what a request that waits was.
type kafkaAsked struct {
	key, version int16
	flexible     bool
	known        bool
	client       string
	group        string     // that it names
	topic        kafkaTopic // of a produce request
	single       bool       // it has one record in all
}

// ask takes a request.
func (s *kafka) ask(f *frame, h *kafkaRequest) {
	s.joins(f, h)
	asked := &kafkaAsked{key: h.key, version: h.version, flexible: h.body.flexible, known: h.known(), client: string(h.client)}
	if h.key == kafkaProduce {
		s.produce(f, h, asked)
		return
	}
	q := s.link.ask(f)
	q.id, q.note = uint64(h.id), asked
	switch {
	case h.key == kafkaFetch && asked.known && !h.replicates():
		q.auxiliary, q.patience = true, endless
	case h.key == kafkaFetch:
		s.link.void(q, auxiliary)
	default:
		s.helper(q, h, asked)
	}
}

// replicates says whether a fetch request is of another server.
func (q *kafkaRequest) replicates() bool {
	r := q.body
	if q.version < 15 {
		return r.int32() >= 0
	}
	r.take(4 + 4 + 4 + 1 + 4 + 4) // wait, least, most, isolation, session and epoch
	for topics := r.length(); topics > 0 && !r.short; topics-- {
		r.uuid()
		for partitions := r.length(); partitions > 0 && !r.short; partitions-- {
			r.take(4 + 4 + 8 + 4 + 8 + 4) // number, epoch, offset, epoch, offset, most
			r.tags(noTag)
		}
		r.tags(noTag)
	}
	for forgotten := r.length(); forgotten > 0 && !r.short; forgotten-- {
		r.uuid()
		r.skip(4)
		r.tags(noTag)
	}
	r.string() // rack
	return len(r.tags(1)) > 0
}

// answer takes the answer to q.
func (s *kafka) answer(f *frame, q *query) {
	asked, _ := q.note.(*kafkaAsked)
	r := kafkaReader{data: f.data[8:]}
	if r.flexible = asked.flexible; asked.key != kafkaVersions {
		r.tags(noTag)
	}
	switch {
	case !asked.known:
		s.link.finish(q, f)
		return
	case asked.key == kafkaProduce:
		s.produced(f, uint64(binary.BigEndian.Uint32(f.data[4:])), asked, r)
		return
	case asked.key == kafkaFetch && !q.void:
		s.fetched(f, q, asked, r)
		return
	case asked.key != kafkaFetch:
		s.helped(q, asked, r)
	}
	s.link.finish(q, f)
}

// refuse makes q an error with that code and what the server said of it.
func (q *query) refuse(code int16, text string) {
	name := kafkaErrorName(code)
	if text = withoutTyped(text); text == "" {
		text = name
	}
	q.fail(name, strings.Clone(text))
}
