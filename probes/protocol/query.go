package protocol

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// query is a request that waits for its answer, or what stands by itself: a
// message that a broker delivers.
//
// A session makes it with ask (or tell), describes it, and ends it with finish.
type query struct {
	next *query

	// id is for the session: what the answer will name, if it does.
	id uint64
	// note is for the session too: what it must remember until the answer.
	note any
	// lacks is what is not known of it, for it to be counted: unprepared, if the
	// statement it runs was prepared unseen; sealed, if it carries messages whose
	// headers can't all be read, so that it may have a parent that is not known; or 0.
	lacks outcome
	// auxiliary says that it is no query: it is worth a span only if it failed.
	auxiliary bool
	Name
	kind       Kind
	attributes []attribute.KeyValue
	failed     bool
	message    string // status description, only with failed

	start    time.Time // first byte of the request
	answered time.Time // first byte of the answer; zero: none yet
	origin   origin
	void     bool          // counted as dropped, or emitted: it only keeps its place
	patience time.Duration // how long it waits at most; 0: as others, endless: it asks for what is not there yet
}

// endless is the patience of a request that rightly waits for long.
const endless = time.Duration(-1)

// text adds an attribute, unless it is empty. What is not UTF-8 is replaced.
func (q *query) text(key attribute.Key, value string) {
	if value != "" {
		q.attributes = append(q.attributes, key.String(validUTF8(value)))
	}
}

func (q *query) number(key attribute.Key, n int64) {
	q.attributes = append(q.attributes, key.Int64(n))
}

// fail makes the span an error. kind is error.type: the status code that the
// protocol gave, or a word; message is for people, and free of what users typed.
// The first failure counts.
func (q *query) fail(kind, message string) {
	if q.failed {
		return
	}
	q.failed, q.message = true, validUTF8(message)
	q.text(semconv.ErrorTypeKey, kind)
}

// ask adds the request that f begins. It always returns one; when it can't be
// followed, that is counted, and what is said of it goes nowhere.
func (l *link) ask(f *frame) *query {
	s := l.owner
	s.counters.add(seen)
	if l.depth >= maxDepth {
		l.voidAll(tooDeep)
		l.distrust()
	}
	if l.first != nil {
		l.pipelines, l.serial = true, 0
	}
	q := &query{start: f.first, origin: *f.origin}
	l.identify(q, f.origin)
	if l.last == nil {
		l.first = q
	} else {
		l.last.next = q
	}
	l.last = q
	l.depth++
	s.calls++
	switch {
	case s.calls > s.options.Limits.Calls:
		l.void(q, tableFull)
	case l.unsure && !l.wire.numbered:
		l.void(q, unpaired)
	}
	return q
}

// tell adds what f says by itself, without a request: to be ended at once.
func (l *link) tell(f *frame) *query {
	f.origin.taken = true // ids are for requests
	f.origin.trace = Trace{}
	pipelines, serial := l.pipelines, l.serial
	q := l.ask(f)
	l.pipelines, l.serial = pipelines, serial
	return q
}

// beside adds another request of the same bytes as q, of which one does several
// things.
func (l *link) beside(q *query) *query {
	o := q.origin
	o.taken = true
	other := l.ask(&frame{first: q.start, origin: &o})
	other.id, other.answered = q.id, q.answered
	return other
}

// oldest returns the request that the next answer belongs to, in protocols that
// answer in order; nil if none waits.
func (l *link) oldest() *query { return l.first }

// find returns the request with that id; nil if none waits.
func (l *link) find(id uint64) *query {
	for q := l.first; q != nil; q = q.next {
		if q.id == id {
			return q
		}
	}
	return nil
}

// answer notes that f is of the answer to q. Only its first frame counts.
func (l *link) answer(q *query, f *frame) {
	if q.answered.IsZero() {
		q.answered = f.first
	}
}

// finish ends q with the last byte of f.
func (l *link) finish(q *query, f *frame) { l.finishAt(q, f.last) }

func (l *link) finishAt(q *query, end time.Time) {
	if l.depth == 1 && l.serial < serialEnough {
		l.serial++
	}
	l.emit(q, end)
	l.remove(q)
}

// stray counts an answer that nobody waits for.
func (l *link) stray() {
	l.disown(unpaired)
	l.owner.counters.add(stray)
	if !l.wire.numbered && !l.unsure {
		l.distrust()
	}
}

// drop takes q out: it turned out to be no request.
func (l *link) drop(q *query, why outcome) {
	l.void(q, why)
	l.remove(q)
}

func (l *link) void(q *query, why outcome) {
	if !q.void {
		q.void = true
		l.owner.counters.add(why)
	}
}

// voidAll drops everything that waits.
func (l *link) voidAll(why outcome) {
	l.disown(why)
	for l.first != nil {
		l.drop(l.first, why)
	}
}

func (l *link) remove(q *query) {
	var before *query
	for at := l.first; at != q; at = at.next {
		if at == nil {
			return
		}
		before = at
	}
	if before == nil {
		l.first = q.next
	} else {
		before.next = q.next
	}
	if l.last == q {
		l.last = before
	}
	q.next = nil
	l.depth--
	l.owner.calls--
}
