package rig

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Sink is an OTLP/gRPC backend inside the test, for volumes at which a real one
// would be what is measured.
type Sink struct {
	collector.UnimplementedTraceServiceServer

	// Endpoint is the value of OTEL_EXPORTER_OTLP_ENDPOINT.
	Endpoint string

	server *grpc.Server
	keep   bool
	count  atomic.Int64

	mu    sync.Mutex
	spans Spans
}

// OpenSink starts a sink, which keeps the spans or only counts them.
func OpenSink(keep bool) (*Sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a sink: %w", err)
	}
	s := &Sink{Endpoint: "http://" + listener.Addr().String(), keep: keep}
	s.server = grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	collector.RegisterTraceServiceServer(s.server, s)
	go func() { _ = s.server.Serve(listener) }() // ends by Close
	return s, nil
}

// Close ends the sink.
func (s *Sink) Close() { s.server.Stop() }

// Count is how many spans have arrived.
func (s *Sink) Count() int64 { return s.count.Load() }

// Spans are the spans that have arrived, in the order of their start.
func (s *Sink) Spans() Spans {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans := slices.Clone(s.spans)
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans
}

// Export receives spans; it is called by gRPC.
func (s *Sink) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.count.Add(int64(len(scope.Spans)))
			if !s.keep {
				continue
			}
			about := attributes(resource.Resource.GetAttributes())
			s.mu.Lock()
			for _, span := range scope.Spans {
				s.spans = append(s.spans, received(span, about))
			}
			s.mu.Unlock()
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func received(s *trace.Span, resource map[string]string) Span {
	span := Span{
		TraceID: hex.EncodeToString(s.TraceId), SpanID: hex.EncodeToString(s.SpanId),
		ParentID: hex.EncodeToString(s.ParentSpanId),
		Service:  resource["service.name"], Name: s.Name,
		Kind:    strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")),
		Failed:  s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR,
		Message: s.Status.GetMessage(),
		Start:   time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
		Attributes: attributes(s.Attributes), Resource: resource,
		Events: make(map[string]time.Time),
	}
	for _, event := range s.Events {
		span.Events[event.Name] = time.Unix(0, int64(event.TimeUnixNano))
	}
	return span
}

func attributes(list []*common.KeyValue) map[string]string {
	values := make(map[string]string, len(list))
	for _, attribute := range list {
		switch v := attribute.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			values[attribute.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			values[attribute.Key] = strconv.FormatInt(v.IntValue, 10)
		case *common.AnyValue_BoolValue:
			values[attribute.Key] = strconv.FormatBool(v.BoolValue)
		default:
			values[attribute.Key] = attribute.Value.String()
		}
	}
	return values
}
