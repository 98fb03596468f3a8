package test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

const (
	aTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	aParent = "00f067aa0ba902b7"
	aHeader = "00-" + aTrace + "-" + aParent + "-01"
)

// contexts are heads of requests, and whether the context in them holds. W3C
// Trace Context, "Processing Model" and "traceparent Header".
var contexts = []struct {
	name    string
	lines   []string
	honour  bool
	dropped bool // the caller does not sample: no span
}{
	{name: "plain", lines: []string{"traceparent: " + aHeader}, honour: true},
	{name: "upper-case name", lines: []string{"TRACEPARENT: " + aHeader}, honour: true},
	{name: "mixed-case name", lines: []string{"TraceParent: " + aHeader}, honour: true},
	{name: "white space around", lines: []string{"traceparent: \t " + aHeader + " \t"}, honour: true},
	{name: "no white space", lines: []string{"traceparent:" + aHeader}, honour: true},
	{name: "deep in the head", lines: []string{"X-Long: " + strings.Repeat("x", 3000), "traceparent: " + aHeader}, honour: true},
	{name: "after look-alikes", lines: []string{"X-traceparent: 00-" + strings.Repeat("1", 32) + "-" + aParent + "-01", "traceparent-x: a", "traceparent: " + aHeader}, honour: true},
	{name: "future version", lines: []string{"traceparent: cc" + aHeader[2:]}, honour: true},
	{name: "future version with more", lines: []string{"traceparent: cc" + aHeader[2:] + "-what-the-future-brings"}, honour: true},
	{name: "other flags", lines: []string{"traceparent: " + aHeader[:53] + "03"}, honour: true},
	{name: "not sampled", lines: []string{"traceparent: " + aHeader[:53] + "00"}, dropped: true},
	{name: "none"},
	{name: "only a look-alike", lines: []string{"X-traceparent: " + aHeader}},
	{name: "upper-case hex", lines: []string{"traceparent: " + strings.ToUpper(aHeader)}},
	{name: "not hex", lines: []string{"traceparent: " + strings.Replace(aHeader, "4bf9", "4bg9", 1)}},
	{name: "too short", lines: []string{"traceparent: " + aHeader[:54]}},
	{name: "too long for version 00", lines: []string{"traceparent: " + aHeader + "-extra"}},
	{name: "version ff", lines: []string{"traceparent: ff" + aHeader[2:]}},
	{name: "trace of zeros", lines: []string{"traceparent: 00-" + strings.Repeat("0", 32) + "-" + aParent + "-01"}},
	{name: "parent of zeros", lines: []string{"traceparent: 00-" + aTrace + "-" + strings.Repeat("0", 16) + "-01"}},
	{name: "empty", lines: []string{"traceparent:"}},
	{name: "twice the same", lines: []string{"traceparent: " + aHeader, "traceparent: " + aHeader}},
	{name: "two different", lines: []string{"traceparent: " + aHeader, "Traceparent: 00-" + strings.Repeat("1", 32) + "-" + aParent + "-01"}},
	{name: "in the body", lines: []string{"Content-Length: 84", "", "traceparent: " + aHeader + "\r\n" + strings.Repeat("x", 10)}},
}

// TestIncomingContext sends contexts, good and bad, to several servers.
func TestIncomingContext(t *testing.T) {
	s := newStage(t)
	s.watch()
	names := []string{"go", "python-http", "nginx"}
	for _, name := range names {
		server := s.serve(name, programs.Config{})
		for i, c := range contexts {
			w := dial(t, server.Address)
			method := "GET"
			lines := append([]string{"Connection: close"}, c.lines...)
			w.send("%s", request(method, "/", fmt.Sprintf("c%d-%s", i, name), lines...))
			w.receive(method, 200)
			w.Close()
		}
	}
	spans := s.settle()
	for i, c := range contexts {
		for _, name := range names {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				id := fmt.Sprintf("c%d-%s", i, name)
				if c.dropped {
					if n := len(spans.Where(rig.Request(id))); n != 0 {
						t.Errorf("got %d spans of a trace that is not sampled", n)
					}
					return
				}
				span := one(t, spans, id, rig.Request(id))
				if c.honour {
					childOf(t, span, rig.Span{TraceID: aTrace, SpanID: aParent}, "header")
					return
				}
				root(t, span)
				if span.TraceID == aTrace {
					t.Error("the span joined a trace by a bad header")
				}
			})
		}
	}
}

// TestContextTravels checks that the trace of an incoming header goes through a
// program and into the next one, and so does the decision not to sample.
func TestContextTravels(t *testing.T) {
	s := newStage(t)
	s.watch()
	backend := s.serve("go", programs.Config{Service: "backend"})
	middle := s.serve("go", programs.Config{Service: "middle"})
	front := s.serve("gunicorn-sync", programs.Config{Service: "front"})
	inner := middle.URL + "/call?url=" + url.QueryEscape(backend.URL+"/?last=1")
	for _, flags := range []string{"01", "00"} {
		w := dial(t, front.Address)
		w.send("%s", request("GET", "/call?url="+url.QueryEscape(inner), "flags"+flags, "Connection: close",
			"traceparent: "+aHeader[:53]+flags))
		w.receive("GET", 200)
		w.Close()
	}
	spans := s.settle()
	if len(spans) != 5 {
		t.Fatalf("got %d spans, want the 5 of the sampled request", len(spans))
	}
	parent := rig.Span{TraceID: aTrace, SpanID: aParent}
	for _, step := range []struct{ service, kind, evidence string }{
		{"front", "server", "header"}, {"front", "client", "thread"},
		{"middle", "server", "local"}, {"middle", "client", "goroutine"}, {"backend", "server", "local"},
	} {
		span := one(t, spans, step.service+" "+step.kind, rig.Service(step.service), rig.Kind(step.kind))
		childOf(t, span, parent, step.evidence)
		parent = span
	}
}
