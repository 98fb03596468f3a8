package protocol

import (
	"bytes"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/protocol/sql"
)

// maxStatements bounds what is remembered of a connection: prepared statements,
// or cursors.
const maxStatements = 256

// textPrepared stands for the text of a statement that was prepared before the
// connection was seen.
const textPrepared = "<prepared>"

// statement is what the text of a SQL statement says of the queries that run it.
type statement struct {
	Name
	attributes  []attribute.KeyValue
	traceparent string // of a comment
	unseen      bool   // there was no text to read
}

// statementOf reads a statement, which may be cut anywhere. Nothing of text is
// kept.
func (l *link) statementOf(text []byte, d sql.Dialect) *statement {
	say := sql.Describe(text, d)
	s := &statement{traceparent: say.Traceparent}
	s.add(semconv.DBOperationNameKey, say.Operation)
	s.add(semconv.DBQuerySummaryKey, say.Summary)
	switch l.owner.options.Statement {
	case StatementSanitized:
		s.add(semconv.DBQueryTextKey, say.Text)
	case StatementRaw:
		if holdsSecret(text) {
			s.add(semconv.DBQueryTextKey, say.Text)
		} else {
			s.add(semconv.DBQueryTextKey, string(text))
		}
	}
	s.Operation = say.Operation
	s.Target = strings.TrimPrefix(strings.TrimPrefix(say.Summary, say.Operation), " ")
	switch {
	case s.Operation == "":
		s.Operation = l.wire.name
	case say.Collection == "":
	case say.Collection == s.Target:
		s.TargetKey = semconv.DBCollectionNameKey
	default:
		s.add(semconv.DBCollectionNameKey, say.Collection)
	}
	return s
}

// unseenStatement stands for one that was prepared before the connection was
// seen.
func (l *link) unseenStatement() *statement {
	s := &statement{Name: Name{Operation: "EXECUTE"}, unseen: true}
	s.add(semconv.DBOperationNameKey, s.Operation)
	if l.owner.options.Statement != StatementOff {
		s.add(semconv.DBQueryTextKey, textPrepared)
	}
	return s
}

func (s *statement) add(key attribute.Key, value string) {
	if value != "" {
		s.attributes = append(s.attributes, key.String(validUTF8(value)))
	}
}

// runs says that q runs s, or prepares it. The trace context in a statement that
// is prepared holds for the first query that runs it: others may run it later, in
// another trace.
func (l *link) runs(q *query, s *statement) {
	if q.Name, q.lacks = s.Name, 0; s.unseen {
		q.lacks = unprepared
	}
	q.attributes = append(slices.Grow(q.attributes, len(s.attributes)+8), s.attributes...)
	if s.traceparent != "" {
		l.carries(q, []byte(s.traceparent))
		s.traceparent = ""
	}
}

// secretWords begin what statements that set passwords have in common.
var secretWords = [][]byte{[]byte("password"), []byte("identified"), []byte("secret"), []byte("authentication")}

// holdsSecret says that a statement may set a password, so that even its raw text
// is not to be recorded.
func holdsSecret(text []byte) bool {
	lower := bytes.ToLower(text)
	return slices.ContainsFunc(secretWords, func(word []byte) bool { return bytes.Contains(lower, word) })
}

// affectedRowsKey is how many rows a statement changed, as the server counts.
const affectedRowsKey attribute.Key = "clew.db.affected_rows"

// statements remembers those that are prepared by their name or number. When there
// are too many the oldest goes.
type statements[K comparable] struct {
	table map[K]*statement
	order []K
}

func (p *statements[K]) get(key K) *statement { return p.table[key] }

func (p *statements[K]) put(key K, s *statement) {
	if p.table == nil {
		p.table = make(map[K]*statement)
	}
	p.remove(key)
	if len(p.order) >= maxStatements {
		p.remove(p.order[0])
	}
	p.table[key] = s
	p.order = append(p.order, key)
}

func (p *statements[K]) remove(key K) {
	if _, there := p.table[key]; !there {
		return
	}
	delete(p.table, key)
	i := slices.Index(p.order, key)
	p.order = slices.Delete(p.order, i, i+1)
}

// sqlWords are what statements begin with.
var sqlWords = map[string]bool{
	"ALTER": true, "ANALYZE": true, "BEGIN": true, "CALL": true, "CHECK": true, "CHECKSUM": true, "COMMIT": true,
	"CREATE": true, "DEALLOCATE": true, "DECLARE": true, "DELETE": true, "DESC": true, "DESCRIBE": true, "DO": true,
	"DROP": true, "END": true, "EXECUTE": true, "EXPLAIN": true, "FLUSH": true, "GRANT": true, "HANDLER": true,
	"INSERT": true, "KILL": true, "LOAD": true, "LOCK": true, "OPTIMIZE": true, "PREPARE": true, "RELEASE": true,
	"RENAME": true, "REPAIR": true, "REPLACE": true, "RESET": true, "REVOKE": true, "ROLLBACK": true, "SAVEPOINT": true,
	"SELECT": true, "SET": true, "SHOW": true, "START": true, "TABLE": true, "TRUNCATE": true, "UNLOCK": true,
	"UPDATE": true, "USE": true, "VALUES": true, "WITH": true, "XA": true,
}

// detectSQL says whether text may be the begin of a SQL statement: a comment, or
// one of the words that statements begin with, of which all is there.
func detectSQL(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n(")
	if bytes.HasPrefix(text, []byte("/*")) || bytes.HasPrefix(text, []byte("-- ")) {
		return true
	}
	const longest = 10
	n := 0
	for n < len(text) && n <= longest && (text[n]|0x20 >= 'a' && text[n]|0x20 <= 'z') {
		n++
	}
	return sqlWords[strings.ToUpper(string(text[:n]))]
}
