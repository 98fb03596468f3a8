package protocol

import (
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// mongoKind says what is special about a command.
type mongoKind uint8

const (
	// mongoCollection: its value is the name of a collection.
	mongoCollection mongoKind = 1 << iota
	// mongoNoise: drivers and servers send it by themselves and all the time. It
	// is never a span.
	mongoNoise
	// mongoAuxiliary: it is a span only if it failed.
	mongoAuxiliary
	// mongoSecret: it has credentials, so none of its text is recorded.
	mongoSecret
)

// mongoCommands are the commands of which there is something to say.
var mongoCommands = map[string]mongoKind{
	"find": mongoCollection, "insert": mongoCollection, "update": mongoCollection, "delete": mongoCollection,
	"aggregate": mongoCollection, "count": mongoCollection, "distinct": mongoCollection,
	"findAndModify": mongoCollection, "findandmodify": mongoCollection, "mapReduce": mongoCollection, "mapreduce": mongoCollection,
	"create": mongoCollection, "drop": mongoCollection, "collMod": mongoCollection, "collStats": mongoCollection,
	"validate": mongoCollection, "compact": mongoCollection, "reIndex": mongoCollection, "killCursors": mongoCollection,
	"createIndexes": mongoCollection, "dropIndexes": mongoCollection, "deleteIndexes": mongoCollection, "listIndexes": mongoCollection,
	"createSearchIndexes": mongoCollection, "updateSearchIndex": mongoCollection, "dropSearchIndex": mongoCollection,
	"convertToCapped": mongoCollection, "planCacheClear": mongoCollection,

	"hello": mongoNoise, "isMaster": mongoNoise, "ismaster": mongoNoise,
	"replSetHeartbeat": mongoNoise, "replSetUpdatePosition": mongoNoise,

	"ping": mongoAuxiliary, "buildInfo": mongoAuxiliary, "buildinfo": mongoAuxiliary, "connectionStatus": mongoAuxiliary,
	"endSessions": mongoAuxiliary, "refreshSessions": mongoAuxiliary, "logout": mongoAuxiliary,
	"saslStart": mongoAuxiliary | mongoSecret, "saslContinue": mongoAuxiliary | mongoSecret,
	"authenticate": mongoAuxiliary | mongoSecret, "getnonce": mongoAuxiliary | mongoSecret,

	"createUser": mongoSecret, "updateUser": mongoSecret, "copydb": mongoSecret, "copydbsaslstart": mongoSecret, "copydbgetnonce": mongoSecret,
}

// maxMongoName bounds the names of commands: there are none as long.
const maxMongoName = 64

// mongoCommand is what is read of a command.
type mongoCommand struct {
	message               mongoMessage
	namespace, collection string
	batch                 int64 // how many writes it has, 0: not known
}

// read reads a command and says of q what it is. It returns false if it is none.
func (c *mongoCommand) read(l *link, q *query) bool {
	r := c.message.body
	first, ok := r.next()
	if ok && (string(first.key) == "$query" || string(first.key) == "query") && first.kind == bsonDocument {
		c.message.body = first.document() // options stand beside it
		r = c.message.body
		first, ok = r.next()
	}
	if !ok || len(first.key) > maxMongoName || !isIdentifier(first.key) {
		if r.cut {
			l.drop(q, uncaptured)
		}
		return r.cut
	}
	q.Operation = string(first.key)
	kind := mongoCommands[q.Operation]
	if kind&mongoNoise != 0 {
		l.void(q, auxiliary)
		return true
	}
	q.auxiliary = kind&mongoAuxiliary != 0
	if kind&mongoCollection != 0 {
		c.collection = first.string()
	}
	if q.Operation == "explain" {
		explained := first.document()
		if of, ok := explained.next(); ok && mongoCommands[string(of.key)]&mongoCollection != 0 {
			c.collection = of.string()
		}
	}
	c.rest(q, r)
	c.name(q)
	if c.batch > 1 {
		q.number(semconv.DBOperationBatchSizeKey, c.batch)
	}
	if statement := l.owner.options.Statement; statement != StatementOff && kind&mongoSecret == 0 {
		q.text(semconv.DBQueryTextKey, c.text(statement == StatementRaw))
	}
	return true
}

// rest reads what comes behind a command's name.
func (c *mongoCommand) rest(q *query, r bsonReader) {
	for {
		e, ok := r.next()
		if !ok {
			break
		}
		switch string(e.key) {
		case "$db":
			c.namespace = e.string()
		case "collection":
			if q.Operation == "getMore" {
				c.collection = e.string()
			}
		case "documents", "updates", "deletes", "ops":
			c.batch, _ = e.document().count()
		}
	}
	switch c.message.list {
	case "documents", "updates", "deletes", "ops":
		c.batch, _ = c.message.documents.count()
	}
}

// name gives q its name.
func (c *mongoCommand) name(q *query) {
	q.text(semconv.DBNamespaceKey, c.namespace)
	q.text(semconv.DBOperationNameKey, q.Operation)
	if c.collection != "" {
		q.Target, q.TargetKey = validUTF8(c.collection), semconv.DBCollectionNameKey
	} else {
		q.Target = validUTF8(c.namespace)
	}
}

// mongoSurroundings are elements of commands that say nothing of what is asked.
var mongoSurroundings = map[string]bool{
	"lsid": true, "txnNumber": true, "autocommit": true, "startTransaction": true, "comment": true,
	"apiVersion": true, "apiStrict": true, "apiDeprecationErrors": true,
	"readConcern": true, "writeConcern": true, "maxTimeMS": true,
}

// text is the command with its values replaced, unless raw. Documents to insert
// are not shown: names in them may be data too.
func (c *mongoCommand) text(raw bool) string {
	t := bsonText{raw: raw}
	t.out = append(make([]byte, 0, 256), '{')
	r := c.message.body
	for first := true; !t.full(); first = false {
		e, ok := r.next()
		if !ok {
			break
		}
		if mongoSurroundings[string(e.key)] || strings.HasPrefix(string(e.key), "$") {
			continue
		}
		if !first {
			t.out = append(t.out, ',')
		}
		t.name(e.key)
		switch {
		case first && c.collection != "" && e.kind == bsonString, string(e.key) == "collection" && e.kind == bsonString:
			t.out = append(t.out, '"')
			t.out = appendQuoted(t.out, []byte(c.collection))
			t.out = append(t.out, '"')
		case string(e.key) == "documents" && !raw:
			t.out = append(t.out, "[?]"...)
		default:
			t.value(&e, 0)
		}
	}
	if c.message.list != "" {
		t.out = append(t.out, ',')
		t.name([]byte(c.message.list))
		if c.message.list == "documents" && !raw {
			t.out = append(t.out, "[?]"...)
		} else {
			t.sequence(c.message.documents)
		}
	}
	t.end(r.cut, '}')
	return string(t.out)
}
