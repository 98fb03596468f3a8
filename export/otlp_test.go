package export

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/clewtrace/clew/context/assemble"
)

// startOTLP runs an exporter against an endpoint, closed when the test ends.
func startOTLP(t *testing.T, endpoint string, opts ...Option) (*OTLP, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	quick := WithBatching(Batching{Queue: 1000, Size: 100, Delay: 10 * time.Millisecond, Timeout: 20 * time.Second})
	o, err := NewOTLP(t.Context(), zap.New(core), append([]Option{quick, WithVersion("1.2.3")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- o.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = o.Close(ctx)
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		checkSum(t, counts(o))
	})
	return o, logs
}

// checkSum checks that every span given to an exporter at rest is accounted for.
func checkSum(t *testing.T, got map[string]uint64) {
	t.Helper()
	sum := uint64(0)
	for what, n := range got {
		if what != "seen" {
			sum += n
		}
	}
	if got["seen"] != sum {
		t.Errorf("%d spans seen, but %d accounted for: %v", got["seen"], sum, got)
	}
}

func TestOTLPDelivers(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue,authorization=Bearer%20secret")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_SERVICE_NAME", "the-agent")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=the-agent,wrong=yes")
	s := &sink{}
	address, _ := s.serve(t, "127.0.0.1:0")
	o, _ := startOTLP(t, "http://"+address)

	shop, cart := testProcess(1, "shop"), testProcess(2, "cart")
	for i := range uint64(450) {
		o.Export(testSpan(shop, 2*i))
		o.Export(testSpan(cart, 2*i+1))
	}
	eventually(t, "all spans accepted", func() bool { return counts(o)["kept"] == 900 })

	seen := make(map[string]bool)
	for _, span := range s.spans() {
		seen[string(span.SpanId)] = true
	}
	if len(seen) != 900 {
		t.Errorf("%d different spans arrived, want 900", len(seen))
	}
	if s.requests < 9 {
		t.Errorf("900 spans came in %d requests, more than 100 in one", s.requests)
	}
	for _, rs := range s.resources {
		if len(rs.Resource.Attributes) != 2 {
			t.Errorf("resource %v, want the attributes of the process alone", rs.Resource)
		}
		if name := rs.Resource.Attributes[1].Value.GetStringValue(); name != "shop" && name != "cart" {
			t.Errorf("service.name %q", name)
		}
		if v := rs.ScopeSpans[0].Scope.Version; v != "1.2.3" {
			t.Errorf("scope version %q", v)
		}
	}
	if got := s.headers.Get("authorization"); len(got) != 1 || got[0] != "Bearer secret" {
		t.Errorf("authorization header %q", got)
	}
	if s.compression != "gzip" {
		t.Errorf("compression %q, want gzip", s.compression)
	}
}

func TestOTLPReadyWithoutTraffic(t *testing.T) {
	s := &sink{}
	address, _ := s.serve(t, "127.0.0.1:0")
	o, logs := startOTLP(t, "http://"+address)
	eventually(t, "an empty request was accepted", o.Accepted)
	if s.requests != 0 || s.probes == 0 {
		t.Errorf("%d requests with spans and %d without", s.requests, s.probes)
	}
	if logs.Len() != 0 {
		t.Errorf("logged without need: %v", logs.All())
	}
}

func TestOTLPBackendDownThenUp(t *testing.T) {
	s := &sink{}
	address, stop := s.serve(t, "127.0.0.1:0")
	stop()
	batching := WithBatching(Batching{Queue: 100, Size: 10, Delay: 10 * time.Millisecond, Timeout: 20 * time.Second})
	client := WithClient(otlptracegrpc.WithTimeout(300 * time.Millisecond))
	o, logs := startOTLP(t, "http://"+address, batching, client)

	p := testProcess(1, "shop")
	for i := range uint64(5000) {
		o.Export(testSpan(p, i))
	}
	eventually(t, "a batch given up", func() bool { return counts(o)["dropped export_failed"] >= 10 })
	eventually(t, "further batches given up", func() bool { return counts(o)["dropped export_failed"] >= 30 })
	if waiting, limit := o.Waiting(); waiting > limit || limit != 100 {
		t.Errorf("%d of %d spans waiting", waiting, limit)
	}
	if n := counts(o)["dropped queue_full"]; n < 4800 {
		t.Errorf("%d spans dropped by a full queue, want most of 5000", n)
	}
	if o.Accepted() {
		t.Error("ready without a backend")
	}

	s.serve(t, address)
	eventually(t, "recovery", o.Accepted)
	eventually(t, "an empty queue", func() bool { waiting, _ := o.Waiting(); return waiting == 0 })
	kept := counts(o)["kept"]
	o.Export(testSpan(p, 9999))
	eventually(t, "a new span accepted", func() bool { return counts(o)["kept"] > kept })

	var lines []string
	for _, line := range logs.All() {
		lines = append(lines, line.Message)
	}
	if len(lines) != 2 || !strings.Contains(lines[0], "does not accept") || !strings.Contains(lines[1], "again") {
		t.Errorf("want one line on going down and one on recovery, got %q", lines)
	}
}

func TestOTLPPartialSuccess(t *testing.T) {
	s := &sink{answer: func(_ context.Context, spans int) (*coltracepb.ExportTraceServiceResponse, error) {
		rejected := min(int64(spans), 3)
		if spans == 1 {
			rejected = 1000 // nonsense: more than were sent
		}
		return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{
			RejectedSpans: rejected, ErrorMessage: "over quota"}}, nil
	}}
	address, _ := s.serve(t, "127.0.0.1:0")
	o, logs := startOTLP(t, "http://"+address)
	p := testProcess(1, "shop")
	for i := range uint64(100) {
		o.Export(testSpan(p, i))
	}
	eventually(t, "the batches answered", func() bool {
		c := counts(o)
		return c["kept"]+c["dropped rejected"] == 100
	})
	before := counts(o)
	if want := uint64(3 * s.requests); before["dropped rejected"] != want {
		t.Errorf("%d spans rejected, want %d", before["dropped rejected"], want)
	}
	o.Export(testSpan(p, 101))
	eventually(t, "one more rejected", func() bool { return counts(o)["dropped rejected"] == before["dropped rejected"]+1 })
	if n := logs.FilterMessage("backend rejected spans").Len(); n != 1 {
		t.Errorf("%d log lines of rejected spans, want 1", n)
	}
	if n := logs.FilterMessageSnippet("does not accept").Len(); n != 0 {
		t.Error("a partial success was taken for a failure")
	}
}

func TestOTLPRefusedForGood(t *testing.T) {
	s := &sink{answer: func(context.Context, int) (*coltracepb.ExportTraceServiceResponse, error) {
		return nil, status.Error(codes.Unauthenticated, "no such tenant")
	}}
	address, _ := s.serve(t, "127.0.0.1:0")
	o, logs := startOTLP(t, "http://"+address)
	p := testProcess(1, "shop")
	for i := range uint64(200) {
		o.Export(testSpan(p, i))
	}
	eventually(t, "all given up", func() bool { return counts(o)["dropped export_failed"] == 200 })
	if logs.Len() != 1 || !strings.Contains(logs.All()[0].ContextMap()["error"].(string), "no such tenant") {
		t.Errorf("want one log line with the backend's reason, got %v", logs.All())
	}
}

func TestOTLPSlowBackendNeverBlocks(t *testing.T) {
	release := make(chan struct{})
	s := &sink{answer: func(ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return &coltracepb.ExportTraceServiceResponse{}, nil
	}}
	address, _ := s.serve(t, "127.0.0.1:0")
	o, _ := startOTLP(t, "http://"+address)
	p := testProcess(1, "shop")
	for i := range uint64(20_000) { // hangs for ever if Export waits
		o.Export(testSpan(p, i))
	}
	// One batch may be on its way, the rest must be waiting or dropped.
	if n := counts(o)["dropped queue_full"]; n < 20_000-1000-100 {
		t.Errorf("%d spans dropped, want at least 18900", n)
	}
	close(release)
	eventually(t, "everything settled", func() bool {
		c := counts(o)
		return c["kept"]+c["dropped queue_full"] == 20_000
	})
}

func TestOTLPCloseFlushes(t *testing.T) {
	s := &sink{}
	address, _ := s.serve(t, "127.0.0.1:0")
	// Nothing leaves by itself: only Close sends.
	o, _ := startOTLP(t, "http://"+address,
		WithBatching(Batching{Queue: 1000, Size: 1000, Delay: time.Hour, Timeout: 20 * time.Second}))
	p := testProcess(1, "shop")
	for i := range uint64(700) {
		o.Export(testSpan(p, i))
	}
	if err := o.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.spans()); n != 700 {
		t.Errorf("%d spans arrived, want 700", n)
	}
	o.Export(testSpan(p, 701)) // too late, but counted
	if n := counts(o)["dropped shutdown"]; n != 1 {
		t.Errorf("%d spans dropped by shutdown, want 1", n)
	}
}

func TestOTLPCloseWithoutRun(t *testing.T) {
	s := &sink{}
	address, _ := s.serve(t, "127.0.0.1:0")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address)
	o, err := NewOTLP(t.Context(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	o.Export(testSpan(testProcess(1, "shop"), 1))
	if err := o.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := o.Run(t.Context()); err != nil { // hangs for ever if it waits for Close
		t.Errorf("Run after Close: %v", err)
	}
	if n := len(s.spans()); n != 1 {
		t.Errorf("%d spans arrived, want 1", n)
	}
}

func TestOTLPCloseKeepsDeadline(t *testing.T) {
	s := &sink{answer: func(ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	address, _ := s.serve(t, "127.0.0.1:0")
	// No other limit than that of Close: without it this hangs for ever.
	patient := WithBatching(Batching{Queue: 1000, Size: 100, Delay: time.Millisecond, Timeout: time.Hour})
	o, _ := startOTLP(t, "http://"+address, patient, WithClient(otlptracegrpc.WithTimeout(time.Hour)))
	for i := range uint64(250) {
		o.Export(testSpan(testProcess(1, "shop"), i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := o.Close(ctx); err == nil || !strings.Contains(err.Error(), "250 not sent") {
		t.Errorf("Close: %v, want the number of lost spans", err)
	}
	if n := counts(o)["dropped shutdown"]; n != 250 {
		t.Errorf("%d spans dropped by shutdown, want 250", n)
	}
}

func TestOTLPLargeSpansFitRequests(t *testing.T) {
	s := &sink{} // a gRPC server refuses requests over 4 MiB by default
	address, _ := s.serve(t, "127.0.0.1:0")
	o, _ := startOTLP(t, "http://"+address)
	p := testProcess(1, "shop")
	for i := range uint64(100) {
		span := testSpan(p, i)
		span.Name = strings.Repeat("x", 100_000) // 10 MB together
		o.Export(span)
	}
	eventually(t, "all spans settled", func() bool {
		c := counts(o)
		return c["kept"]+c["dropped export_failed"] == 100
	})
	if n := counts(o)["kept"]; n != 100 {
		t.Errorf("%d of 100 large spans accepted", n)
	}
}

func TestOTLPBadConfiguration(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317")
	if _, err := NewOTLP(t.Context(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") {
		t.Errorf("error %v, want one that names the variable", err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "soon")
	if _, err := NewOTLP(t.Context(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "OTEL_BSP_SCHEDULE_DELAY") {
		t.Errorf("error %v, want one that names the variable", err)
	}
	if _, err := NewOTLP(t.Context(), zap.NewNop(), WithBatching(Batching{})); err == nil {
		t.Error("a batch size of zero was accepted")
	}
}

var errNever = errors.New("never")

func TestBackendLogsSeldom(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	b := &backend{log: zap.New(core)}
	for range 100 { // a backend that comes and goes
		b.failed(errNever, 0)
		b.failed(errNever, 5)
		b.succeeded(10)
	}
	if n := logs.Len(); n != 2 {
		t.Errorf("%d log lines, want 2", n)
	}
}

// BenchmarkOTLP measures the whole exporter, from Export to the bytes on a
// loopback connection, without and with compression. The other end of the
// connection is in this process too but does not decode, so the CPU time is an
// upper bound.
func BenchmarkOTLP(b *testing.B) {
	for _, compression := range []string{"none", "gzip"} {
		b.Run(compression, func(b *testing.B) {
			b.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
			address, _ := (&sink{}).serve(b, "127.0.0.1:0", grpc.ForceServerCodecV2(blindCodec{}))
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address)
			o, err := NewOTLP(b.Context(), zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			go o.Run(b.Context()) //nolint:errcheck // always nil
			eventually(b, "an empty request was accepted", o.Accepted)
			var spans []*assemble.Span
			for i := range uint32(8) {
				spans = append(spans, testSpan(testProcess(i, "shop"), uint64(i)))
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			for i := range b.N {
				for len(o.queue) == cap(o.queue) {
					time.Sleep(time.Millisecond)
				}
				o.Export(spans[i%len(spans)])
			}
			if err := o.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/span")
			if kept := counts(o)["kept"]; kept != uint64(b.N) {
				b.Errorf("%d of %d spans accepted", kept, b.N)
			}
		})
	}
}

// blindCodec takes any request without looking at it.
type blindCodec struct{}

func (blindCodec) Marshal(any) (mem.BufferSlice, error) { return nil, nil }
func (blindCodec) Unmarshal(mem.BufferSlice, any) error { return nil }
func (blindCodec) Name() string                         { return "proto" }
