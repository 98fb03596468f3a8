package protocol

import (
	"bytes"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	natsInbox  = "_INBOX"
	natsAcks   = "$JS.ACK."
	natsAPI    = "$JS.API."
	natsNext   = "$JS.API.CONSUMER.MSG.NEXT."
	natsDirect = "$JS.API.DIRECT.GET."
	natsKeys   = "$KV."
	natsThings = "$O."

	natsPubAck   = `{"stream":"`
	natsRefused  = `{"error":{"code":`
	natsAnswered = `{"type":"io.nats.jetstream.`
)

// natsRequested is the note of a request: when its own last byte was sent.
type natsRequested struct{ end time.Time }

// publish takes what a client sends.
func (s *nats) publish(f *frame, n *natsLine, payload []byte) {
	l := s.link
	subject := string(n.subject)
	if strings.HasPrefix(subject, natsNext) {
		return
	}
	asks := len(n.reply) > 0 && s.awaited(string(n.reply))
	if asks && l.depth >= maxUnconfirmed {
		s.relieve()
	}
	q := l.ask(f)
	switch {
	case strings.HasPrefix(subject, natsAcks):
		s.settles(q, subject, payload[min(n.headers, uint64(len(payload))):])
	case asks:
		s.describe(q, n, "request", semconv.MessagingOperationTypeSend, "")
	default:
		s.describe(q, n, "publish", semconv.MessagingOperationTypeSend, "")
		if q.origin.role == RoleClient {
			q.kind = KindProducer
		}
	}
	l.headers(q, n, payload)
	if asks {
		q.id, q.note = replyID(n.reply), natsRequested{f.last}
		return
	}
	l.finish(q, f)
}

// awaited says whether a client takes what is sent to that subject: then it is the
// reply to a request.
func (s *nats) awaited(reply string) bool {
	if strings.HasPrefix(reply, natsInbox) {
		return true
	}
	for _, sub := range s.subscriptions {
		prefix := strings.TrimSuffix(sub.subject, "*")
		if sub.subject == reply || prefix != sub.subject && strings.HasPrefix(reply, prefix) {
			return true
		}
	}
	return false
}

// replyID is the id of a request, by where its reply goes.
func replyID(subject []byte) uint64 {
	h := fnv.New64a()
	h.Write(subject)
	return h.Sum64()
}

// relieve ends the oldest request without its reply: of clients that send many
// before they read.
func (s *nats) relieve() {
	if q := s.link.first; q != nil {
		if sent, ok := q.note.(natsRequested); ok {
			s.link.finishAt(q, sent.end)
		}
	}
}

// message takes what the server delivers: a reply, or a message.
func (s *nats) message(f *frame, n *natsLine, payload []byte) {
	l := s.link
	status, text := natsStatus(n, payload)
	sub := s.subscriptions[string(n.sid)]
	q := l.find(replyID(n.subject))
	if q != nil {
		l.answer(q, f)
		s.replied(q, payload[min(n.headers, uint64(len(payload))):])
		if status >= 400 {
			q.fail(strconv.FormatUint(status, 10), text)
		}
		l.finish(q, f)
		return
	}
	if status != 0 { // of a pull request: there is nothing, or no more
		return
	}
	if bytes.HasPrefix(n.subject, []byte(natsInbox)) {
		l.stray()
		return
	}
	q = l.tell(f)
	if q.origin.role == RoleClient {
		q.kind = KindConsumer
	}
	s.describe(q, n, "deliver", semconv.MessagingOperationTypeProcess, sub.subject)
	group := sub.queue
	if _, consumer, ok := natsAckOf(string(n.reply)); ok {
		group = consumer
	}
	q.text(semconv.MessagingConsumerGroupNameKey, group)
	l.headers(q, n, payload)
	l.finish(q, f)
}

// describe fills in what a span of a message has. pattern is what the subscription
// says, if that is known.
func (s *nats) describe(q *query, n *natsLine, operation string, what attribute.KeyValue, pattern string) {
	subject := string(n.subject)
	q.messaging(attribute.String("messaging.system", messagingSystemNATS), operation, what)
	name, template := subject, natsTemplate(subject)
	switch {
	case strings.HasPrefix(subject, natsKeys), strings.HasPrefix(subject, natsThings), strings.HasPrefix(subject, natsDirect):
		name = template // keys are users' business
	case matchesSubject(pattern, subject):
		template = pattern
	}
	q.addressed(name, template)
	if strings.HasPrefix(subject, natsInbox) {
		q.attributes = append(q.attributes, semconv.MessagingDestinationTemporary(true))
	}
	q.number(semconv.MessagingMessageBodySizeKey, int64(n.size-n.headers))
}

// natsTemplate is a subject without what was made up for one occasion.
func natsTemplate(subject string) string {
	var keep int
	switch {
	case strings.HasPrefix(subject, natsInbox):
		return natsInbox + ".*"
	case strings.HasPrefix(subject, natsKeys), strings.HasPrefix(subject, natsThings):
		keep = 2 // and the bucket
	case strings.HasPrefix(subject, natsAPI):
		keep = 5 // and what is called, of which stream
	default:
		return subjectTemplate(subject)
	}
	words := strings.Split(subject, ".")
	if len(words) <= keep {
		return subject
	}
	return strings.Join(words[:keep], ".") + ".>"
}

// matchesSubject says whether a subscription's subject, with wildcards, is one for
// subject, and names it: > alone does not.
func matchesSubject(pattern, subject string) bool {
	if pattern == "" || pattern == ">" {
		return false
	}
	for {
		p, morePattern, hasPattern := strings.Cut(pattern, ".")
		w, more, has := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != w, hasPattern != has:
			return false
		case !has:
			return true
		}
		pattern, subject = morePattern, more
	}
}

// natsAckOf returns the stream and the consumer that a message came from, by the
// subject that acknowledges it: $JS.ACK, then in newer servers a domain and an
// account, stream, consumer, and five numbers and more.
func natsAckOf(subject string) (stream, consumer string, ok bool) {
	rest, ok := strings.CutPrefix(subject, natsAcks)
	if !ok {
		return "", "", false
	}
	words := strings.Split(rest, ".")
	switch {
	case len(words) == 7:
		return words[0], words[1], true
	case len(words) >= 9:
		return words[2], words[3], true
	}
	return "", "", false
}

// settles describes an acknowledgement: what it says is in its payload.
func (s *nats) settles(q *query, subject string, payload []byte) {
	operation := "ack"
	for word, name := range map[string]string{"-NAK": "nack", "+WPI": "in_progress", "+TERM": "term"} {
		if bytes.HasPrefix(payload, []byte(word)) {
			operation = name
		}
	}
	q.messaging(attribute.String("messaging.system", messagingSystemNATS), operation, semconv.MessagingOperationTypeSettle)
	if stream, consumer, ok := natsAckOf(subject); ok {
		q.addressed(stream, subjectTemplate(stream))
		q.text(semconv.MessagingConsumerGroupNameKey, consumer)
	}
}

// replied looks at the reply to a request: JetStream says in it what went wrong,
// and that the request was a publish.
func (s *nats) replied(q *query, payload []byte) {
	refused := bytes.HasPrefix(payload, []byte(natsRefused))
	if q.Operation == "request" && (bytes.HasPrefix(payload, []byte(natsPubAck)) ||
		refused && !strings.HasPrefix(q.Target, natsAPI)) {
		q.Operation = "publish"
		q.attributes[1] = semconv.MessagingOperationName("publish")
		if q.origin.role == RoleClient {
			q.kind = KindProducer
		}
	}
	if !refused && !bytes.HasPrefix(payload, []byte(natsAnswered)) {
		return
	}
	_, failure, _ := bytes.Cut(payload, []byte(`"error":{`))
	code := jsonField(failure, "err_code")
	if code == "" {
		code = jsonField(failure, "code")
	}
	if code != "" {
		q.fail(code, withoutTyped(jsonField(failure, "description")))
	}
}

// jsonField returns the first number, or string without escapes, of that name.
func jsonField(data []byte, name string) string {
	_, rest, found := bytes.Cut(data, []byte(`"`+name+`":`))
	if !found {
		return ""
	}
	rest = bytes.TrimLeft(rest, " ")
	if text, quoted := bytes.CutPrefix(rest, []byte{'"'}); quoted {
		if end := bytes.IndexByte(text, '"'); end >= 0 {
			return string(text[:end])
		}
		return ""
	}
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	return string(rest[:n])
}

// natsStatus returns what the first line of a message's headers says, if it is
// not a message but says something: NATS/1.0 503 No Responders.
func natsStatus(n *natsLine, payload []byte) (status uint64, text string) {
	head, _, whole := bytes.Cut(payload[:min(n.headers, uint64(len(payload)))], []byte("\r\n"))
	line, found := bytes.CutPrefix(head, []byte("NATS/1.0"))
	if !whole || !found {
		return 0, ""
	}
	code, reason, _ := bytes.Cut(bytes.TrimSpace(line), []byte{' '})
	status, _ = decimal(code)
	if text = string(reason); status == 503 && text == "" {
		text = "no responders"
	}
	return status, withoutTyped(text)
}

// headers reads those of a message that say something of it.
func (l *link) headers(q *query, n *natsLine, payload []byte) {
	rest := payload[:min(n.headers, uint64(len(payload)))]
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("traceparent")):
			l.carries(q, value)
		case bytes.EqualFold(name, []byte("Nats-Msg-Id")):
			q.text(semconv.MessagingMessageIDKey, string(value))
		}
	}
}
