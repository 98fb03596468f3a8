package rig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func open(t *testing.T) *Scene {
	t.Helper()
	if obstacle := Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestBackends sends one span to Jaeger and to the sink, and reads the same
// back from both.
func TestBackends(t *testing.T) {
	s := open(t)
	jaeger, err := StartJaeger(t.Context(), s, 0)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := OpenSink(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	start := time.Now().Truncate(time.Microsecond)
	for _, endpoint := range []string{jaeger.Endpoint, sink.Endpoint} {
		send(t, endpoint, start)
	}
	stored, err := jaeger.Spans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for backend, spans := range map[string]Spans{"jaeger": stored, "sink": sink.Spans()} {
		if len(spans) != 1 {
			t.Fatalf("%s: got %d spans, want 1:\n%v", backend, len(spans), spans)
		}
		got := spans[0]
		if got.TraceID != "0102030405060708090a0b0c0d0e0f10" || got.SpanID != "1112131415161718" || got.ParentID != "2122232425262728" ||
			got.Service != "shop" || got.Name != "GET /" || got.Kind != "client" || !got.Failed || got.Message != "why" ||
			!got.Start.Equal(start) || !got.End.Equal(start.Add(time.Second)) || got.RequestID() != "7" ||
			got.Attributes["http.response.status_code"] != "500" || got.Resource["host.name"] != "h" ||
			!got.Events["first"].Equal(start.Add(time.Millisecond)) {
			t.Errorf("%s: got %v", backend, got)
		}
	}
	trace, err := jaeger.Trace(t.Context(), stored[0].TraceID)
	if err != nil || len(trace) != 1 {
		t.Errorf("trace by id: got %v, %v", trace, err)
	}
	if trace, err := jaeger.Trace(t.Context(), strings.Repeat("9", 32)); err != nil || len(trace) != 0 {
		t.Errorf("unknown trace: got %v, %v", trace, err)
	}
}

func send(t *testing.T, endpoint string, start time.Time) {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(endpoint, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	span := &trace.Span{
		TraceId: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		SpanId:  []byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}, ParentSpanId: []byte{0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28},
		Name: "GET /", Kind: trace.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: uint64(start.UnixNano()), EndTimeUnixNano: uint64(start.Add(time.Second).UnixNano()),
		Status:     &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: "why"},
		Attributes: []*common.KeyValue{text("url.full", "http://x/?a=1&id=7"), number("http.response.status_code", 500)},
		Events:     []*trace.Span_Event{{Name: "first", TimeUnixNano: uint64(start.Add(time.Millisecond).UnixNano())}},
	}
	request := &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "shop"), text("host.name", "h")}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{span}}},
	}}}
	if _, err := collector.NewTraceServiceClient(conn).Export(t.Context(), request); err != nil {
		t.Fatal(err)
	}
}

func text(key attribute.Key, value string) *common.KeyValue {
	return &common.KeyValue{Key: string(key), Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func number(key attribute.Key, value int64) *common.KeyValue {
	return &common.KeyValue{Key: string(key), Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: value}}}
}

// TestSceneInside checks that a program and its children run in the cgroup, and
// that Close ends them and leaves nothing.
func TestSceneInside(t *testing.T) {
	s := open(t)
	p, err := s.Start(Command{Name: "shell", Path: "/bin/sh", Args: []string{"-c", "cat /proc/self/cgroup; sleep 1000 & sleep 1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Until(t.Context(), "the shell's cgroup", func(context.Context) error {
		if !strings.Contains(p.Output(), "0::"+s.name+"\n") {
			return errors.New(p.Output())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	path := s.cgroup.Name()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{path, s.Dir} {
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", left, err)
		}
	}
}

// TestSceneSurvivesNobody kills a process that holds a scene, and checks that
// the scene goes with it. The process is this test binary again.
func TestSceneSurvivesNobody(t *testing.T) {
	if os.Getenv("RIG_TEST_HOLD") != "" {
		s := open(t)
		if _, err := s.Start(Command{Name: "shell", Path: "/bin/sh", Args: []string{"-c", "(setsid sleep 1000 &) ; sleep 1000"}}); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("holding " + s.cgroup.Name() + " " + s.Dir + "\n")
		select {}
	}
	s := open(t)
	holder, err := s.StartOutside(Command{
		Name: "holder", Path: "/proc/self/exe", Args: []string{"-test.run=^TestSceneSurvivesNobody$"}, Env: []string{"RIG_TEST_HOLD=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	if err := Until(t.Context(), "the scene", func(context.Context) error {
		_, line, found := strings.Cut(holder.Output(), "holding ")
		if !found || !strings.Contains(line, "\n") {
			return errors.New(holder.Output() + holder.Errors())
		}
		held = strings.Fields(line)[:2]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	holder.Kill()
	for _, left := range held {
		if err := Until(t.Context(), "the end of "+left, func(context.Context) error {
			if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
				return errors.New("still there")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestProcessEnds(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		name, script string
		stops        bool
	}{
		{"on the signal", "sleep 1000", true},
		{"with status 0", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", true},
		{"with status 3", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", false},
	} {
		p, err := s.Start(Command{Name: "shell", Path: "/bin/sh", Args: []string{"-c", c.script}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.script, "ready") {
			if err := Until(t.Context(), "the trap", func(context.Context) error {
				if p.Output() == "" {
					return errors.New("not set")
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Stop(); (err == nil) != c.stops {
			t.Errorf("%s: Stop returned %v", c.name, err)
		}
	}
	if _, err := s.Start(Command{Name: "nothing", Path: filepath.Join(s.Dir, "nothing")}); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("start of nothing: got %v", err)
	}
}
