package protocol

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// ask begins a request of a client.
func (s *amqp) ask(f *frame, number uint16, c *amqpChannel, m amqpMethod, kind *amqpKind, r amqpReader) {
	var names [3]string
	var bits byte
	if kind.strings > 0 || kind.nowait != 0 {
		names, bits = kind.arguments(&r)
	}
	switch m {
	case amqpChannelOpen:
		*c = amqpChannel{published: -1}
	case amqpConfirmSelect:
		c.published = max(c.published, 0)
	case amqpConsume:
		if names[0] == "" {
			names[0] = c.queue
		}
		c.consumes(names[1], names[0])
	case amqpCancel:
		delete(c.consumers, names[0])
	}
	if bits&kind.nowait != 0 {
		return
	}
	if names[0] == "" && m == amqpGet {
		names[0] = c.queue
	}
	q := s.link.ask(f)
	q.id, q.note = amqpID(number, m), names[0]
	if m == amqpGet {
		q.messaging(semconv.MessagingSystemRabbitMQ, kind.name, semconv.MessagingOperationTypeReceive)
		(&amqpRoute{queue: names[0]}).describe(q, false)
	} else {
		q.messaging(semconv.MessagingSystemRabbitMQ, kind.name, attribute.KeyValue{})
		if m != amqpCancel {
			q.addressed(names[0], amqpTemplate(names[0]))
		}
	}
	if c.closed != nil {
		c.closed.fail(q)
		s.link.finish(q, f)
	}
}

// consumes remembers what queue a consumer is for. An empty tag names none: the
// server will choose it.
func (c *amqpChannel) consumes(tag, queue string) {
	if tag == "" {
		return
	}
	if c.consumers == nil {
		c.consumers = make(map[string]string)
	}
	for other := range c.consumers {
		if len(c.consumers) < maxAMQPConsumers {
			break
		}
		delete(c.consumers, other)
	}
	c.consumers[tag] = queue
}

// told takes a method of the server.
func (s *amqp) told(f *frame, number uint16, c *amqpChannel, m amqpMethod, r amqpReader) {
	l := s.link
	switch m {
	case amqpDeliver, amqpReturn:
		c.content[toClient].begin(f, number, m, r)
	case amqpGetOK:
		if q := l.find(amqpID(number, amqpGet)); q != nil {
			l.answer(q, f)
			c.content[toClient].begin(f, number, m, r)
			c.content[toClient].query = q
		} else {
			l.stray()
		}
	case amqpAck, amqpNack:
		s.confirm(f, number, m, r)
	case amqpChannelClose, amqpConnectionClose:
		s.fail(f, number, m, r)
	case amqpCancel:
		delete(c.consumers, r.short())
	case amqpDeclareOK:
		c.queue = r.short()
		s.answer(f, number, m)
	case amqpConsumeOK:
		if q := l.find(amqpID(number, amqpConsume)); q != nil {
			queue, _ := q.note.(string)
			c.consumes(r.short(), queue)
		}
		s.answer(f, number, m)
	case amqpChannelCloseOK:
		s.answer(f, number, m)
		s.close(number)
	case amqpConnectionCloseOK:
		s.answer(f, number, m)
		for number := range s.channels {
			s.close(number)
		}
	default:
		s.answer(f, number, m)
	}
}

// answer ends what the server answers: with a span only if that is a message.
func (s *amqp) answer(f *frame, number uint16, m amqpMethod) {
	asked := amqpKinds[m].answers
	if asked == 0 {
		return
	}
	switch q := s.link.find(amqpID(number, asked)); {
	case q == nil:
		s.link.stray()
	case asked == amqpGet:
		s.link.answer(q, f)
		s.link.finish(q, f)
	default:
		s.link.drop(q, auxiliary)
	}
}

// close forgets a channel. What was published on it and not confirmed is not known
// to have failed.
func (s *amqp) close(number uint16) {
	l := s.link
	for q := l.first; q != nil; {
		next := q.next
		if p, _ := q.note.(*amqpPublished); p != nil && q.id>>32 == uint64(number) {
			if p.end.IsZero() {
				l.drop(q, endUnseen)
			} else {
				l.finishAt(q, p.end)
			}
		}
		q = next
	}
	delete(s.channels, number)
}

// fail takes the server's word that it closes a channel, or all of them, and what
// for. The requests that wait there failed. If what failed does not wait (nobody
// waits for an answer to a publish), the closing is a span by itself.
func (s *amqp) fail(f *frame, number uint16, m amqpMethod, r amqpReader) {
	code := r.number(2)
	reply := &amqpReply{strconv.FormatUint(code, 10), withoutTyped(r.short())}
	cause := amqpMethod(r.number(4))
	if code == 200 { // reply-success
		return
	}
	l := s.link
	blamed := false
	for q := l.first; q != nil; {
		next := q.next
		if m == amqpConnectionClose || q.id>>32 == uint64(number) {
			p, _ := q.note.(*amqpPublished)
			asked := amqpMethod(q.id)
			switch {
			case p != nil && p.end.IsZero(), asked == amqpStartOK && cause != 0:
				l.drop(q, endUnseen)
			default:
				// without a cause it is what the client waits for to begin with
				blamed = blamed || asked == cause || cause == 0 && (asked == amqpStartOK || f.cut())
				l.answer(q, f)
				reply.fail(q)
				l.finish(q, f)
			}
		}
		q = next
	}
	if m == amqpConnectionClose {
		clear(s.channels)
	} else {
		s.channels[number] = &amqpChannel{published: -1, closed: reply}
	}
	if blamed {
		return
	}
	q := l.tell(f)
	q.messaging(semconv.MessagingSystemRabbitMQ, amqpKinds[m].name, attribute.KeyValue{})
	if kind, known := amqpKinds[cause]; known {
		q.fail(reply.code, reply.text+" ("+kind.name+")")
	}
	reply.fail(q)
	l.finish(q, f)
}
