package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// TestKilledAgent kills the agent while requests run. The programs must not
// notice, nothing may stay in the kernel, and the next agent works at once.
func TestKilledAgent(t *testing.T) {
	s := newStage(t)
	s.watch()
	backend := s.serve("go", programs.Config{Service: "backend"})
	front := s.serve("go", programs.Config{Service: "front"})
	target := front.URL + "/call?url=" + url.QueryEscape(backend.URL+"/") + "&id="

	ctx, stop := context.WithCancel(t.Context())
	var requests atomic.Int64
	failed := make(chan error, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for ctx.Err() == nil {
			response, err := client.Get(target + "load" + strconv.FormatInt(requests.Add(1), 10))
			if err != nil {
				failed <- err
				return
			}
			response.Body.Close()
			if response.StatusCode != 200 {
				failed <- errors.New(response.Status)
				return
			}
		}
		failed <- nil
	}()
	more := func() { // waits until the load has moved on
		t.Helper()
		goal := requests.Load() + 50
		if err := rig.Until(t.Context(), "requests", func(context.Context) error {
			if n := requests.Load(); n < goal {
				return fmt.Errorf("%d of %d", n, goal)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		more()
		held, err := s.agent.Programs()
		if err != nil {
			t.Fatal(err)
		}
		if len(held) == 0 {
			t.Fatal("the agent holds no BPF program")
		}
		s.agent.Kill()
		more()
		for _, id := range held {
			if err := rig.Until(t.Context(), fmt.Sprintf("the end of program %d", id), func(context.Context) error {
				program, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
				if errors.Is(err, os.ErrNotExist) {
					return nil
				}
				if err == nil {
					err = errors.Join(errors.New("it is still loaded"), program.Close())
				}
				return err
			}); err != nil {
				t.Error(err)
			}
		}
		s.watch()
	}
	more()
	stop()
	if err := <-failed; err != nil {
		t.Errorf("a program noticed: %v", err)
	}
	s.get(target+"last", 200)
	spans := s.settle()
	parent := one(t, spans, "the last request", rig.Service("front"), rig.Kind("server"), rig.Request("last"))
	client := one(t, spans, "its call", rig.Kind("client"), func(span rig.Span) bool { return span.ParentID == parent.SpanID })
	server := one(t, spans, "the called", rig.Service("backend"), rig.Request(client.RequestID()))
	linked(t, parent, client, server, "goroutine")
}

// TestBackendGone takes Jaeger away for a while. The agent must go on, count
// what it drops, and deliver again when Jaeger is back.
func TestBackendGone(t *testing.T) {
	s := newStage(t)
	s.watch("OTEL_BSP_MAX_QUEUE_SIZE=600", "OTEL_BSP_EXPORT_TIMEOUT=1000", "OTEL_EXPORTER_OTLP_TIMEOUT=500")
	server := s.serve("go", programs.Config{})
	s.get(server.URL+"/?id=before", 200)
	s.await(1, rig.Request("before"))
	s.jaeger.Kill()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	const lost = 3000 // more than the queue holds
	for i := range lost {
		fetch(t, client, server.URL+"/?id="+dot("during", i), 200)
	}
	if err := rig.Until(t.Context(), "counted drops", func(ctx context.Context) error {
		metrics, err := s.agent.Metrics(ctx)
		if err != nil {
			return err
		}
		var counted []string
		for name, value := range metrics {
			if strings.Contains(name, "dropped") && strings.Contains(name, "export") && value > 0 {
				return nil
			}
			counted = append(counted, name)
		}
		return fmt.Errorf("no drop among %d metrics", len(counted))
	}); err != nil {
		t.Error(err)
	}
	port, err := strconv.Atoi(s.jaeger.Endpoint[strings.LastIndexByte(s.jaeger.Endpoint, ':')+1:])
	if err != nil {
		t.Fatal(err)
	}
	if s.jaeger, err = rig.StartJaeger(t.Context(), s.scene, port); err != nil {
		t.Fatal(err)
	}
	// The queue is full at first, so the first requests may be lost too.
	attempts := 0
	if err := rig.Until(t.Context(), "a span after the outage", func(ctx context.Context) error {
		attempts++
		fetch(t, client, server.URL+"/?id="+dot("after", attempts), 200)
		spans, err := s.jaeger.Spans(ctx)
		if err == nil && len(spans.Where(hasPrefix("after."))) == 0 {
			err = errors.New("there is none")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.get(server.URL+"/?id=last", 200)
	usage, err := rig.UsageOf(s.agent.PID())
	if err != nil {
		t.Fatal(err)
	}
	if usage.Resident > 256<<20 {
		t.Errorf("the agent holds %d MiB", usage.Resident>>20)
	}
	spans := s.settle()
	one(t, spans, "the last", rig.Request("last"))
	if n := len(spans.Where(hasPrefix("during."))); n > 600+512 {
		t.Errorf("%d spans were kept, though the queue holds 600", n)
	}
}

// TestNotReady checks that an agent whose backend never was there is not ready,
// and still traces on when it comes.
func TestNotReady(t *testing.T) {
	s := newStage(t)
	binary, err := theLab.agent()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	port, err := rig.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		var err error
		s.agent, err = rig.StartAgent(ctx, s.scene, rig.AgentConfig{
			Binary: binary, Endpoint: fmt.Sprintf("http://127.0.0.1:%d", port),
		})
		started <- err
	}()
	server := s.serve("go", programs.Config{})
	for i := range 100 {
		s.get(server.URL+"/?id="+dot("early", i), 200)
	}
	select {
	case err := <-started:
		t.Errorf("the agent calls itself ready without a backend: %v", err)
		cancel()
		return
	default:
	}
	if s.jaeger, err = rig.StartJaeger(t.Context(), s.scene, port); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	cancel()
	s.get(server.URL+"/?id=late", 200)
	one(t, s.settle(), "late", rig.Request("late"))
}
