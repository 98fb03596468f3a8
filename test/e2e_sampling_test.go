package test

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// chain is a front that calls a backend for each request.
type chain struct {
	*stage
	front, backend *programs.Server
}

func (s *stage) chain() chain {
	s.Helper()
	c := chain{stage: s, backend: s.serve("go", programs.Config{Service: "backend"})}
	c.front = s.serve("go", programs.Config{Service: "front"})
	// Evidence in a Go program begins when it has been read and has its probe.
	await(s.T, s, "the agent to know both programs", func(m map[string]float64) bool {
		return m["clew_probes_uprobes"] >= 2
	})
	s.get(c.front.URL+c.call("/")+"&id=warm", 200)
	return c
}

// call is the path at which the front calls that path of the backend.
func (c chain) call(path string) string {
	return "/call?url=" + url.QueryEscape(c.backend.URL+path)
}

// load sends n requests, eight at a time, with ids of that prefix.
func (c chain) load(n int, path, prefix string) {
	c.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	next := make(chan int)
	var flight sync.WaitGroup
	for range 8 {
		flight.Go(func() {
			for i := range next {
				if err := drain(client, c.front.URL+path+"&id="+dot(prefix, i)); err != nil {
					c.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	flight.Wait()
}

// whole expects that the trace of that request is there from end to end: the
// front's span under parent, its call, and the backend's span.
func (c chain) whole(request rig.Span, parent string) {
	c.Helper()
	trace := c.spans.Where(func(s rig.Span) bool { return s.TraceID == request.TraceID })
	below := func(parent, service, kind string) rig.Span {
		return one(c.T, trace, kind+" span of "+service, rig.Service(service), rig.Kind(kind),
			func(s rig.Span) bool { return s.ParentID == parent })
	}
	server := below(parent, "front", "server")
	call := below(server.SpanID, "front", "client")
	below(call.SpanID, "backend", "server")
	if len(trace) != 3 {
		c.Errorf("a trace of %d spans, want 3:\n%v", len(trace), trace)
	}
}

// What TestSampling sends, and the share of it that is sampled.
const (
	sampledOf   = 6000
	sampleRatio = 0.01
	some        = 40
	slows       = 5
	slowness    = 200 * time.Millisecond
)

// TestSampling keeps one trace in a hundred: whole ones, and what fails or is
// slow besides.
func TestSampling(t *testing.T) {
	s := newStage(t)
	s.watch("OTEL_TRACES_SAMPLER=parentbased_traceidratio",
		fmt.Sprintf("OTEL_TRACES_SAMPLER_ARG=%v", sampleRatio), fmt.Sprintf("CLEW_KEEP_SLOW=%v", slowness))
	c := s.chain()
	c.load(sampledOf, c.call("/"), "plain")
	c.load(some, c.call("/error"), "deep")
	for i := range some {
		s.get(c.front.URL+"/error?id="+dot("failed", i), 500)
		s.get(c.front.URL+"/status/404?id="+dot("missing", i), 404)
		for _, flags := range []string{"00", "01"} {
			w := dial(t, c.front.Address)
			w.send("%s", request("GET", c.call("/"), dot("flag"+flags, i), "Connection: close",
				fmt.Sprintf("traceparent: 00-ff%s%028x-%s-%s", flags, i+1, aParent, flags)))
			w.receive("GET", 200)
			w.Close()
		}
	}
	for i := range slows {
		s.get(c.front.URL+fmt.Sprintf("/slow?ms=%d&id=", 2*slowness.Milliseconds())+dot("slow", i), 200)
	}
	s.settle()
	t.Run("ratio", func(t *testing.T) { c.at(t).ratio() })
	t.Run("errors", func(t *testing.T) { c.at(t).errors() })
	t.Run("slow", func(t *testing.T) {
		for i := range slows {
			span := one(t, s.spans, "a slow request", rig.Request(dot("slow", i)))
			if length := span.End.Sub(span.Start); length < 2*slowness {
				t.Errorf("the slow request took %v", length)
			}
		}
	})
	t.Run("flags", func(t *testing.T) { c.at(t).flags() })
	t.Run("agreement", func(t *testing.T) { c.at(t).agreement() })
}

// at is the same chain, failing in t.
func (c chain) at(t *testing.T) chain {
	s := *c.stage
	s.T = t
	c.stage = &s
	return c
}

// ratio expects as many traces as were asked for, within five standard
// deviations.
func (c chain) ratio() {
	kept := c.spans.Where(rig.Service("front"), rig.Kind("server"), hasPrefix("plain."))
	want, deviation := sampledOf*sampleRatio, math.Sqrt(sampledOf*sampleRatio*(1-sampleRatio))
	if off := math.Abs(float64(len(kept)) - want); off > 5*deviation {
		c.Errorf("%d of %d traces were kept, want %v ± %.0f", len(kept), sampledOf, want, 5*deviation)
	}
	for _, span := range kept {
		c.whole(span, "")
	}
}

// errors expects a span of every failure, where it came from and on the way.
func (c chain) errors() {
	for i := range some {
		attributes(c.T, one(c.T, c.spans, "a failure", rig.Request(dot("failed", i))), "http.response.status_code", "500")
	}
	for _, kind := range []string{"client", "server"} {
		failed := c.spans.Where(rig.Kind(kind), func(span rig.Span) bool {
			return span.Attributes["http.response.status_code"] == "500" && !hasPrefix("failed.")(span)
		})
		if len(failed) != some {
			c.Errorf("%d %s spans of %d calls that failed", len(failed), kind, some)
		}
	}
	// What a client got wrong is no failure of the server.
	if n := len(c.spans.Where(hasPrefix("missing."))); n > some/4 {
		c.Errorf("%d of %d requests answered with 404 were kept", n, some)
	}
}

// flags expects that the caller's decision holds, either way.
func (c chain) flags() {
	if n := len(c.spans.Where(hasPrefix("flag00."))); n != 0 {
		c.Errorf("%d of %d traces were kept though their caller does not", n, some)
	}
	for i := range some {
		span := one(c.T, c.spans, "a sampled request", rig.Request(dot("flag01", i)))
		attributes(c.T, span, "clew.parent.evidence", "header")
		c.whole(span, aParent)
	}
}

// agreement expects nothing but whole traces, and what failed or was slow: a
// program further down never decides by itself.
func (c chain) agreement() {
	size := make(map[string]int)
	for _, span := range c.spans {
		size[span.TraceID]++
	}
	for _, span := range c.spans {
		alone := hasPrefix("missing.")(span) || hasPrefix("failed.")(span) // they make no call
		if slow := span.End.Sub(span.Start) >= slowness; !span.Failed && !slow && !alone && size[span.TraceID] != 3 {
			c.Errorf("a part of a trace: %v", span)
		}
	}
}

// TestBudget lets a node begin twenty traces a second, and sends far more.
func TestBudget(t *testing.T) {
	const (
		requests = 4000
		budget   = 20
	)
	s := newStage(t)
	s.watch(fmt.Sprintf("CLEW_TRACES_PER_SECOND=%d", budget))
	began := time.Now()
	c := s.chain()
	c.load(requests, c.call("/"), "plain")
	most := budget*time.Since(began).Seconds() + budget + 1 // a second's worth may come at once
	s.settle()
	roots := s.spans.Where(rig.Service("front"), rig.Kind("server"))
	if n := len(roots); n < budget || float64(n) > most {
		t.Errorf("%d traces were begun, want from %d to %.0f", n, budget, most)
	}
	for _, span := range roots {
		c.whole(span, "")
	}
	if len(s.spans) != 3*len(roots) {
		t.Errorf("%d spans of %d traces of three", len(s.spans), len(roots))
	}
	over := s.counts[`clew_probes_dropped_total{reason="over_budget"}`]
	if want := float64(requests + 1 - len(roots)); over != want {
		t.Errorf("%v traces are counted as over the budget, want %v", over, want)
	}
}
