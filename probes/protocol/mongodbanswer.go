package protocol

import (
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// maxMongoFail bounds what is looked at of an error's message.
const maxMongoFail = 200

// mongoAnswer is what is read of an answer.
type mongoAnswer struct {
	failed         bool
	code           string
	name, text     string
	rows           int64 // documents of a cursor; less than 0: not known
	isCursor       bool
	changed, wrote int64 // nModified, n
	hasChanged     bool
	hasWritten     bool
}

// read reads what the server says of a command, or of one of its writes.
func (a *mongoAnswer) read(r bsonReader) {
	for {
		e, ok := r.next()
		if !ok {
			return
		}
		n, isNumber := e.number()
		switch string(e.key) {
		case "ok":
			a.failed = a.failed || isNumber && n == 0
		case "code":
			if isNumber {
				a.code = strconv.FormatInt(int64(n), 10)
			}
		case "codeName":
			a.name = e.string()
		case "errmsg", "$err":
			a.text = e.string()
			a.failed = a.failed || string(e.key) == "$err"
		case "n":
			a.wrote, a.hasWritten = int64(n), isNumber
		case "nModified":
			a.changed, a.hasChanged = int64(n), isNumber
		case "cursor":
			a.cursor(e.document())
		case "writeErrors":
			list := e.document()
			if first, any := list.next(); any {
				a.refused(first.document())
			}
		case "writeConcernError":
			a.refused(e.document())
		}
	}
}

// refused reads an error that is not the command's but of what it was to write.
func (a *mongoAnswer) refused(r bsonReader) {
	var why mongoAnswer
	why.read(r)
	if !a.failed {
		a.failed, a.code, a.name, a.text = true, why.code, why.name, why.text
	}
}

func (a *mongoAnswer) cursor(r bsonReader) {
	for {
		e, ok := r.next()
		if !ok {
			return
		}
		if k := string(e.key); k == "firstBatch" || k == "nextBatch" {
			rows, known := e.document().count()
			if !known {
				rows = -1
			}
			a.rows, a.isCursor = rows, true
		}
	}
}

// returned is how many documents q has got so far, less than 0 if that is not
// known.
func (a *mongoAnswer) returned(q *query) int64 {
	before, streams := q.note.(int64)
	switch {
	case !a.isCursor || a.rows < 0 || streams && before < 0:
		return -1
	}
	return before + a.rows
}

func (a *mongoAnswer) describe(q *query) {
	switch q.Operation {
	case "insert", "delete":
		if a.hasWritten {
			q.number(affectedRowsKey, a.wrote)
		}
	case "update":
		if a.hasChanged {
			q.number(affectedRowsKey, a.changed)
		}
	}
	if !a.failed || q.failed {
		return
	}
	text := mongoMessageText(a.text)
	switch {
	case text == "":
		text = a.name
	case a.name != "":
		text = a.name + ": " + text
	}
	q.text(semconv.DBResponseStatusCodeKey, a.code)
	kind := a.code
	if kind == "" {
		kind = "error"
	}
	q.fail(kind, text)
}

// mongoMessageText is a server's message without what users typed: what is in
// quotes, and documents.
func mongoMessageText(text string) string {
	text = withoutTyped(text[:min(len(text), maxMongoFail)])
	if at := strings.IndexByte(text, '{'); at >= 0 {
		text = text[:at] + "{?}"
	}
	return text
}
