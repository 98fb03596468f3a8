package protocol

// What is remembered of all connections is bounded: far more than a server has of
// either, usually. Any may go when there are more.
const (
	maxKafkaNames  = 8192
	maxKafkaGroups = 1024
)

// kafkaTopic is how a topic is called: by its name, or by its id.
type kafkaTopic struct {
	id   [16]byte
	name string
}

func (r *kafkaReader) topic(byID bool) (t kafkaTopic) {
	if byID {
		t.id = r.uuid()
	} else {
		t.name = string(r.string())
	}
	return t
}

// kafkaNames is what one connection tells that holds on others.
type kafkaNames struct {
	topics map[[16]byte]string
	groups map[kafkaMember]string // "": in more than one
}

// kafkaMember is who is in a group, as far as it can be told: the client of a
// process, by the name that it gives itself.
type kafkaMember struct {
	pid    uint32
	client string
}

func (n *kafkaNames) name(t kafkaTopic) string {
	if t.name != "" {
		return t.name
	}
	return n.topics[t.id]
}

// learn notes the topics in the answer to a metadata request of that version.
func (n *kafkaNames) learn(version int16, r kafkaReader) {
	if version < 10 { // they have no ids
		return
	}
	r.int32() // throttle time
	r.metadata(version, func(_ int16, name string, id [16]byte) bool {
		if name != "" && id != [16]byte{} {
			makeRoom(n.topics, maxKafkaNames)
			n.topics[id] = name
		}
		return true
	})
}

// metadata reads the topics in an answer of that version, behind the throttle
// time, until visit has seen enough.
func (r *kafkaReader) metadata(version int16, visit func(code int16, name string, id [16]byte) (more bool)) {
	for servers := r.length(); servers > 0 && !r.short; servers-- {
		r.int32()
		r.string() // host
		r.int32()
		if version >= 1 {
			r.string() // rack
		}
		r.tags(noTag)
	}
	if version >= 2 {
		r.string() // cluster
	}
	if version >= 1 {
		r.int32() // controller
	}
	for topics := r.length(); topics > 0 && !r.short; topics-- {
		code, name, id := r.int16(), string(r.string()), [16]byte{}
		if version >= 10 {
			id = r.uuid()
		}
		if r.short || !visit(code, name, id) {
			return
		}
		if version >= 1 {
			r.int8() // internal
		}
		r.partitions(version)
		if version >= 8 {
			r.int32() // operations
		}
		r.tags(noTag)
	}
}

// partitions leaves out those of a topic in an answer to a metadata request.
func (r *kafkaReader) partitions(version int16) {
	for n := r.length(); n > 0 && !r.short; n-- {
		r.take(2 + 4 + 4) // error, number, leader
		if version >= 7 {
			r.int32() // epoch
		}
		r.skip(4) // replicas
		r.skip(4) // in sync
		if version >= 5 {
			r.skip(4) // offline
		}
		r.tags(noTag)
	}
}

func makeRoom[K comparable, V any](m map[K]V, most int) {
	for k := range m {
		if len(m) < most {
			return
		}
		delete(m, k)
	}
}

// joins notes the group of a client, from the requests that only members make.
func (s *kafka) joins(f *frame, h *kafkaRequest) {
	switch h.key {
	case kafkaJoin, kafkaHeartbeat, kafkaSync, kafkaGroup:
	default:
		return
	}
	if !h.known() {
		return
	}
	r := h.body
	s.group = string(r.string())
	if r.short || s.group == "" || f.origin.role != RoleClient {
		return
	}
	m := kafkaMember{f.origin.pid, string(h.client)}
	switch before, known := s.names.groups[m]; {
	case !known:
		makeRoom(s.names.groups, maxKafkaGroups)
		s.names.groups[m] = s.group
	case before != s.group:
		s.names.groups[m] = ""
	}
}

// groupOf returns the group of a client, if it is known.
func (s *kafka) groupOf(o *origin, client string) string {
	if s.group != "" || o.role != RoleClient {
		return s.group
	}
	return s.names.groups[kafkaMember{o.pid, client}]
}
