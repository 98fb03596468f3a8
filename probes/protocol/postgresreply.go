package protocol

import (
	"bytes"
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/protocol/sql"
)

// reply takes a server's message.
func (s *postgres) reply(f *frame) bool {
	if s.negotiating {
		return s.negotiated(f)
	}
	letter := f.data[0]
	switch letter {
	case 'N', 'S', 'A', 'R', 'K', 'v':
		return true // at any time, or while logging in
	case 'E':
		s.refused(f)
		return true
	case 'Z':
		if len(f.data) != 6 || !postgresReady(f.data[5]) {
			return false
		}
	}
	step := s.due(letter)
	if step == nil {
		return true
	}
	if step.query != nil {
		s.link.answer(step.query, f)
	}
	switch letter {
	case '1':
		s.settle(step)
	case '3':
		s.close(step)
	case 'D':
		step.rows = true
	case 'C', 'I', 's':
		s.complete(step, f)
		return true
	case 'G':
		s.copies()
	case 'W':
		s.link.finish(step.query, f) // what follows is no answer, and has no end
	case 'Z':
		s.ready(step, f)
	}
	if strings.IndexByte(postgresLast, letter) >= 0 && (letter != 'T' || step.letter == 'D') {
		s.pop()
	}
	return true
}

// postgresDue has the requests that a message may answer.
var postgresDue = [256]string{
	'1': "P", '2': "B", '3': "C", 't': "D", 'n': "D", 'T': "DQ", 'V': "F",
	'D': "EQ", 'd': "EQ", 'c': "EQ", 'H': "EQ", 'G': "EQ", 'W': "EQ",
	'C': "EQ", 'I': "EQ", 's': "E", 'Z': "SQF\x00",
}

// postgresLast are the messages that end the answer to a request which is not
// itself a query.
const postgresLast = "123nTZ"

// negotiated takes the answer to a request for encryption.
func (s *postgres) negotiated(f *frame) bool {
	s.negotiating = false
	switch f.data[0] {
	case 'N': // then in plain
	case 'S', 'G':
		s.link.opaque()
	case 'E': // a server that never heard of it
	default:
		return false
	}
	return true
}

// due returns the request that a message answers; nil if that is not known.
func (s *postgres) due(letter byte) *postgresStep {
	for len(s.steps) > 0 {
		step := &s.steps[0]
		if strings.IndexByte(postgresDue[letter], step.letter) >= 0 {
			return step
		}
		if !s.loose {
			s.link.voidAll(unpaired)
			s.steps = nil
			break
		}
		if q := step.query; q != nil && letter == 'Z' {
			s.link.drop(q, endUnseen)
		}
		s.shift()
	}
	if letter == 'C' || letter == 'I' || letter == 's' {
		s.link.stray()
	}
	return nil
}

// settle remembers what was prepared.
func (s *postgres) settle(step *postgresStep) {
	if _, before := s.closed.table[step.name]; before || step.name != "" && s.texts.get(step.name) != nil {
		s.reuses = true
	}
	s.texts.put(step.name, step.statement)
}

// close forgets a statement, but not its name.
func (s *postgres) close(step *postgresStep) {
	if step.name != "" { // else it is a portal
		s.texts.remove(step.name)
		s.closed.put(step.name, nil)
	}
}

// complete ends a query, or one of several in one.
func (s *postgres) complete(step *postgresStep, f *frame) {
	q := step.query
	if n, ok := s.returned(step, f); ok {
		setReturnedRows(q, n)
	}
	if step.letter == 'Q' {
		step.ended, step.rows = true, false
		return
	}
	s.shift()
	next := 0
	for next < len(s.steps) && s.steps[next].letter == 'C' {
		next++
	}
	if next < len(s.steps) && s.steps[next].letter == 'S' {
		s.steps[next].query = q
		return
	}
	s.link.finish(q, f)
}

// returned says how many rows were sent, if the answer says it.
func (s *postgres) returned(step *postgresStep, f *frame) (int64, bool) {
	if f.data[0] == 's' {
		return int64(step.limit), step.limit > 0
	}
	tag, _ := cString(f.data[postgresHead:])
	n, err := strconv.ParseInt(string(tag[bytes.LastIndexByte(tag, ' ')+1:]), 10, 64)
	if err != nil {
		return 0, false
	}
	return n, step.rows || n == 0 && bytes.HasPrefix(tag, []byte("SELECT"))
}

// setReturnedRows gives q the number of rows; of several results the last counts,
// as it does for most clients.
func setReturnedRows(q *query, n int64) {
	kv := semconv.DBResponseReturnedRows(int(n))
	for i := range q.attributes {
		if q.attributes[i].Key == kv.Key {
			q.attributes[i] = kv
			return
		}
	}
	q.attributes = append(q.attributes, kv)
}

// ready ends what waits for ReadyForQuery.
func (s *postgres) ready(step *postgresStep, f *frame) {
	q := step.query
	switch {
	case step.letter == 0:
		s.login = nil
	case q == nil:
	case step.letter == 'Q' && !step.ended:
		s.link.drop(q, endUnseen)
	default:
		s.link.finish(q, f)
	}
	if len(s.steps) == 1 {
		s.loose = false
	}
}

// copies is a server that waits for the data of a COPY: it will not answer a Sync
// that it finds among them, which some clients send with every Execute.
func (s *postgres) copies() {
	if len(s.steps) > 1 && s.steps[0].letter == 'E' && s.steps[1].letter == 'S' {
		s.steps = append(s.steps[:1], s.steps[2:]...)
	}
}

// pop takes out the oldest request. If nothing more will be asked for its query,
// that was prepared, not executed.
func (s *postgres) pop() {
	step := s.steps[0]
	s.shift()
	switch q := step.query; {
	case q == nil || strings.IndexByte("PBD", step.letter) < 0:
	case len(s.steps) > 0 && s.steps[0].query == q:
	default:
		s.link.drop(q, notExecuted)
		if s.group.query == q {
			s.group = postgresGroup{}
		}
	}
}

func (s *postgres) shift() {
	s.steps[0] = postgresStep{}
	s.steps = s.steps[1:]
}

// refused takes an error.
func (s *postgres) refused(f *frame) {
	e, ok := readPostgresError(f.data[postgresHead:])
	switch {
	case !ok && !f.cut():
		s.link.stray()
		return
	case len(s.steps) == 0:
		if !e.fatal { // else it is about the connection
			s.link.stray()
		}
		return
	}
	if s.loose {
		s.passOver()
	}
	step := &s.steps[0]
	q := step.query
	if step.letter == 0 {
		if s.login == nil {
			return
		}
		q = s.link.ask(&s.login.frame)
		s.runs(q, nil)
		q.Operation = "CONNECT"
		q.text(semconv.DBOperationNameKey, q.Operation)
		step.query, s.login = q, nil
	}
	if q != nil {
		s.runs(q, step.statement)
		s.link.answer(q, f)
		q.text(semconv.DBResponseStatusCodeKey, e.code)
		q.fail(e.code, e.message)
	}
	switch step.letter {
	case 'Q', 'F', 'S':
		step.ended = true
		if e.fatal && q != nil {
			s.link.finish(q, f)
		}
	default:
		if q != nil {
			s.link.finish(q, f)
		}
		s.skip()
	}
}

// passOver goes to the one query that waits, when answers were not seen.
func (s *postgres) passOver() {
	for len(s.steps) > 1 && (s.steps[0].query == nil || s.steps[0].query.void) {
		s.shift()
	}
}

// skip leaves out what the server does: after an error everything until Sync.
func (s *postgres) skip() {
	if s.steps[0].letter == 0 {
		s.shift()
		return
	}
	for len(s.steps) > 0 && s.steps[0].letter != 'S' {
		if q := s.steps[0].query; q != nil {
			s.link.drop(q, notExecuted)
		}
		s.shift()
	}
	if len(s.steps) == 0 {
		s.skips, s.group = true, postgresGroup{}
	}
}

// postgresError is what an ErrorResponse says.
type postgresError struct {
	code    string // SQLSTATE
	message string // without values
	fatal   bool   // the session ends
}

// readPostgresError reads the fields of an ErrorResponse; it is false if the
// necessary ones are not there.
func readPostgresError(body []byte) (e postgresError, ok bool) {
	var local, severity, message []byte
	for len(body) > 0 && body[0] != 0 {
		field := body[0]
		var value []byte
		value, body = cString(body[1:])
		switch field {
		case 'S':
			local = value
		case 'V':
			severity = value
		case 'C':
			e.code = sqlState(value)
		case 'M':
			message = value
		}
	}
	if severity == nil {
		severity = local // servers before 9.6
	}
	e.fatal = string(severity) == "FATAL" || string(severity) == "PANIC"
	if bytes.Equal(local, severity) {
		// Else it is in a language whose words and quotes are not known here, so
		// that values can't be told from them.
		e.message = sql.ScrubMessage(message, e.code)
	}
	return e, e.code != "" && local != nil && message != nil
}

// sqlState returns a SQLSTATE, if it is one.
func sqlState(code []byte) string {
	if len(code) != 5 {
		return ""
	}
	for _, c := range code {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return string(code)
}

// postgresTag says that body is the text of a CommandComplete: words in upper
// case, then numbers.
func postgresTag(body []byte) bool {
	n := len(body) - 1
	if n < 2 || n > 64 || body[n] != 0 || body[0] < 'A' || body[0] > 'Z' {
		return false
	}
	for _, c := range body[:n] {
		if c != ' ' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
