package protocol

import (
	"bytes"
	"encoding/binary"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/protocol/sql"
)

// PostgreSQL, frontend/backend protocol 3 (manual, chapters "Message Flow" and
// "Message Formats"). A message is a letter and a length that counts itself; the
// first of a connection has no letter, and the answer to a request for encryption
// is one byte.
//
// A span is what the server logs as a statement: a simple query, which may hold
// several statements, or one Execute with the Parse, Bind and Describe that came
// right before it. What is only prepared gives none, unless it fails; neither does
// logging in. In a pipeline each query ends with its own answer, but the one right
// before a Sync with ReadyForQuery: the server commits in between, which takes its
// time and may fail.

// Codes in the place of a version, of the first message.
const (
	postgresCancel = 80877102 + iota
	postgresTLS
	postgresGSS
)

const (
	postgresHead    = 5         // letter and length
	postgresStartup = 10000     // the server takes no longer first message
	postgresMessage = 1<<30 - 1 // nor longer others
)

// Letters of messages, by who sends them.
const (
	postgresRequests = "QPBEDCSHFXdcfp"
	postgresReplies  = "RSK123CDTtnIEZNAsVGHWdcv"
	postgresEmpty    = "SHcX" // a client's without a body
	postgresBare     = "123nIsc"
)

func openPostgres(l *link) session { return &postgres{link: l, losses: l.losses} }

// postgres is one connection.
type postgres struct {
	link   *link
	losses [2]uint32 // as the link's, when they were looked at

	spoken      bool   // a message with a letter has come: there are no others now
	negotiating bool   // a request for encryption waits for its one byte
	login       *login // waits for the server's consent; else nil
	database    string // empty: it began before it was seen

	steps   []postgresStep // what the server has yet to answer
	room    []postgresStep // empty, for them to be put in
	skips   bool           // it skips what comes until Sync
	loose   bool           // some answers were not seen
	group   postgresGroup
	texts   statements[string]
	portals statements[string]
	closed  statements[string] // names of the latest
	reuses  bool               // a name was given to a second statement
}

// login is the first message of a session, kept in case it is refused.
type login struct {
	frame  frame
	origin origin
}

// postgresStep is a message that the server answers.
type postgresStep struct {
	letter    byte       // 0 is the first message of the connection
	query     *query     // what it is part of; of a Sync, what it commits
	statement *statement // what the query runs
	name      string     // of Parse and Close
	limit     uint32     // of Execute, in rows; 0: none
	rows      bool       // some came
	ended     bool       // only ReadyForQuery is missing
}

// postgresGroup is the query that messages are being sent for.
type postgresGroup struct {
	query     *query // nil: none
	statement *statement
	name      string // of the statement
	portal    string
	bound     bool
}

// roomForAttributes is for those that are not the statement's: system, database,
// rows or code and error, and four of addresses.
const roomForAttributes = 10

// maxSteps bounds the answers waited for. Beside what the link bounds there are
// few: a query has four or five.
const maxSteps = 8 * maxDepth

// roomForSteps is how many are no reason to allocate again: a batch of some size.
const roomForSteps = 64

func (s *postgres) measure(d direction, data []byte) int64 {
	letters, empty := postgresReplies, postgresBare
	if d == toServer {
		letters, empty = postgresRequests, postgresEmpty
	}
	switch {
	case d == toServer && data[0] == 0:
		return s.measureFirst(data)
	case d == toClient && s.negotiating && data[0] != 'E':
		return 1
	case strings.IndexByte(letters, data[0]) < 0:
		return -1
	case len(data) < postgresHead:
		return 0
	}
	n := binary.BigEndian.Uint32(data[1:])
	if n < 4 || n > postgresMessage || n != 4 && strings.IndexByte(empty, data[0]) >= 0 {
		return -1
	}
	return int64(n) + 1
}

func (s *postgres) measureFirst(data []byte) int64 {
	if s.spoken {
		return -1
	}
	if len(data) < 4 {
		return 0
	}
	n := binary.BigEndian.Uint32(data)
	if n < 8 || n > postgresStartup {
		return -1
	}
	return int64(n)
}

func (s *postgres) take(d direction, f *frame) bool {
	s.heal()
	switch {
	case d == toClient:
		return s.reply(f)
	case f.data[0] == 0:
		return s.first(f)
	}
	s.spoken = true
	return s.request(f)
}

// heal forgets what bytes that were not seen may have changed.
func (s *postgres) heal() {
	if s.losses == s.link.losses {
		return
	}
	if s.losses[toServer] != s.link.losses[toServer] {
		s.group, s.skips, s.login, s.negotiating = postgresGroup{}, false, nil, false
		s.steps = nil
		s.texts.remove("")
		s.portals = statements[string]{}
		if s.reuses {
			s.texts = statements[string]{}
		}
	}
	s.loose = true
	if s.link.first == nil {
		s.steps, s.group = nil, postgresGroup{}
	}
	s.losses = s.link.losses
}

// resume finds the end of an answer: ReadyForQuery as the last bytes, and what
// comes before it as far as it makes sense.
func (s *postgres) resume(d direction, data []byte) int {
	s.heal()
	n := len(data)
	if d == toServer || s.negotiating || n < 6 || string(data[n-6:n-1]) != "Z\x00\x00\x00\x05" || !postgresReady(data[n-1]) {
		return -1
	}
	for at := range n - 6 {
		if postgresEnds(data[at:]) {
			return at
		}
	}
	return n - 6
}

// postgresEnds says that data is the end of an answer: it begins with
// CommandComplete or ErrorResponse, and goes on with nothing but notices to
// ReadyForQuery.
func postgresEnds(data []byte) bool {
	for first := true; len(data) > 6; first = false {
		n := int(binary.BigEndian.Uint32(data[1:])) + 1
		if n < postgresHead || n > len(data)-6 {
			return false
		}
		body := data[postgresHead:n]
		switch data[0] {
		case 'C':
			if !first || !postgresTag(body) {
				return false
			}
		case 'E':
			if _, ok := readPostgresError(body); !ok || !first {
				return false
			}
		case 'N', 'S', 'A':
			if first || len(body) == 0 || body[len(body)-1] != 0 {
				return false
			}
		default:
			return false
		}
		data = data[n:]
	}
	return len(data) == 6
}

// postgresReady says that c is a transaction's state.
func postgresReady(c byte) bool { return c == 'I' || c == 'T' || c == 'E' }

// statementOf reads a statement.
func (s *postgres) statementOf(text []byte) *statement {
	return s.link.statementOf(text, sql.PostgreSQL)
}

// runs describes q, once.
func (s *postgres) runs(q *query, what *statement) {
	if q.Operation != "" {
		return
	}
	n := roomForAttributes
	if what != nil {
		n += len(what.attributes)
	}
	q.attributes = append(make([]attribute.KeyValue, 0, n), semconv.DBSystemNamePostgreSQL)
	q.text(semconv.DBNamespaceKey, s.database)
	if what != nil {
		s.link.runs(q, what)
	}
}

// cString cuts off the text that data begins with, and the zero byte behind it. Of
// a text without end it returns what there is.
func cString(data []byte) (text, rest []byte) {
	text, rest, _ = bytes.Cut(data, []byte{0})
	return text, rest
}
