package export

import (
	"slices"
	"time"

	"github.com/clewtrace/clew/context/assemble"
)

// trace is a block of spans to be written together.
type trace struct {
	id    [16]byte
	spans []*assemble.Span

	late       bool // the trace was printed before; these came afterwards
	incomplete bool // spans were still expected when it had waited long enough

	first, last time.Time // when the first and last span came in
	dirty       bool      // spans came since completeness was judged
	complete    bool
}

// limits bound what the console keeps.
type limits struct {
	settle    time.Duration // quiet time after which a complete trace is printed
	maxAge    time.Duration // time after which any trace is printed
	maxTraces int           // unfinished traces at a time
	maxSpans  int           // spans of one trace
}

// gatherer collects spans into traces. There is no message that says "this
// trace is over": a trace counts as complete when the request at its top has
// ended and no span has come for a while.
//
// Spans are exported when they end, and the parent ends last, so a client span
// whose parent is missing tells that the request that made it is still running
// here. A server span whose parent is missing was called by somebody who is not
// watched: it is the top.
type gatherer struct {
	limits
	open map[[16]byte]*trace

	// printed remembers the last traces that were printed, oldest first from
	// next on, to recognise late spans.
	printed map[[16]byte]bool
	ring    [][16]byte
	next    int
}

// rememberPrinted is how many printed traces are remembered: late spans come
// within seconds, and nobody reads thousands of traces in that time.
const rememberPrinted = 1024

func newGatherer(l limits) *gatherer {
	return &gatherer{limits: l, open: make(map[[16]byte]*trace), printed: make(map[[16]byte]bool)}
}

// add takes a span, or returns the reason why it cannot.
func (g *gatherer) add(now time.Time, s *assemble.Span) (refused string) {
	t := g.open[s.TraceID]
	if t == nil {
		if len(g.open) >= g.maxTraces {
			return reasonTraces
		}
		t = &trace{id: s.TraceID, first: now, late: g.printed[s.TraceID]}
		g.open[s.TraceID] = t
	}
	if len(t.spans) >= g.maxSpans {
		return reasonTraceFull
	}
	t.spans = append(t.spans, s)
	t.last, t.dirty = now, true
	return ""
}

// take removes and returns the traces that are due, or all, oldest first.
func (g *gatherer) take(now time.Time, all bool) []*trace {
	var due []*trace
	for _, t := range g.open {
		quiet := now.Sub(t.last) >= g.settle
		if t.dirty && (quiet || all) {
			t.complete, t.dirty = t.late || isComplete(t.spans), false
		}
		switch {
		case quiet && t.complete, all, now.Sub(t.first) >= g.maxAge:
			t.incomplete = !t.complete
			due = append(due, t)
		}
	}
	slices.SortFunc(due, func(a, b *trace) int { return a.first.Compare(b.first) })
	for _, t := range due {
		delete(g.open, t.id)
		g.remember(t.id)
	}
	return due
}

func (g *gatherer) remember(id [16]byte) {
	if g.printed[id] {
		return
	}
	g.printed[id] = true
	if len(g.ring) < rememberPrinted {
		g.ring = append(g.ring, id)
		return
	}
	delete(g.printed, g.ring[g.next])
	g.ring[g.next] = id
	g.next = (g.next + 1) % len(g.ring)
}

// isComplete tells whether nothing above these spans is still to come.
func isComplete(spans []*assemble.Span) bool {
	known := make(map[[8]byte]bool, len(spans))
	for _, s := range spans {
		known[s.SpanID] = true
	}
	for _, s := range spans {
		if s.Kind.Outgoing() && s.ParentID != ([8]byte{}) && !known[s.ParentID] {
			return false
		}
	}
	return true
}

// stream hands spans on as they come, for output that is not read by people.
type stream struct {
	max   int
	spans []*assemble.Span
}

func (s *stream) add(_ time.Time, span *assemble.Span) (refused string) {
	if len(s.spans) >= s.max {
		return reasonQueueFull
	}
	s.spans = append(s.spans, span)
	return ""
}

func (s *stream) take(time.Time, bool) []*trace {
	if len(s.spans) == 0 {
		return nil
	}
	t := &trace{spans: s.spans}
	s.spans = nil
	return []*trace{t}
}
