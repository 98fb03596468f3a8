package test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// statuses are answers that tell one request from the next, so that a span that
// pairs a request with another's answer shows.
var statuses = [...]int{200, 201, 202, 203, 206, 404, 410}

// flood sends n requests through a front to its backend on eight connections at
// a time, with heads of a kilobyte.
func flood(t *testing.T, client *http.Client, front, backend, prefix string, n int) {
	t.Helper()
	next := make(chan int)
	var flight sync.WaitGroup
	for range 8 {
		flight.Go(func() {
			for i := range next {
				target := fmt.Sprintf("%s/status/%d?pad=%s", backend, statuses[i%len(statuses)], strings.Repeat("x", 700))
				if err := drain(client, front+"/call?id="+dot(prefix, i)+"&url="+url.QueryEscape(target)); err != nil {
					t.Error(err)
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

// TestFlooded stops the agent while programs go on, until the ring is full and
// records are lost. The loss must be counted, and nothing may be put together
// wrongly. Once the agent runs again it may doubt the first exchange on each
// connection that has lost something, and counts it; then nothing is missing.
func TestFlooded(t *testing.T) {
	const lost, after = 8000, 200
	s := newStage(t)
	s.watch("OTEL_BSP_MAX_QUEUE_SIZE=100000")
	backend := s.serve("go", programs.Config{Service: "backend"})
	file := filepath.Join(s.scene.Dir, "truth")
	front := s.serve("go", programs.Config{Service: "front", Truth: file})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	t.Cleanup(client.CloseIdleConnections)
	flood(t, client, front.URL, backend.URL, "before", after)
	if err := syscall.Kill(s.agent.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	flood(t, client, front.URL, backend.URL, "during", lost)
	if err := syscall.Kill(s.agent.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := rig.Until(t.Context(), "the agent to catch up", func(ctx context.Context) error {
		metrics, err := s.agent.Metrics(ctx)
		if used := metrics["clew_probes_ring_used_bytes"]; err == nil && used > 64<<10 {
			err = fmt.Errorf("%v bytes are in the ring", used)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	flood(t, client, front.URL, backend.URL, "after", after)
	flood(t, client, front.URL, backend.URL, "later", after)
	spans := s.settle()

	if s.counts[`clew_probes_dropped_total{reason="ring_full"}`] == 0 {
		t.Error("no record is counted as lost")
	}
	truth, err := programs.ReadTruth(file)
	if err != nil {
		t.Fatal(err)
	}
	judgeFlood(t, spans, truth)
	doubted := s.counts[`clew_protocol_dropped_total{reason="record_lost"}`] + s.counts[`clew_protocol_dropped_total{reason="pairing_unsure"}`]
	for prefix, missing := range map[string]float64{"before.": 0, "after.": min(doubted, 3*8), "later.": 0} {
		found := len(spans.Where(rig.Service("front"), rig.Kind("server"), hasPrefix(prefix)))
		for call, request := range truth.Parents {
			if strings.HasPrefix(request, prefix) {
				found += len(spans.Where(rig.Request(call)))
			}
		}
		if found > 3*after || found < 3*after-int(missing) {
			t.Errorf("%d of %d spans of the requests %s are there, at most %v may be missing", found, 3*after, prefix, missing)
		}
	}
}

// judgeFlood expects that what is told of requests and parents is true.
func judgeFlood(t *testing.T, spans rig.Spans, truth programs.Truth) {
	t.Helper()
	owner := make(map[string]rig.Span)
	for _, span := range spans {
		owner[span.TraceID+span.SpanID] = span
	}
	wrong := 0
	for _, span := range spans {
		code, text := span.Attributes["http.response.status_code"], span.Attributes["url.path"]+span.Attributes["url.full"]
		if _, rest, ok := strings.Cut(text, "/status/"); ok && code != "" && !strings.HasPrefix(rest, code) {
			wrong++
			t.Errorf("an answer of another request: %v", span)
		}
		parent, known := owner[span.TraceID+span.ParentID]
		if !known {
			continue // none, or it was lost
		}
		want := span.RequestID() // of the called, that of the call
		if span.Kind == "client" {
			want = truth.Parents[want]
		}
		if parent.RequestID() != want {
			wrong++
			t.Errorf("a wrong parent: %v below %v", span, parent)
		}
		if wrong > 10 {
			t.Fatal("and so on")
		}
	}
}

// TestKilledTarget kills a program in the midst of a request.
func TestKilledTarget(t *testing.T) {
	for _, name := range []string{"go", "python-http", "gunicorn-sync"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.watch()
			server := s.serve(name, programs.Config{})
			curl, err := s.scene.Start(rig.Command{Name: "curl", Path: "curl", Args: []string{"-sS", server.URL + "/slow?ms=60000&id=victim"}})
			if err != nil {
				t.Fatal(err)
			}
			await(t, s, "the request to be seen", func(m map[string]float64) bool {
				return m[`clew_probes_seen_total{reason="request"}`] >= 2
			})
			if err := syscall.Kill(-server.PID(), syscall.SIGKILL); err != nil { // its process group: workers too
				t.Fatal(err)
			}
			if err := curl.Wait(); err == nil {
				t.Fatal("curl got an answer from a dead server")
			}
			s.await(1, rig.Request("victim"), rig.Kind("client")) // now, and not only when the agent stops
			again := s.serve(name, programs.Config{Service: "again"})
			s.get(again.URL+"/?id=next", 200)
			spans := s.settle()
			client := one(t, spans, "curl", rig.Request("victim"), rig.Kind("client"))
			unanswered(t, client)
			served := one(t, spans, "the killed", rig.Request("victim"), rig.Kind("server"))
			unanswered(t, served)
			childOf(t, served, client, "local")
			attributes(t, one(t, spans, "next", rig.Request("next")), "http.response.status_code", "200")
		})
	}
}

// await waits until the agent's metrics fulfil the condition.
func await(t *testing.T, s *stage, what string, holds func(map[string]float64) bool) {
	t.Helper()
	if err := rig.Until(t.Context(), what, func(ctx context.Context) error {
		metrics, err := s.agent.Metrics(ctx)
		if err == nil && !holds(metrics) {
			err = fmt.Errorf("not yet")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestGarbageCrowd has 64 connections speak garbage at the same time, with good
// requests among them.
func TestGarbageCrowd(t *testing.T) {
	const crowd, good = 64, 300
	s := newStage(t)
	s.watch()
	names := []string{"go", "nginx", "node-http"}
	for _, name := range names {
		server := s.serve(name, programs.Config{})
		var flight sync.WaitGroup
		for i := range crowd {
			c := garbage[i%len(garbage)]
			flight.Go(func() { throw(t, server.Address, c.bytes(), c.piece) })
		}
		client := &http.Client{Transport: &http.Transport{}}
		for i := range good {
			fetch(t, client, fmt.Sprintf("%s/?id=crowd-%s.%d", server.URL, name, i), 200)
		}
		flight.Wait()
		client.CloseIdleConnections()
	}
	if !s.agent.Running() {
		t.Fatal("the agent is gone")
	}
	spans := s.settle()
	for _, name := range names {
		answered(t, spans.Where(hasPrefix("crowd-"+name+".")), "crowd-"+name, slices.Repeat([]answer{{"GET", "/", 200}}, good))
	}
}
