package protocol

import (
	"bytes"
	"math"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// NATS, as its client protocol documentation has it: lines of text, some followed
// by a payload of the size they name.
//
// A publish ends with its own last byte, for nothing answers it. One that asks for
// a reply to an inbox of the client is a request, which ends with that reply. A
// message that comes for a subscription is a span of the consumer. In JetStream,
// what acknowledges a message is a span that settles it, and a pull request is
// none: it waits for messages, which are spans themselves.

const (
	// maxNATSLine bounds a line; of a client's the server itself takes no more
	// than 4096 unless told otherwise.
	maxNATSLine = maxFrame - 1
	// maxNATSPayload is what no server allows.
	maxNATSPayload = 1 << 26
	// maxNATSSubscriptions bounds those remembered of a connection.
	maxNATSSubscriptions = 1024
)

// messagingSystemNATS is of a value that the conventions have no constant for.
const messagingSystemNATS = "nats"

type natsOperation uint8

const (
	natsNothing natsOperation = iota
	natsConnect
	natsInfo
	natsPub
	natsHPub
	natsSub
	natsUnsub
	natsMsg
	natsHMsg
	natsPing
	natsPong
	natsOK
	natsErr
)

// natsForm is how the line of an operation looks.
type natsForm struct {
	word        string
	operation   natsOperation
	by          uint8 // bits of direction
	least, most int   // fields behind the word; text counts as one
	text        string
}

var natsForms = []natsForm{
	{"PUB", natsPub, byClient, 2, 3, ""},
	{"HPUB", natsHPub, byClient, 3, 4, ""},
	{"MSG", natsMsg, byServer, 3, 4, ""},
	{"HMSG", natsHMsg, byServer, 4, 5, ""},
	{"SUB", natsSub, byClient, 2, 3, ""},
	{"UNSUB", natsUnsub, byClient, 1, 2, ""},
	{"CONNECT", natsConnect, byClient, 1, 1, "{"},
	{"INFO", natsInfo, byServer, 1, 1, "{"},
	{"-ERR", natsErr, byServer, 1, 1, "'"},
	{"PING", natsPing, byBoth, 0, 0, ""},
	{"PONG", natsPong, byBoth, 0, 0, ""},
	{"+OK", natsOK, byServer, 0, 0, ""},
}

// natsLine is a line, taken apart. Its fields are parts of the frame.
type natsLine struct {
	operation     natsOperation
	subject, sid  []byte
	reply, queue  []byte
	text          []byte // of -ERR and others
	headers, size uint64 // of the payload: headers are the first part of size
	length        int    // of the line, its end included
}

// payload returns how much follows the line.
func (n *natsLine) payload() uint64 {
	switch n.operation {
	case natsPub, natsHPub, natsMsg, natsHMsg:
		return n.size + 2
	}
	return 0
}

// parseNATS takes the line apart that data begins with. It returns false if there
// is none; length is 0 then if data may be the start of one.
func parseNATS(d direction, data []byte) (n natsLine, ok bool) {
	end := bytes.IndexByte(data[:min(len(data), maxNATSLine)], '\n')
	line := data
	if end >= 0 {
		line = data[:end]
	} else if len(data) >= maxNATSLine {
		n.length = -1
		return n, false
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	word, rest, _ := bytes.Cut(line, []byte{' '})
	if tab := bytes.IndexByte(word, '\t'); tab >= 0 {
		word, rest = line[:tab], line[tab+1:]
	}
	for i := range natsForms {
		form := &natsForms[i]
		if form.by&(1<<d) == 0 {
			continue
		}
		if end < 0 && len(word) == len(line) && len(word) <= len(form.word) && strings.EqualFold(form.word[:len(word)], string(word)) {
			return n, false // there may be more of it
		}
		if !strings.EqualFold(form.word, string(word)) {
			continue
		}
		if end < 0 {
			return n, false
		}
		n.operation, n.length = form.operation, end+1
		if n.fields(form, rest) {
			return n, true
		}
		break
	}
	n.length = -1
	return n, false
}

// fields reads what stands behind the word.
func (n *natsLine) fields(form *natsForm, rest []byte) bool {
	if form.text != "" {
		n.text = bytes.TrimSpace(rest)
		return bytes.HasPrefix(n.text, []byte(form.text))
	}
	f := bytes.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(f) < form.least || len(f) > form.most {
		return false
	}
	var optional []byte
	if len(f) == form.most && len(f) > form.least && n.operation != natsUnsub {
		at := 1
		if form.by == byServer {
			at = 2
		}
		optional = f[at]
		f = append(f[:at:at], f[at+1:]...)
	}
	switch n.operation {
	case natsPub, natsHPub:
		n.subject, n.reply = f[0], optional
		return n.sizes(f[1:]) && isSubject(n.subject) && isSubject(n.reply)
	case natsMsg, natsHMsg:
		n.subject, n.sid, n.reply = f[0], f[1], optional
		return n.sizes(f[2:]) && isSubject(n.subject) && isSubject(n.sid) && isSubject(n.reply)
	case natsSub:
		n.subject, n.queue, n.sid = f[0], optional, f[1]
		return isSubject(n.subject) && isSubject(n.sid) && isSubject(n.queue)
	case natsUnsub:
		n.sid = f[0]
		_, number := decimal(f[len(f)-1])
		return isSubject(n.sid) && (len(f) == 1 || number)
	}
	return true
}

// sizes reads the size of a payload, and before it that of the headers in it.
func (n *natsLine) sizes(f [][]byte) bool {
	var numbers [2]uint64
	for i, field := range f {
		v, ok := decimal(field)
		if !ok || v > maxNATSPayload {
			return false
		}
		numbers[i] = v
	}
	if n.size = numbers[0]; len(f) == 2 {
		n.headers, n.size = numbers[0], numbers[1]
	}
	return n.headers <= n.size
}

// decimal reads a number of at most 9 digits.
func decimal(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// isSubject says whether b may be a subject, or another name, or is not there.
func isSubject(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\ufffd' }) < 0
}

// natsBegins says whether data begins with an operation of that direction for
// certain: with one of the lines that no other protocol has.
func natsBegins(d direction, data []byte) bool {
	n, ok := parseNATS(d, data)
	if !ok || n.length > 1 && data[n.length-2] != '\r' {
		return false
	}
	switch n.operation {
	case natsPing, natsPong, natsOK:
		return false
	case natsInfo:
		return bytes.Contains(n.text, []byte(`"server_id"`))
	case natsConnect:
		return bytes.Contains(n.text, []byte(`"verbose"`)) || bytes.Contains(n.text, []byte(`"lang"`))
	case natsUnsub, natsSub, natsErr:
		rest := data[n.length:]
		next, whole := parseNATS(d, rest)
		return len(rest) == 0 || whole || next.length == 0
	}
	end := uint64(n.length) + n.payload()
	return uint64(len(data)) < end || data[end-2] == '\r' && data[end-1] == '\n'
}

func detectNATS(d direction, data []byte, _ uint64) bool { return natsBegins(d, data) }

// nats follows a connection.
type nats struct {
	link *link
	// subscriptions are those made while we looked on, by their sid.
	subscriptions map[string]natsSubscription
	losses        [2]uint32 // of the link, as of the latest frame
}

type natsSubscription struct{ subject, queue string }

func openNATS(l *link) session {
	return &nats{link: l, subscriptions: make(map[string]natsSubscription), losses: l.losses}
}

// A server that wants TLS says so in INFO, and the client turns to it: with the
// first byte of a handshake record.
const tlsHandshake = 0x16

func (s *nats) measure(d direction, data []byte) int64 {
	if data[0] == tlsHandshake {
		return int64(len(data))
	}
	n, ok := parseNATS(d, data)
	if !ok {
		return int64(n.length)
	}
	return int64(n.length) + int64(min(n.payload(), math.MaxInt32))
}

func (s *nats) resume(d direction, data []byte) int {
	for i := range data {
		if (i == 0 || data[i-1] == '\n') && natsBegins(d, data[i:]) {
			return i
		}
	}
	return -1
}

func (s *nats) take(d direction, f *frame) bool {
	if s.losses[toClient] != s.link.losses[toClient] {
		s.link.voidAll(endUnseen) // their replies may have been among what went by
	}
	s.losses = s.link.losses
	if f.data[0] == tlsHandshake {
		if d == toClient {
			return false
		}
		s.link.opaque()
		return true
	}
	n, ok := parseNATS(d, f.data)
	if !ok {
		return false
	}
	payload := f.data[n.length:]
	if !f.cut() && n.payload() > 0 && !bytes.HasSuffix(payload, []byte("\r\n")) {
		return false
	}
	payload = payload[:min(uint64(len(payload)), n.size)]
	switch n.operation {
	case natsSub:
		s.subscribe(&n)
	case natsUnsub:
		delete(s.subscriptions, string(n.sid))
	case natsPub, natsHPub:
		s.publish(f, &n, payload)
	case natsMsg, natsHMsg:
		s.message(f, &n, payload)
	case natsErr:
		s.refused(f, string(n.text))
	}
	return true
}

func (s *nats) subscribe(n *natsLine) {
	for sid := range s.subscriptions {
		if len(s.subscriptions) < maxNATSSubscriptions {
			break
		}
		delete(s.subscriptions, sid)
	}
	s.subscriptions[string(n.sid)] = natsSubscription{string(n.subject), string(n.queue)}
}

// refused takes the server's complaint, which says of what only in words.
func (s *nats) refused(f *frame, text string) {
	text = withoutTyped(strings.Trim(text, "'"))
	kind, _, _ := strings.Cut(text, "?")
	kind = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(kind)), " ", "_")
	if len(kind) > 64 || !isWord([]byte(strings.ReplaceAll(kind, "_", ""))) {
		kind = errorOther
	}
	operation := "error"
	if strings.Contains(kind, "auth") {
		operation = "connect"
	}
	q := s.link.tell(f)
	q.messaging(attribute.String("messaging.system", messagingSystemNATS), operation, attribute.KeyValue{})
	q.fail(kind, text)
	s.link.finish(q, f)
}
