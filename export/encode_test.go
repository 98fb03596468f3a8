package export

import (
	"math"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/context/assemble"
)

// decoded returns what a backend makes of the batch.
func decoded(t *testing.T, b *batch) *coltracepb.ExportTraceServiceRequest {
	t.Helper()
	wire, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: b.messages()})
	if err != nil {
		t.Fatal(err)
	}
	var request coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(wire, &request); err != nil {
		t.Fatalf("a backend cannot decode the batch: %v", err)
	}
	return &request
}

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func integer(n int64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}
}

func double(f float64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: f}}
}

func boolean(b bool) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: b}}
}

func array(values ...*commonpb.AnyValue) *commonpb.AnyValue {
	list := &commonpb.ArrayValue{Values: values}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: list}}
}

func pair(key string, v *commonpb.AnyValue) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: v}
}

func TestEncodeEveryField(t *testing.T) {
	shop, cart := testProcess(1, "shop"), testProcess(2, "cart")
	full := &assemble.Span{
		TraceID:    [16]byte{1, 2, 3, 15: 4},
		SpanID:     [8]byte{5, 7: 6},
		ParentID:   [8]byte{7, 7: 8},
		Sampled:    true,
		TraceState: "vendor=value",
		Process:    shop,
		Name:       "GET",
		Kind:       assemble.KindClient,
		Start:      testStart,
		FirstByte:  testStart.Add(1500 * time.Millisecond),
		End:        testStart.Add(2 * time.Second),
		Failed:     true,
		Message:    "connection reset",
		Attributes: []attribute.KeyValue{
			attribute.String("s", "v"), attribute.String("empty", ""), attribute.Bool("t", true),
			attribute.Bool("f", false), attribute.Int64("i", -1), attribute.Int64("zero", 0),
			attribute.Float64("d", math.Pi), attribute.StringSlice("ss", []string{"a", "", "b\xff"}),
			attribute.Int64Slice("is", []int64{0, 300}), attribute.BoolSlice("bs", []bool{true, false}),
			attribute.Float64Slice("ds", []float64{0, 0.5}), attribute.StringSlice("none", nil),
		},
	}
	bare := &assemble.Span{TraceID: [16]byte{9}, SpanID: [8]byte{9}, Process: cart, Name: "POST",
		Kind: assemble.KindServer, Start: testStart, End: testStart}
	b := newBatch("1.2.3")
	for _, s := range []*assemble.Span{full, bare, full} {
		b.add(s)
	}

	wantFull := &tracepb.Span{
		TraceId: full.TraceID[:], SpanId: full.SpanID[:], ParentSpanId: full.ParentID[:],
		TraceState: "vendor=value", Name: "GET", Kind: tracepb.Span_SPAN_KIND_CLIENT, Flags: 1,
		StartTimeUnixNano: uint64(testStart.UnixNano()), EndTimeUnixNano: uint64(testStart.Add(2 * time.Second).UnixNano()),
		Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "connection reset"},
		Attributes: []*commonpb.KeyValue{
			pair("s", text("v")), pair("empty", text("")), pair("t", boolean(true)),
			pair("f", boolean(false)), pair("i", integer(-1)), pair("zero", integer(0)),
			pair("d", double(math.Pi)), pair("ss", array(text("a"), text(""), text("b\uFFFD"))),
			pair("is", array(integer(0), integer(300))), pair("bs", array(boolean(true), boolean(false))),
			pair("ds", array(double(0), double(0.5))), pair("none", array()),
			pair("clew.time_to_first_byte", double(1.5)),
		},
	}
	wantBare := &tracepb.Span{
		TraceId: bare.TraceID[:], SpanId: bare.SpanID[:], Name: "POST", Kind: tracepb.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: uint64(testStart.UnixNano()), EndTimeUnixNano: uint64(testStart.UnixNano()),
	}
	of := func(pid int64, service string, spans ...*tracepb.Span) *tracepb.ResourceSpans {
		return &tracepb.ResourceSpans{
			Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
				pair("process.pid", integer(pid)), pair("service.name", text(service)),
			}},
			ScopeSpans: []*tracepb.ScopeSpans{{
				Scope:     &commonpb.InstrumentationScope{Name: "github.com/clewtrace/clew", Version: "1.2.3"},
				Spans:     spans,
				SchemaUrl: semconv.SchemaURL,
			}},
			SchemaUrl: semconv.SchemaURL,
		}
	}
	want := &coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{
		of(1, "shop", wantFull, wantFull), of(2, "cart", wantBare),
	}}
	if got := decoded(t, b); !proto.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", prototext.Format(got), prototext.Format(want))
	}

	// The batch is used again: nothing of the last one may show.
	b.reset()
	b.add(bare)
	want = &coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{of(2, "cart", wantBare)}}
	if got := decoded(t, b); !proto.Equal(got, want) {
		t.Errorf("after reset, got:\n%s\nwant:\n%s", prototext.Format(got), prototext.Format(want))
	}
}

func TestEncodeNestedValues(t *testing.T) {
	p := testProcess(1, "shop")
	s := testSpan(p, 1)
	s.Attributes = []attribute.KeyValue{
		{Key: "bytes", Value: attribute.ByteSliceValue([]byte{0, 255})},
		{Key: "list", Value: attribute.SliceValue(attribute.IntValue(1), attribute.StringSliceValue([]string{"x"}))},
		{Key: "map", Value: attribute.MapValue(attribute.String("k", "v"))},
		{Key: "nothing"},
	}
	s.FirstByte = time.Time{}
	b := newBatch("")
	b.add(s)
	got := decoded(t, b).ResourceSpans[0].ScopeSpans[0].Spans[0].Attributes
	want := []*commonpb.KeyValue{
		pair("bytes", &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: []byte{0, 255}}}),
		pair("list", array(integer(1), array(text("x")))),
		pair("map", &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{
			KvlistValue: &commonpb.KeyValueList{Values: []*commonpb.KeyValue{pair("k", text("v"))}}}}),
		pair("nothing", &commonpb.AnyValue{}),
	}
	if len(got) != len(want) {
		t.Fatalf("got %d attributes, want %d", len(got), len(want))
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

func TestEncodeInvalidText(t *testing.T) {
	p := testProcess(1, "shop")
	p.Attributes = append(p.Attributes, attribute.String("process.command", "\xc3\x28"))
	s := testSpan(p, 1)
	s.Name = "GET /\xff\xfe"
	s.TraceState = "a=\x80"
	s.Failed, s.Message = true, "bad \xf0\x9f"
	s.Attributes = []attribute.KeyValue{attribute.String("url.path", "/\xff"), attribute.String("\xff", "v")}
	b := newBatch("")
	b.add(s)
	span := decoded(t, b).ResourceSpans[0].ScopeSpans[0].Spans[0]
	if want := "GET /\uFFFD"; span.Name != want {
		t.Errorf("name %q, want %q", span.Name, want)
	}
	if want := "bad \uFFFD"; span.Status.Message != want {
		t.Errorf("status message %q, want %q", span.Status.Message, want)
	}
}

func TestBatchForgetsIdleProcesses(t *testing.T) {
	b := newBatch("")
	for i := range uint32(3 * maxIdleGroups) {
		b.add(testSpan(testProcess(i, "short-lived"), 1))
	}
	b.reset()
	b.add(testSpan(testProcess(1, "last"), 1))
	b.reset()
	if n := len(b.groups); n > maxIdleGroups+1 {
		t.Errorf("%d processes are remembered, want at most %d", n, maxIdleGroups+1)
	}
}

// BenchmarkEncode measures a span from its struct to the bytes gRPC sends. One
// operation is one span; a batch is 512 spans of 8 processes.
func BenchmarkEncode(b *testing.B) {
	var spans []*assemble.Span
	for i := range uint64(512) {
		if i < 8 {
			spans = append(spans, testSpan(testProcess(uint32(i), "shop"), i))
			continue
		}
		spans = append(spans, testSpan(spans[i%8].Process, i))
	}
	batch := newBatch("1.2.3")
	var wire []byte
	marshal := proto.MarshalOptions{}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for i := 0; i < b.N; i += len(spans) {
		for _, s := range spans {
			batch.add(s)
		}
		request := &coltracepb.ExportTraceServiceRequest{ResourceSpans: batch.messages()}
		if proto.Size(request) == 0 {
			b.Fatal("nothing encoded")
		}
		var err error
		if wire, err = marshal.MarshalAppend(wire[:0], request); err != nil {
			b.Fatal(err)
		}
		batch.reset()
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/span")
	b.ReportMetric(float64(len(wire))/float64(len(spans)), "wire-B/span")
}

// cpuTime is what this process has used. On a busy machine it says more than
// the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
