package export

import (
	"slices"
	"testing"
	"time"

	"github.com/clewtrace/clew/context/assemble"
)

func testGatherer() *gatherer {
	return newGatherer(limits{settle: time.Second, maxAge: time.Minute, maxTraces: 3, maxSpans: 12})
}

func TestGatherWaitsForTheTop(t *testing.T) {
	g, now := testGatherer(), testStart
	spans := slowStory().spans
	ended := slices.Clone(spans)
	slices.SortFunc(ended, func(a, b *assemble.Span) int { return a.End.Compare(b.End) })
	for _, span := range ended[:len(ended)-1] { // all but the root
		g.add(now, span)
		if span.Kind == assemble.KindServer {
			continue // whoever called it ends at the same time
		}
		now = now.Add(5 * time.Second)
		if due := g.take(now, false); len(due) != 0 {
			t.Fatalf("printed %d spans while the root still ran", len(due[0].spans))
		}
	}
	g.add(now, spans[0])
	if due := g.take(now.Add(999*time.Millisecond), false); len(due) != 0 {
		t.Fatal("printed before it was quiet")
	}
	due := g.take(now.Add(time.Second), false)
	if len(due) != 1 || len(due[0].spans) != 9 || due[0].late || due[0].incomplete {
		t.Fatalf("got %+v, want one complete trace of 9 spans", due)
	}
	if due := g.take(now.Add(time.Hour), false); len(due) != 0 {
		t.Error("printed twice")
	}
}

func TestGatherLateAndOld(t *testing.T) {
	g, now := testGatherer(), testStart
	spans := slowStory().spans
	g.add(now, spans[2]) // server, called from outside
	now = now.Add(time.Second)
	if due := g.take(now, false); len(due) != 1 {
		t.Fatal("a server span with an unseen parent was not taken for the top")
	}
	g.add(now, spans[3])
	now = now.Add(time.Second)
	if due := g.take(now, false); len(due) != 1 || !due[0].late {
		t.Fatalf("got %+v, want a late block", due)
	}
	other := failingStory().spans
	for range 61 { // never quiet, never complete
		g.add(now, other[1])
		now = now.Add(time.Second - 1)
		if due := g.take(now, false); len(due) > 0 {
			if !due[0].incomplete {
				t.Error("an unfinished trace is not marked")
			}
			return
		}
		g.open[other[1].TraceID].spans = nil // stay below the limit of spans
	}
	t.Error("an old trace is kept for ever")
}

func TestGatherIsBounded(t *testing.T) {
	g := testGatherer()
	refused := make(map[string]int)
	for i := range byte(10) {
		span := newStory(i).server(nil, "a", "GET", 0, 1, 200)
		for range 20 {
			refused[g.add(testStart, span)]++
		}
	}
	want := map[string]int{"": 3 * 12, reasonTraceFull: 3 * 8, reasonTraces: 7 * 20}
	for reason, n := range want {
		if refused[reason] != n {
			t.Errorf("%q: %d spans, want %d", reason, refused[reason], n)
		}
	}
	for i := range 3 * rememberPrinted {
		span := newStory(0).server(nil, "a", "GET", 0, 1, 200)
		span.TraceID = [16]byte{byte(i), byte(i >> 8)}
		g.take(testStart, true)
		g.add(testStart, span)
	}
	if n := len(g.printed); n != rememberPrinted || len(g.ring) != n {
		t.Errorf("%d printed traces are remembered, want %d", n, rememberPrinted)
	}
}
