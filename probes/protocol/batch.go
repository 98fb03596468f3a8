package protocol

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	// maxBatchText is how much text of different commands a batch is described by.
	maxBatchText = 1 << 10
	// maxShown is how many arguments of a command are shown as a ? each.
	maxShown = 8
)

// order is one command, as a batch describes it.
type order struct {
	system attribute.KeyValue // db.system.name
	name   string             // db.operation.name
	text   string             // db.query.text; empty: none
}

// batch is what one span is made of: a command, or several that a client sent
// one behind the other before it had any answer (a pipeline). Its size is
// that of what was sent, so the sizes of batches and the spans without one add
// up to what the server's own log says it was told to do.
type batch struct {
	q     *query
	trace Trace // of the segment that it began in
	word  string
	count int // commands
	left  int // answers that are still to come

	order        // of all commands, as far as they are the same
	mixed   bool // the names differ
	texts   []byte
	alone   bool   // nothing joins it
	how     uint32 // for the session, like value: what its commands are
	value   string
	began   bool // its answer has
	vague   bool // it may be over: its last answers may be missing rightly
	fails   int  // commands that failed
	failure string
}

// batches are those of a connection that wait: the notes of its queries.
type batches struct{ link *link }

// add begins a batch with an order; f is what it was sent in.
func (s batches) add(f *frame, o order) *batch {
	b := &batch{trace: f.origin.trace, count: 1, left: 1, order: o}
	b.q = s.link.ask(f)
	b.q.note = b
	b.describe()
	return b
}

// oldest returns the batch that the next answer belongs to, nil if none waits.
func (s batches) oldest() *batch { return batchOf(s.link.oldest()) }

func batchOf(q *query) *batch {
	if q == nil {
		return nil
	}
	b, _ := q.note.(*batch)
	return b
}

// open returns the batch that a command may join which f begins, nil if there
// is none: the latest, if no byte came from the server since, and the same task
// sent it for the same request. So one write is one batch, and a long one that
// is seen in parts is as well; but commands of different tasks that share a
// connection are not.
func (s batches) open(f *frame) *batch {
	b := batchOf(s.link.last)
	o, t := f.origin, &f.origin.trace
	if b == nil || b.alone || b.began || b.q.failed || b.q.origin.tid != o.tid ||
		b.trace.TraceID != t.TraceID || b.trace.ParentID != t.ParentID ||
		!s.link.flows[toClient].last.Before(b.q.start) {
		return nil
	}
	return b
}

// join adds a command to a batch. word says what such a batch is called.
func (b *batch) join(o order, word string) {
	renamed := b.count == 1 || word != b.word
	b.word = word
	if o.name != b.name && !b.mixed {
		b.mixed, renamed = true, true
	}
	if o.text != b.text && len(b.texts) == 0 {
		for range min(b.count, maxBatchText) {
			b.write(b.text)
		}
	}
	if n := len(b.texts); n > 0 {
		b.write(o.text)
		renamed = renamed || n != len(b.texts)
	}
	b.count++
	b.left++
	if !renamed {
		b.q.attributes[len(b.q.attributes)-1] = semconv.DBOperationBatchSize(b.count)
		return
	}
	b.describe()
}

// write adds the text of a command, as long as there is room.
func (b *batch) write(text string) {
	const cut = "..."
	switch {
	case len(b.texts) >= maxBatchText:
		return
	case len(b.texts) > 0:
		b.texts = append(b.texts, "; "...)
	}
	b.texts = append(b.texts, text...)
	if len(b.texts) >= maxBatchText {
		b.texts = append(b.texts[:maxBatchText], cut...)
	}
}

// describe names the span. The size of a batch is the last of its attributes.
func (b *batch) describe() {
	q := b.q
	q.Operation = b.name
	if b.count > 1 {
		q.Operation = b.word
		if !b.mixed {
			q.Operation += " " + b.name
		}
	}
	if q.attributes == nil {
		q.attributes = make([]attribute.KeyValue, 0, 12) // with the addresses
	}
	q.attributes = append(q.attributes[:0], b.system)
	q.text(semconv.DBOperationNameKey, q.Operation)
	if len(b.texts) > 0 {
		q.text(semconv.DBQueryTextKey, string(b.texts))
	} else {
		q.text(semconv.DBQueryTextKey, b.text)
	}
	if b.count > 1 {
		q.number(semconv.DBOperationBatchSizeKey, int64(b.count))
	}
}

// answered notes one answer to b, which ends with f, and ends b with its last.
func (s batches) answered(b *batch, f *frame) {
	if b.left--; b.left > 0 {
		return
	}
	if b.fails > 0 && b.count > 1 {
		b.q.message = fmt.Sprintf("%d of %d commands failed, the first: %s", b.fails, b.count, b.failure)
	}
	s.link.finish(b.q, f)
}

// missed gives up what can't be told any more, when answers were lost and
// others come: which of several commands they answer.
func (s batches) missed() {
	if b := s.oldest(); b != nil && (b.left > 1 || b.count > 1 || b.began) {
		s.giveUp()
	}
}

// giveUp drops all that waits: nobody knows what the next answer belongs to.
func (s batches) giveUp() {
	s.link.voidAll(unpaired)
	s.link.distrust()
}

// fail notes that a command of b failed. The first one counts: its code, if it
// has one, and its message, if that may be told.
func (b *batch) fail(code, message string) {
	if b.fails++; b.fails > 1 {
		return
	}
	kind := code
	if code == "" {
		kind = errorOther
	}
	if message == "" {
		message = kind
	}
	b.failure = message
	b.q.text(semconv.DBResponseStatusCodeKey, code)
	b.q.fail(kind, message)
}

// errorOther is error.type where nothing tells the type.
const errorOther = "_OTHER"
