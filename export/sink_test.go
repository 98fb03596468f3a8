package export

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // the sink understands compressed requests
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/assemble"
	"github.com/clewtrace/clew/context/workload"
)

// sink is a real OTLP/gRPC backend that remembers what it was sent.
type sink struct {
	coltracepb.UnimplementedTraceServiceServer
	answer func(ctx context.Context, spans int) (*coltracepb.ExportTraceServiceResponse, error)

	mu          sync.Mutex
	resources   []*tracepb.ResourceSpans
	requests    int // with spans
	probes      int // without
	headers     metadata.MD
	compression string
}

func (s *sink) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	n := 0
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			n += len(ss.Spans)
		}
	}
	s.mu.Lock()
	s.headers, _ = metadata.FromIncomingContext(ctx)
	if n == 0 {
		s.probes++
	} else {
		s.requests++
		s.resources = append(s.resources, r.ResourceSpans...)
	}
	s.mu.Unlock()
	if s.answer != nil {
		return s.answer(ctx, n)
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// TagRPC and the methods after it see how a request came over the wire.
func (s *sink) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (s *sink) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (s *sink) HandleConn(context.Context, stats.ConnStats)                       {}
func (s *sink) HandleRPC(_ context.Context, event stats.RPCStats) {
	if header, ok := event.(*stats.InHeader); ok {
		s.mu.Lock()
		s.compression = header.Compression
		s.mu.Unlock()
	}
}

// serve listens on address (":0" style for any port) until the test ends or the
// returned function is called.
func (s *sink) serve(t testing.TB, address string, opts ...grpc.ServerOption) (bound string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(opts, grpc.StatsHandler(s))...)
	coltracepb.RegisterTraceServiceServer(server, s)
	go server.Serve(listener) //nolint:errcheck // ends with the server
	t.Cleanup(server.Stop)
	return listener.Addr().String(), server.Stop
}

func (s *sink) spans() []*tracepb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*tracepb.Span
	for _, rs := range s.resources {
		for _, ss := range rs.ScopeSpans {
			all = append(all, ss.Spans...)
		}
	}
	return all
}

func testProcess(pid uint32, service string) *workload.Process {
	return &workload.Process{
		PID:     pid,
		Service: service,
		Attributes: []attribute.KeyValue{
			attribute.Int("process.pid", int(pid)),
			attribute.String("service.name", service),
		},
	}
}

var testStart = time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)

// testSpan is a server span as a busy HTTP service makes them.
func testSpan(p *workload.Process, n uint64) *assemble.Span {
	s := &assemble.Span{
		TraceID:   [16]byte{0x4b, 0xf9, 15: 1},
		SpanID:    [8]byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)},
		ParentID:  [8]byte{7: 9},
		Sampled:   true,
		Process:   p,
		Name:      "GET /users/{id}",
		Kind:      assemble.KindServer,
		Start:     testStart,
		FirstByte: testStart.Add(5 * time.Millisecond),
		End:       testStart.Add(7 * time.Millisecond),
		Attributes: []attribute.KeyValue{
			attribute.String("http.request.method", "GET"),
			attribute.String("http.route", "/users/{id}"),
			attribute.Int("http.response.status_code", 200),
			attribute.String("url.scheme", "http"),
			attribute.String("url.path", "/users/4711"),
			attribute.String("url.query", "sort=name"),
			attribute.String("server.address", "users.example.com"),
			attribute.Int("server.port", 8080),
			attribute.String("client.address", "192.0.2.17"),
			attribute.String("network.peer.address", "192.0.2.17"),
			attribute.Int("network.peer.port", 51734),
			attribute.String("network.protocol.name", "http"),
			attribute.String("network.protocol.version", "1.1"),
			attribute.String("user_agent.original", "curl/8.5.0"),
			attribute.String("clew.parent.evidence", "header"),
		},
	}
	return s
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// counts collects what a stage reports, keyed "outcome" or "outcome reason".
func counts(stage interface {
	Counts(func(outcome, reason string, n uint64))
}) map[string]uint64 {
	m := make(map[string]uint64)
	stage.Counts(func(outcome, reason string, n uint64) {
		if reason != "" {
			outcome += " " + reason
		}
		m[outcome] += n
	})
	return m
}
