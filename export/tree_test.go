package export

import (
	"bytes"
	"testing"
	"time"

	"github.com/clewtrace/clew/context/assemble"
)

func TestForestTakesAnything(t *testing.T) {
	s := newStory(1)
	a := s.server(nil, "a", "GET", 0, 10, 200)
	b := s.server(a, "b", "GET", 1, 9, 200)
	a.ParentID = b.SpanID // each the other's parent
	self := s.server(nil, "self", "GET", 2, 3, 200)
	self.ParentID = self.SpanID
	twin := s.server(a, "twin", "GET", 4, 5, 200)
	twin.SpanID = b.SpanID
	backwards := s.server(a, "backwards", "GET", 9, 1, 200)
	zero := s.server(a, "zero", "GET", 0, 0, 200)
	zero.Start, zero.End = time.Time{}, time.Time{}
	_, order := forest(s.spans)
	seen := make(map[*assemble.Span]int)
	for _, n := range order {
		seen[n.span]++
		if n.self < 0 {
			t.Errorf("%s has a negative time of its own", n.span.Process.Service)
		}
	}
	for _, span := range s.spans {
		if seen[span] != 1 {
			t.Errorf("%s is drawn %d times", span.Process.Service, seen[span])
		}
	}
	var out bytes.Buffer
	renderer{width: 100}.render(&out, &trace{spans: append(s.spans, backwards)})
}

func TestSelfTimeOfOverlappingChildren(t *testing.T) {
	s := newStory(1)
	root := s.server(nil, "a", "GET", 0, 100, 200)
	s.client(root, "GET", "b", 10, 40, 200)
	s.client(root, "GET", "c", 20, 30, 200)  // inside the first
	s.client(root, "GET", "d", 35, 50, 200)  // overlaps it
	s.client(root, "GET", "e", 90, 150, 200) // outlives the parent
	_, order := forest(s.spans)
	if got, want := order[0].self, 5*time.Millisecond; got != want { // 0-10 and 50-90
		t.Errorf("own time %v, want %v", got, want)
	}
}

func TestOffender(t *testing.T) {
	s := failingStory()
	_, order := forest(s.spans)
	if got := offender(order); got.span != s.spans[6] {
		t.Errorf("blamed %s %s, want the failure that reached the top", got.span.Process.Service, got.span.Name)
	}
	coped := s.client(s.spans[4], "GET", "disk:0", 70, 80, 500) // deeper, but its caller coped
	_, order = forest(s.spans)
	if got := offender(order); got.span != s.spans[6] {
		t.Errorf("blamed %s %s, want the failure that reached the top", got.span.Process.Service, got.span.Name)
	}
	coped.Failed = false
	s.spans[0].Failed = false // the top coped with it: now both were dealt with
	again := s.client(s.spans[6], "GET", "disk:1", 230, 240, 500)
	s.client(s.spans[6], "GET", "disk:2", 250, 260, 500)
	_, order = forest(s.spans)
	if got := offender(order); got.span != again {
		t.Errorf("blamed %s %s, want the first of the deepest", got.span.Process.Service, got.span.Name)
	}
}
