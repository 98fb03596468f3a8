package protocol

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// amqpRoute says where a message goes, or came from.
type amqpRoute struct {
	exchange, key string
	queue         string // of a consumer
}

// describe records the route by the conventions for RabbitMQ: the name of a
// destination is made of those of its parts that there are.
func (r *amqpRoute) describe(q *query, sent bool) {
	q.addressed(r.join(sent, func(name string) string { return name }), r.join(sent, amqpTemplate))
	q.text(semconv.MessagingRabbitMQDestinationRoutingKeyKey, r.key)
	if strings.HasPrefix(r.queue, amqpGenerated) || sent && strings.HasPrefix(r.key, amqpGenerated) {
		q.attributes = append(q.attributes, semconv.MessagingDestinationAnonymous(true))
	}
}

func (r *amqpRoute) join(sent bool, say func(string) string) string {
	parts := make([]string, 0, 3)
	for _, part := range []string{r.exchange, r.key} {
		if part != "" {
			parts = append(parts, say(part))
		}
	}
	if r.queue != "" && r.queue != r.key && r.queue != amqpReplyTo {
		parts = append(parts, say(r.queue))
	}
	if len(parts) == 0 && sent {
		return "amq.default"
	}
	return strings.Join(parts, ":")
}

const (
	amqpGenerated = "amq.gen-"                // names of queues that the server chose
	amqpReplyTo   = "amq.rabbitmq.reply-to"   // a client's own answers
	amqpReplies   = "amq.rabbitmq.reply-to.*" // where to, an answer at a time
)

// amqpTemplate is the name of an exchange, a queue or a routing key without what
// was made up for one occasion.
func amqpTemplate(name string) string {
	switch {
	case strings.HasPrefix(name, amqpGenerated):
		return amqpGenerated + "*"
	case strings.HasPrefix(name, amqpReplyTo+"."):
		return amqpReplies
	}
	return subjectTemplate(name)
}

// amqpPublished is what is remembered of a publish that waits, as its note.
type amqpPublished struct {
	route     amqpRoute
	tag       uint64    // by which it will be confirmed; 0: it will not
	end       time.Time // of its last byte; zero: that has not come
	mandatory bool
}

// amqpContent is a message that is on its way, frame by frame (section 4.2.6).
type amqpContent struct {
	method amqpMethod // 0: none is
	number uint16     // of the channel
	headed bool       // the header has come
	left   uint64     // of the body

	query  *query // of a publish or a get
	first  time.Time
	origin origin
	route  amqpRoute
	tag    uint64 // of a delivery
	source string // tag of a consumer
	code   string // why it was returned
	reason string
	amqpProperties
}

// amqpProperties is what is recorded of a message's header.
type amqpProperties struct {
	size         uint64 // of the body
	id           string
	conversation string // correlation-id
	trace        []byte // traceparent
}

// abandon gives up a message whose end did not come.
func (m *amqpContent) abandon(l *link) {
	if m.method == 0 {
		return
	}
	if m.query != nil {
		l.drop(m.query, endUnseen)
	}
	*m = amqpContent{}
}

// begin takes the method that a server's message begins with.
func (m *amqpContent) begin(f *frame, number uint16, method amqpMethod, r amqpReader) {
	*m = amqpContent{method: method, number: number, first: f.first, origin: *f.origin}
	switch method {
	case amqpReturn:
		m.code, m.reason = strconv.FormatUint(r.number(2), 10), withoutTyped(r.short())
	case amqpDeliver:
		m.source = r.short()
	}
	if method != amqpReturn {
		m.tag = r.number(8)
		r.number(1) // redelivered
	}
	m.route.exchange, m.route.key = r.short(), r.short()
}

// publish begins a message of a client.
func (s *amqp) publish(f *frame, number uint16, c *amqpChannel, kind *amqpKind, r amqpReader) {
	l := s.link
	if l.depth >= maxUnconfirmed {
		s.relieve()
	}
	names, bits := kind.arguments(&r)
	p := &amqpPublished{route: amqpRoute{exchange: names[0], key: names[1]}, mandatory: bits&1 != 0}
	if c.published >= 0 {
		c.published++
		p.tag = uint64(c.published)
	}
	q := l.ask(f)
	q.id, q.note = amqpID(number, amqpPublish), p
	if f.origin.role == RoleClient {
		q.kind = KindProducer
	}
	q.messaging(semconv.MessagingSystemRabbitMQ, kind.name, semconv.MessagingOperationTypeSend)
	p.route.describe(q, true)
	c.closed.fail(q)
	c.content[toServer] = amqpContent{method: amqpPublish, number: number, query: q}
}

// relieve ends the oldest publish that waits for its confirmation.
func (s *amqp) relieve() {
	for q := s.link.first; q != nil; q = q.next {
		if p, _ := q.note.(*amqpPublished); p != nil && !p.end.IsZero() {
			s.link.finishAt(q, p.end)
			return
		}
	}
}

// header takes what comes before the body: its size, and properties, of which
// there are those that flags name, the highest first (section 4.2.6.1).
func (m *amqpContent) header(s *amqp, f *frame, r amqpReader) {
	if m.method == 0 || m.headed {
		return
	}
	r.number(4) // class, weight
	m.headed, m.size = true, r.number(8)
	m.left = m.size
	flags := r.number(2)
	has := func(bit int) bool { return flags&(1<<bit) != 0 }
	for _, bit := range []int{15, 14} { // content-type, content-encoding
		if has(bit) {
			r.short()
		}
	}
	if has(13) {
		table := amqpReader(r.long())
		m.trace = append(m.trace, table.field("traceparent")...)
	}
	for _, bit := range []int{12, 11} { // delivery-mode, priority
		if has(bit) {
			r.number(1)
		}
	}
	if has(10) {
		m.conversation = r.short()
	}
	for _, bit := range []int{9, 8} { // reply-to, expiration
		if has(bit) {
			r.short()
		}
	}
	if has(7) {
		m.id = r.short()
	}
	if m.left == 0 {
		m.end(s, f)
	}
}

// rest is the size of a body frame of n bytes with all those behind it. A server
// sends the frames of a message in one go, each but the last as long as the first;
// where they begin may be in the midst of a long receive, of which the middle is
// not seen.
func (m *amqpContent) rest(n int64) int64 {
	const most = 1 << 40 // beyond that it is no size of a body
	payload := uint64(n) - amqpFrameStart - 1
	if m.method == 0 || !m.headed || payload == 0 || payload >= m.left || m.left > most {
		return n
	}
	frames := (m.left + payload - 1) / payload
	return int64(m.left + frames*(amqpFrameStart+1))
}

// body takes a frame of the body, or one with all that are left.
func (m *amqpContent) body(s *amqp, f *frame) {
	n := f.size - amqpFrameStart - 1
	if n > uint64(binary.BigEndian.Uint32(f.data[3:])) {
		n = m.left
	}
	switch {
	case m.method == 0:
	case !m.headed, n > m.left:
		m.abandon(s.link)
	default:
		if m.left -= n; m.left == 0 {
			m.end(s, f)
		}
	}
}

// end takes the last frame of a message.
func (m *amqpContent) end(s *amqp, f *frame) {
	l, c := s.link, s.channel(m.number)
	done := *m
	*m = amqpContent{}
	switch done.method {
	case amqpPublish:
		done.describe(done.query)
		l.carries(done.query, done.trace)
		if p, _ := done.query.note.(*amqpPublished); p != nil && p.tag != 0 {
			p.end = f.last // and now it waits
			return
		}
		l.finish(done.query, f)
	case amqpGetOK:
		q := done.query
		done.route.queue, _ = q.note.(string)
		done.received(q, c, semconv.MessagingOperationTypeReceive)
		if q.origin.role == RoleClient && q.origin.trace.Evidence == EvidenceNone {
			l.carries(q, done.trace)
		}
		l.finish(q, f)
	case amqpDeliver:
		done.route.queue = c.consumers[done.source]
		q := done.tell(l)
		done.received(q, c, semconv.MessagingOperationTypeProcess)
		l.carries(q, done.trace)
		l.finish(q, f)
	case amqpReturn:
		done.returned(l, f)
	}
}

// tell makes a span of a server's message, from its first byte.
func (m *amqpContent) tell(l *link) *query {
	q := l.tell(&frame{first: m.first, origin: &m.origin})
	if m.origin.role == RoleClient {
		q.kind = KindConsumer
	}
	return q
}

// received describes a message that a client got, which it is to settle.
func (m *amqpContent) received(q *query, c *amqpChannel, what attribute.KeyValue) {
	operation := "deliver"
	if m.method == amqpGetOK {
		operation = "get"
	}
	q.messaging(semconv.MessagingSystemRabbitMQ, operation, what)
	m.route.describe(q, false)
	q.number(semconv.MessagingRabbitMQMessageDeliveryTagKey, int64(m.tag))
	m.describe(q)
	if len(c.unsettled) >= maxUnsettled {
		c.unsettled = append(c.unsettled[:0], c.unsettled[1:]...)
		c.forgot = true
	}
	c.unsettled = append(c.unsettled, amqpDelivery{m.tag, m.route})
}

func (p *amqpProperties) describe(q *query) {
	q.number(semconv.MessagingMessageBodySizeKey, int64(p.size))
	q.text(semconv.MessagingMessageIDKey, p.id)
	q.text(semconv.MessagingMessageConversationIDKey, p.conversation)
}

// returned takes a message that the server could not deliver. Those come in the
// order in which they were published, each before it is confirmed.
func (m *amqpContent) returned(l *link, f *frame) {
	for q := l.first; q != nil; q = q.next {
		p, _ := q.note.(*amqpPublished)
		if p != nil && p.mandatory && p.route == m.route && !q.failed && q.id>>32 == uint64(m.number) {
			q.fail(m.code, m.reason)
			return
		}
	}
	q := m.tell(l)
	q.messaging(semconv.MessagingSystemRabbitMQ, "return", attribute.KeyValue{})
	m.route.describe(q, true)
	m.describe(q)
	l.carries(q, m.trace)
	q.fail(m.code, m.reason)
	l.finish(q, f)
}

// confirm ends the publishes that the server says it has, or refuses.
func (s *amqp) confirm(f *frame, number uint16, m amqpMethod, r amqpReader) {
	l := s.link
	tag, several := r.number(8), r.number(1)&1 != 0
	found := false
	for q := l.first; q != nil; {
		next := q.next
		p, _ := q.note.(*amqpPublished)
		if p != nil && q.id>>32 == uint64(number) && !p.end.IsZero() && (p.tag == tag || several && (p.tag < tag || tag == 0)) {
			found = true
			l.answer(q, f)
			if m == amqpNack {
				q.fail("nack", "the server refused the message")
			}
			l.finish(q, f)
		}
		q = next
	}
	if !found && m == amqpNack {
		l.stray() // of a publish that was not known to be confirmed
	}
}

// settle takes what a client says has become of messages that it received.
func (s *amqp) settle(f *frame, c *amqpChannel, m amqpMethod, r amqpReader) {
	tag, bits := r.number(8), r.number(1)
	several := m != amqpReject && bits&1 != 0
	var route amqpRoute
	n, same, left := 0, true, c.unsettled[:0]
	counted := several && tag == 0 && !c.forgot
	for _, u := range c.unsettled {
		if u.tag != tag && (!several || u.tag > tag && tag != 0) {
			left = append(left, u)
			continue
		}
		counted = counted || several && u.tag == tag && !c.forgot
		same = same && (n == 0 || u.route == route)
		route = u.route
		n++
	}
	c.unsettled = left
	q := s.link.ask(f)
	q.messaging(semconv.MessagingSystemRabbitMQ, amqpKinds[m].name, semconv.MessagingOperationTypeSettle)
	if n > 0 && same {
		route.describe(q, false)
	}
	if !several {
		q.number(semconv.MessagingRabbitMQMessageDeliveryTagKey, int64(tag))
	}
	if counted {
		q.number(semconv.MessagingBatchMessageCountKey, int64(n))
	}
	s.link.finish(q, f)
}
