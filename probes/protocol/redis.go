package protocol

import (
	"bytes"
	"strings"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Redis, and what else speaks its protocol.
//
// A command is a span; commands that were sent one behind the other are one, a
// PIPELINE, or a MULTI if they are a transaction (see batch). Commands that
// change what the connection means stand alone. Messages that the server pushes
// to subscribers are no answers, and no spans either: nobody asked. Of
// db.namespace only what SELECT or RESET was seen to set is known, so a
// connection that never says it has none. Keys are what users typed, like values.

// redis is one connection.
type redis struct {
	link    *link
	command redisCommand // that is being sent
	batches batches
	nest    respNest    // of the answer
	answer  redisAnswer // that is being received

	database   string // empty: not known
	subscribed bool   // RESP 2: the server pushes messages as arrays
	silent     bool   // CLIENT REPLY OFF
	skip       bool   // CLIENT REPLY SKIP was the last command
	arrays     bool   // commands are arrays, not lines
	losses     [2]uint32
}

// redisAnswer is what is known of the value that the server is sending.
type redisAnswer struct {
	first    time.Time // of its first byte; zero: there is none
	kind     redisKind
	push     bool   // it says itself that it is pushed
	size     int64  // values in it, if it is an array
	elements int64  // of them that came
	batch    *batch // that it answers
	confirms bool   // it says how many channels are subscribed to
	ok       bool   // it is no error
	queued   bool   // it is a promise: EXEC will tell
}

// redisKind says what a value from the server is.
type redisKind uint8

const (
	redisUndecided redisKind = iota
	redisReply               // to the oldest command
	redisConfirmed           // that a channel is subscribed to, or no more
	redisPushed              // a message
)

func openRedis(l *link) session {
	return &redis{link: l, batches: batches{l}, losses: l.losses}
}

func (s *redis) measure(d direction, data []byte) int64 {
	s.heal()
	switch {
	case d == toClient:
		return respToken(data)
	case s.command.left > 0 && data[0] != '$':
		return -1
	case s.command.left > 0:
		return respBulk(data)
	case data[0] == '*':
		_, header := respHeader(data)
		return int64(header)
	case s.arrays && data[0] != '\r':
		return -1 // who sends arrays never sends lines
	}
	return redisInline(data)
}

func (s *redis) take(d direction, f *frame) bool {
	c := &s.command
	switch {
	case d == toClient:
		return s.received(f)
	case c.left > 0:
		word, header := respHeader(f.data)
		if header <= 0 || word < 0 {
			return false
		}
		c.add(respContent(f.data), uint64(word), s.statement() == StatementRaw)
	case f.data[0] == '*':
		n, _ := respHeader(f.data)
		if n < respNull || n > maxRedisArguments {
			return false
		}
		s.arrays = true
		c.begin(f, n)
	default:
		c.inline(f, s.statement() == StatementRaw)
	}
	return c.count == 0 || c.left > 0 || s.sent(f)
}

func (s *redis) statement() Statement { return s.link.owner.options.Statement }

// resume can't tell a token from the bytes of a value.
func (s *redis) resume(direction, []byte) int { return -1 }

// heal lets go of what is not complete, when bytes of it were lost.
func (s *redis) heal() {
	now := &s.link.losses
	if s.losses[toServer] != now[toServer] {
		s.command.count, s.command.left = 0, 0
		s.database, s.silent, s.skip = "", false, false
	}
	if s.losses[toClient] != now[toClient] {
		s.nest.reset()
		s.answer = redisAnswer{}
		s.batches.missed()
	}
	s.losses = *now
}

// sent takes a command that is complete with f.
func (s *redis) sent(f *frame) bool {
	c := &s.command
	how, ok := c.understand()
	if !ok {
		return false
	}
	if how&redisNoAnswer != 0 && how&redisStreams != 0 {
		s.link.opaque() // a replica that says how far it is
		return true
	}
	o := c.order(how, s.statement())
	begin := &frame{first: c.first, last: f.last, origin: &c.origin}
	answered := s.expects(how)
	b := s.batches.open(begin)
	if b == nil || how&redisAlone != 0 || !answered {
		b = s.batches.add(begin, o)
		s.alone(b, how)
	} else {
		s.joins(b, how, o)
	}
	b.how |= uint32(how)
	if b.how&uint32(redisBlocks) != 0 {
		b.q.patience = endless
	}
	c.count = 0
	if !answered {
		s.batches.answered(b, f)
		if how&redisSelects != 0 {
			s.database = ""
		}
	}
	return true
}

// expects says whether the server will answer the command.
func (s *redis) expects(how redisHow) bool {
	if s.command.name == "CLIENT REPLY" {
		if how&redisNoAnswer == 0 && s.link.first != nil {
			s.batches.giveUp() // perhaps it was off, and nothing answers what waits
		}
		s.silent = s.command.says(2, "OFF") || s.silent && !s.command.says(2, "ON")
		s.skip = s.command.says(2, "SKIP")
		return how&redisNoAnswer == 0
	}
	skip := s.skip
	s.skip = false
	return how&redisNoAnswer == 0 && !s.silent && !skip
}

// alone adds what is known of a command by itself.
func (s *redis) alone(b *batch, how redisHow) {
	c := &s.command
	b.alone = how&redisAlone != 0
	switch {
	case how&redisSubscribes != 0:
		b.left = max(1, int(c.count)-1)
		b.value = strings.ToLower(c.name)
	case how&redisSelects != 0:
		b.value = string(c.at(1))
	case c.procedure != "":
		b.q.Target, b.q.TargetKey = c.procedure, semconv.DBStoredProcedureNameKey
	}
}

// joins adds a command to others.
func (s *redis) joins(b *batch, how redisHow, o order) {
	b.q.Target, b.q.TargetKey = "", ""
	if b.how&uint32(redisMulti) == 0 {
		b.join(o, "PIPELINE")
		return
	}
	switch { // what stands around the commands of a transaction is none of them
	case b.count == 1:
		b.name = o.name
	case how&redisExec != 0:
		o.name = b.name
	}
	b.join(o, "MULTI")
}

// received takes the next token of an answer.
func (s *redis) received(f *frame) bool {
	kind := f.data[0]
	if s.answer.first.IsZero() {
		s.answer = redisAnswer{first: f.first}
	}
	if kind != '|' && s.nest.attributes == 0 && kind != '.' && kind != ';' {
		switch len(s.nest.open) {
		case 0:
			s.begins(f)
		case 1:
			s.element(f)
		}
	}
	whole, ok := s.nest.add(f.data)
	if ok && whole {
		s.ends(f)
		s.answer = redisAnswer{}
	}
	return ok
}

// begins looks at what a value begins with.
func (s *redis) begins(f *frame) {
	a := &s.answer
	switch f.data[0] {
	case '>':
		a.push = true
		a.size, _ = respHeader(f.data)
		return // its first element tells more
	case '*':
		a.size, _ = respHeader(f.data)
		if a.size == 3 || a.size == 4 {
			return // it may be a message
		}
	}
	s.replies(f)
}

// replies takes the value that f begins, or its first element, for the answer to
// the oldest command.
func (s *redis) replies(f *frame) {
	a := &s.answer
	a.kind, a.batch = redisReply, s.batches.oldest()
	b := a.batch
	if b == nil {
		return
	}
	s.answers(b)
	kind := f.data[0]
	a.queued = kind == '+' && string(f.data) == "+QUEUED\r\n"
	if a.ok = kind != '-' && kind != '!'; !a.ok && a.elements == 0 {
		s.fails(b, f, b.how&uint32(redisScript) != 0)
		if b.how&uint32(redisSubscribes) != 0 {
			b.left = 1 // it is refused as a whole
		}
	}
}

// answers notes that the answer to b has begun.
func (s *redis) answers(b *batch) {
	s.link.answer(b.q, &frame{first: s.answer.first})
	if !b.began {
		b.began = true
		b.q.text(semconv.DBNamespaceKey, s.database)
	}
}

// element looks at a value in an array.
func (s *redis) element(f *frame) {
	a := &s.answer
	a.elements++
	if a.kind == redisUndecided && a.elements == 1 {
		s.decide(f)
	}
	b := a.batch
	switch {
	case a.kind == redisReply && b != nil && b.how&uint32(redisExec) != 0 && (f.data[0] == '-' || f.data[0] == '!'):
		s.fails(b, f, b.how&uint32(redisScript) != 0 || b.count == 1)
	case a.confirms && a.elements == 3 && !a.push:
		s.subscribed = string(f.data) != ":0\r\n"
	}
}

// decide looks at the first element of an array that may be a message.
func (s *redis) decide(f *frame) {
	a, b := &s.answer, s.batches.oldest()
	word := respContent(f.data)
	message, confirms := false, false
	if f.data[0] == '$' {
		switch string(word) {
		case "message", "smessage":
			message = a.size == 3
		case "pmessage":
			message = a.size == 4
		case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe":
			confirms = a.size == 3
		}
	}
	switch {
	case confirms && b != nil && b.how&uint32(redisSubscribes) != 0 && b.value == string(word):
		a.kind, a.batch, a.confirms = redisConfirmed, b, true
		s.answers(b)
	case a.push:
		a.kind = redisPushed
	case (message || confirms) && (s.subscribed || b == nil || b.how&uint32(redisSubscribes|redisShort) != 0):
		a.kind, a.confirms = redisPushed, confirms
		s.subscribed = s.subscribed || message
	default:
		s.replies(f)
	}
}

// ends takes a value that is complete with f.
func (s *redis) ends(f *frame) {
	a := &s.answer
	b := a.batch
	switch {
	case a.kind == redisPushed, a.kind == redisUndecided:
		return
	case b == nil || b != s.batches.oldest():
		s.link.stray()
		return
	case a.ok && a.queued && b.how&uint32(redisSelects) != 0:
		s.database = ""
	case a.ok && b.how&uint32(redisSelects) != 0:
		s.database = b.value
	case a.ok && b.how&uint32(redisResets) != 0:
		s.database, s.subscribed, s.silent = "0", false, false
	}
	s.batches.answered(b, f)
	if a.ok && b.how&uint32(redisStreams) != 0 {
		s.link.opaque()
	}
}

// fails reads an error, such as "-WRONGTYPE Operation against ...". If it may
// come from a script, its words are nobody's business.
func (s *redis) fails(b *batch, f *frame, scripted bool) {
	line := f.data[1:]
	if f.data[0] == '!' {
		line = respContent(f.data)
	}
	line = bytes.TrimRight(line, "\r\n")
	word, _, _ := bytes.Cut(line, []byte{' '})
	code := string(word)
	if !isRedisCode(word) {
		b.fail("", "") // a script's own words
		return
	}
	if scripted || !redisCodes[code] {
		b.fail(code, "")
		return
	}
	b.fail(code, withoutTyped(string(bytes.TrimSpace(line))))
}

// isRedisCode says whether an error begins as the server's own do.
func isRedisCode(word []byte) bool {
	for i, c := range word {
		if (c < 'A' || c > 'Z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(word) > 0 && len(word) <= maxRedisWord
}

// redisCodes are the server's own. What stands behind others is a script's.
var redisCodes = map[string]bool{
	"ASK": true, "BUSY": true, "BUSYGROUP": true, "BUSYKEY": true, "CLUSTERDOWN": true, "CROSSSLOT": true,
	"DENIED": true, "ERR": true, "EXECABORT": true, "INPROG": true, "IOERR": true, "LOADING": true,
	"MASTERDOWN": true, "MISCONF": true, "MOVED": true, "NOAUTH": true, "NOGOODSLAVE": true, "NOGROUP": true,
	"NOMASTERLINK": true, "NOPERM": true, "NOPROTO": true, "NOREPLICAS": true, "NOSCRIPT": true, "NOTBUSY": true,
	"NOTREADY": true, "OOM": true, "READONLY": true, "STALE": true, "SYNTAX": true, "TRYAGAIN": true,
	"UNBLOCKED": true, "UNKILLABLE": true, "WRONGPASS": true, "WRONGTYPE": true,
}
