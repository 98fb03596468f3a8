package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// b3Contexts are heads of requests with a context in the forms of B3, and what
// holds of it. See https://github.com/openzipkin/b3-propagation.
var b3Contexts = []struct {
	name    string
	lines   []string
	trace   string // "" for none of theirs
	dropped bool   // the caller does not sample: no span
}{
	{name: "single", lines: []string{"b3: " + aTrace + "-" + aParent + "-1"}, trace: aTrace},
	{name: "single, upper-case name", lines: []string{"B3: " + aTrace + "-" + aParent + "-1"}, trace: aTrace},
	{name: "single, with its own parent", lines: []string{"b3: " + aTrace + "-" + aParent + "-1-05e3ac9a4f6e3b90"}, trace: aTrace},
	{name: "single, debug", lines: []string{"b3: " + aTrace + "-" + aParent + "-d"}, trace: aTrace},
	{name: "single, undecided", lines: []string{"b3: " + aTrace + "-" + aParent}, trace: aTrace},
	{name: "single, 64 bits", lines: []string{"b3: " + aTrace[16:] + "-" + aParent + "-1"}, trace: strings.Repeat("0", 16) + aTrace[16:]},
	{name: "single, not sampled", lines: []string{"b3: " + aTrace + "-" + aParent + "-0"}, dropped: true},
	{name: "single, not hex", lines: []string{"b3: " + strings.Replace(aTrace, "4bf9", "4bg9", 1) + "-" + aParent + "-1"}},
	{name: "single, too short", lines: []string{"b3: " + aTrace[1:] + "-" + aParent + "-1"}},
	{name: "single, zeros", lines: []string{"b3: " + strings.Repeat("0", 32) + "-" + aParent + "-1"}},
	{name: "multi", lines: []string{"X-B3-TraceId: " + aTrace, "X-B3-SpanId: " + aParent, "X-B3-Sampled: 1"}, trace: aTrace},
	{name: "multi, lower-case names", lines: []string{"x-b3-traceid: " + aTrace, "x-b3-spanid: " + aParent, "x-b3-sampled: 1"}, trace: aTrace},
	{name: "multi, in another order", lines: []string{"X-B3-Sampled: 1", "X-B3-SpanId: " + aParent, "X-B3-ParentSpanId: 05e3ac9a4f6e3b90", "X-B3-TraceId: " + aTrace}, trace: aTrace},
	{name: "multi, undecided", lines: []string{"X-B3-TraceId: " + aTrace, "X-B3-SpanId: " + aParent}, trace: aTrace},
	{name: "multi, debug", lines: []string{"X-B3-TraceId: " + aTrace, "X-B3-SpanId: " + aParent, "X-B3-Flags: 1"}, trace: aTrace},
	{name: "multi, 64 bits", lines: []string{"X-B3-TraceId: " + aTrace[16:], "X-B3-SpanId: " + aParent, "X-B3-Sampled: 1"}, trace: strings.Repeat("0", 16) + aTrace[16:]},
	{name: "multi, not sampled", lines: []string{"X-B3-TraceId: " + aTrace, "X-B3-SpanId: " + aParent, "X-B3-Sampled: 0"}, dropped: true},
	{name: "multi, half", lines: []string{"X-B3-TraceId: " + aTrace, "X-B3-Sampled: 1"}},
	{name: "traceparent beside it", lines: []string{"traceparent: 00-" + strings.Repeat("1", 32) + "-" + aParent + "-01", "b3: " + aTrace + "-" + aParent + "-1"}, trace: strings.Repeat("1", 32)},
	{name: "none"},
}

// TestB3 sends contexts in the forms of B3, to an agent that is to read them and
// to one that is not.
func TestB3(t *testing.T) {
	for _, propagators := range []string{"tracecontext,b3,b3multi", "tracecontext"} {
		t.Run(propagators, func(t *testing.T) {
			s := newStage(t)
			s.watch("OTEL_PROPAGATORS=" + propagators)
			reads := strings.Contains(propagators, "b3")
			names := []string{"go", "python-http", "nginx"}
			for _, name := range names {
				server := s.serve(name, programs.Config{})
				for i, c := range b3Contexts {
					w := dial(t, server.Address)
					w.send("%s", request("GET", "/", fmt.Sprintf("b%d-%s", i, name), append([]string{"Connection: close"}, c.lines...)...))
					w.receive("GET", 200)
					w.Close()
				}
			}
			spans := s.settle()
			for i, c := range b3Contexts {
				for _, name := range names {
					t.Run(c.name+"/"+name, func(t *testing.T) {
						id := fmt.Sprintf("b%d-%s", i, name)
						if reads && c.dropped {
							if n := len(spans.Where(rig.Request(id))); n != 0 {
								t.Errorf("got %d spans of a trace that is not sampled", n)
							}
							return
						}
						span := one(t, spans, id, rig.Request(id))
						span.TraceID = fmt.Sprintf("%032s", span.TraceID) // Jaeger leaves out leading zeros
						if c.trace != "" && (reads || strings.HasPrefix(c.lines[0], "traceparent")) {
							childOf(t, span, rig.Span{TraceID: c.trace, SpanID: aParent}, "header")
							return
						}
						root(t, span)
						if strings.HasSuffix(span.TraceID, aTrace[16:]) {
							t.Error("the span joined a trace by a bad header")
						}
					})
				}
			}
		})
	}
}
