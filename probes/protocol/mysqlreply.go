package protocol

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/protocol/sql"
)

// First bytes of a server's packets.
const (
	mysqlIsOK    = 0x00
	mysqlIsMore  = 0x01 // of a login
	mysqlIsLocal = 0xfb // it asks for a file
	mysqlIsEOF   = 0xfe // also an OK at the end of rows, or the change of a login's method
	mysqlIsError = 0xff

	mysqlEOF = 5 // length of an EOF
	mysqlOK  = 7 // of an OK, at least

	mysqlProgress = 0xffff // an error of this code is none: MariaDB tells how far it is
)

// Status flags of the server.
const (
	mysqlMoreResults = 0x0008
	mysqlCursor      = 0x0040
	mysqlNoBackslash = 0x0200 // escapes nothing in literals
	mysqlTracked     = 0x4000
)

// mysqlStage says what comes next of an answer.
type mysqlStage uint8

const (
	mysqlFirst      mysqlStage = iota
	mysqlTurns                 // the client's turn, or the end
	mysqlColumns               // as many as are left
	mysqlColumnsEnd            // EOF, or rows at once
	mysqlRow
)

// mysqlReply is the answer that is being read.
type mysqlReply struct {
	query     *query
	stage     mysqlStage
	classic   bool // an EOF followed the columns, so one ends the rows
	left      int
	rows      int64
	tabular   bool // there were rows, or could have been
	uncounted bool
	affected  uint64
}

// answer takes what a server sent.
func (s *mysql) answer(f *frame) bool {
	s.begun = true
	data := f.data[mysqlHeader:]
	if len(data) == 0 {
		return false
	}
	if s.trailing != 0 && f.data[3] == s.trailing && f.size == mysqlHeader+mysqlEOF && data[0] == mysqlIsEOF {
		s.trailing = 0
		return true
	}
	q := s.link.oldest()
	if q == nil {
		return s.unasked(f)
	}
	r, ok := q.note.(*mysqlRequest)
	if !ok {
		return false
	}
	if s.reply.query != q {
		s.reply = mysqlReply{query: q}
		s.trailing = 0
	}
	s.link.answer(q, f)
	if data[0] == mysqlIsError {
		return s.failed(q, r, f)
	}
	switch mysqlCommands[r.code].answer {
	case mysqlSimple:
		return s.simple(q, r, f)
	case mysqlAuth:
		return s.auth(q, r, f)
	case mysqlPrepared:
		return s.prepared(q, r, f)
	case mysqlFields:
		if data[0] == mysqlIsEOF {
			s.done(q, f)
			return true
		}
		return mysqlIsColumn(data)
	case mysqlRows:
		s.reply.stage = mysqlRow
	}
	return s.result(q, r, f)
}

// unasked takes a packet that no command waits for.
func (s *mysql) unasked(f *frame) bool {
	data := f.data[mysqlHeader:]
	if g, ok := mysqlReadGreeting(f.data); ok {
		s.greeted, s.link.tentative = true, false
		if g.mariadb {
			s.mariadb()
		}
		return true
	}
	if f.data[3] == 0 && data[0] == mysqlIsError {
		// Instead of a greeting: too many connections, or an unwelcome host.
		q := s.link.tell(f)
		q.Operation = mysqlCommands[mysqlLogin].name
		s.link.tentative = false
		s.describeError(q, data)
		q.text(semconv.DBSystemNameKey, s.system)
		s.link.finish(q, f)
		return true
	}
	if !s.strayed {
		s.strayed = true
		s.link.stray()
	}
	return true
}

// failed takes an error.
func (s *mysql) failed(q *query, r *mysqlRequest, f *frame) bool {
	data := f.data[mysqlHeader:]
	if len(data) < 3 {
		return false
	}
	if binary.LittleEndian.Uint16(data[1:]) == mysqlProgress {
		s.mariadb()
		return true
	}
	switch {
	case r.hopeless:
		s.link.drop(q, auxiliary)
		return true
	case r.code == mysqlPrepare:
		s.latest = mysqlLatestPrepared{refused: true}
		if r.executes != nil {
			// The client has sent the execution already: that is the span.
			s.describeError(r.executes, data)
			s.link.drop(q, auxiliary)
			return true
		}
		s.link.runs(q, r.prepares)
	}
	if r.moves {
		s.namespace = r.namespaceBefore
	}
	s.describeError(q, data)
	s.done(q, f)
	return true
}

// describeError makes q fail with an error packet.
func (s *mysql) describeError(q *query, data []byte) {
	if q.failed || len(data) < 3 {
		return
	}
	code := strconv.Itoa(int(binary.LittleEndian.Uint16(data[1:])))
	message, state := data[3:], ""
	if len(message) >= 6 && message[0] == '#' {
		state, message = string(message[1:6]), message[6:]
	}
	text := sql.ScrubMessage(message, state)
	if state != "" {
		text = strings.TrimSpace(fmt.Sprintf("%s (SQLSTATE %s)", text, state))
	}
	q.text(semconv.DBResponseStatusCodeKey, code)
	q.fail(code, text)
}

// done ends an answer.
func (s *mysql) done(q *query, f *frame) {
	a := &s.reply
	if !q.auxiliary {
		if a.tabular && !a.uncounted && !q.failed {
			q.number(semconv.DBResponseReturnedRowsKey, a.rows)
		}
		if a.affected > 0 {
			q.number(affectedRowsKey, int64(a.affected))
		}
	}
	s.link.finish(q, f)
}

// moved follows what an answer says of the session.
func (s *mysql) moved(r *mysqlRequest, ok *mysqlEnd) {
	s.dialect = sql.MySQL
	if ok.status&mysqlNoBackslash != 0 {
		s.dialect = sql.MySQLNoBackslashEscapes
	}
	if r.moves {
		s.namespace = r.namespace
	}
	if ok.schema != nil {
		s.namespace = *ok.schema
	}
}

func (s *mysql) simple(q *query, r *mysqlRequest, f *frame) bool {
	if ok, fits := mysqlReadEnd(f); fits {
		s.moved(r, &ok)
	}
	s.done(q, f)
	return true
}

func (s *mysql) auth(q *query, r *mysqlRequest, f *frame) bool {
	switch f.data[mysqlHeader] {
	case mysqlIsMore, mysqlIsEOF: // the first may be followed by more at once
		s.reply.stage = mysqlTurns
		return true
	case mysqlIsOK:
		ok, fits := mysqlReadEnd(f)
		if !fits {
			return false
		}
		s.moved(r, &ok)
		s.done(q, f)
		if r.compress {
			s.link.opaque()
			return false
		}
		return true
	}
	return false
}

// prepared takes the answer to a PREPARE: a packet, and what describes the
// parameters and columns. After each of the two an EOF may follow: after the
// second that is the last packet, so the answer ends without it.
func (s *mysql) prepared(q *query, r *mysqlRequest, f *frame) bool {
	a, data := &s.reply, f.data[mysqlHeader:]
	switch {
	case a.stage == mysqlFirst:
		if data[0] != mysqlIsOK || len(data) < 9 {
			return false
		}
		a.stage = mysqlColumns
		a.left = int(binary.LittleEndian.Uint16(data[5:])) + int(binary.LittleEndian.Uint16(data[7:]))
		if len(data) >= 13 && data[12] == 0 { // optional metadata, of which there is none
			a.left = 0
		}
		s.latest = mysqlLatestPrepared{statement: r.prepares}
		s.statements.put(binary.LittleEndian.Uint32(data[1:]), r.prepares)
		if a.left > 0 {
			return true
		}
	case mysqlIsColumn(data):
		a.left--
	case data[0] != mysqlIsEOF || f.size != mysqlHeader+mysqlEOF:
		return false
	}
	if a.left <= 0 {
		s.trailing = f.data[3] + 1
		s.done(q, f)
	}
	return true
}

// result takes the next packet of results.
func (s *mysql) result(q *query, r *mysqlRequest, f *frame) bool {
	a, data := &s.reply, f.data[mysqlHeader:]
	switch a.stage {
	case mysqlFirst:
		return s.opens(q, r, f)
	case mysqlTurns: // the file was sent
		return s.ends(q, r, f)
	case mysqlColumns:
		if a.left--; a.left == 0 {
			a.stage = mysqlColumnsEnd
		}
		return mysqlIsColumn(data)
	case mysqlColumnsEnd:
		a.stage = mysqlRow
		if data[0] == mysqlIsEOF && f.size == mysqlHeader+mysqlEOF {
			a.classic = true
			if r.code == mysqlExecute && binary.LittleEndian.Uint16(data[3:])&mysqlCursor != 0 {
				a.tabular = false // the rows will be fetched
				return s.ends(q, r, f)
			}
			return true
		}
	}
	if data[0] == mysqlIsEOF && mysqlLength(f.data) < mysqlFull {
		return s.ends(q, r, f)
	}
	a.rows++
	return true
}

// opens takes the first packet of a result.
func (s *mysql) opens(q *query, r *mysqlRequest, f *frame) bool {
	a, data := &s.reply, f.data[mysqlHeader:]
	length := int(f.size) - mysqlHeader
	switch {
	case data[0] == mysqlIsLocal && length > 1:
		a.stage = mysqlTurns
		return true
	case data[0] == mysqlIsOK && length >= mysqlOK, data[0] == mysqlIsEOF:
		return s.ends(q, r, f)
	}
	columns, described, of := mysqlCount(data)
	if columns == 0 || f.cut() {
		return false
	}
	if of == mysqlOfMariaDB {
		s.mariadb()
	}
	a.tabular, a.stage, a.left = true, mysqlColumns, columns
	if !described {
		a.stage = mysqlColumnsEnd
	}
	return true
}

// ends takes the last packet of a result: another result may follow.
func (s *mysql) ends(q *query, r *mysqlRequest, f *frame) bool {
	end, fits := mysqlReadEnd(f)
	if !fits {
		return false
	}
	a := &s.reply
	a.affected += end.affected
	s.moved(r, &end)
	if end.status&mysqlMoreResults != 0 {
		a.stage = mysqlFirst
		return true
	}
	s.done(q, f)
	return true
}

// resume finds the end of the rows, when some of them went by unseen: the last
// packet that the server sends, at the very end of the data.
func (s *mysql) resume(d direction, data []byte) int {
	a := &s.reply
	if d != toClient || a.query == nil || a.query != s.link.oldest() || a.stage != mysqlRow {
		return -1
	}
	for at := len(data) - mysqlHeader - mysqlEOF; at >= 0; at-- {
		packet := data[at:]
		length := mysqlLength(packet)
		if length != int64(len(packet)-mysqlHeader) || !mysqlLast(packet[mysqlHeader:], a.classic) {
			continue
		}
		a.uncounted = true
		s.full[toClient], s.sequence[toClient] = false, packet[3]-1
		return at
	}
	return -1
}

// mysqlLast says whether a packet can be nothing but the last one after rows.
func mysqlLast(data []byte, classic bool) bool {
	switch {
	case data[0] == mysqlIsError:
		return len(data) > 9 && data[3] == '#'
	case data[0] != mysqlIsEOF:
		return false
	case classic:
		return len(data) == mysqlEOF
	}
	return len(data) >= mysqlOK && data[1] == 0 && data[2] == 0
}
