package export

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/assemble"
)

// jsonSpan is a span in the JSON output, one object a line. Its field names are
// a promise: scripts depend on them.
type jsonSpan struct {
	TraceID      string         `json:"trace_id"`                 // 32 hexadecimal digits
	SpanID       string         `json:"span_id"`                  // 16 hexadecimal digits
	ParentSpanID string         `json:"parent_span_id,omitempty"` // absent: no parent
	TraceState   string         `json:"trace_state,omitempty"`    // W3C tracestate
	Sampled      bool           `json:"sampled"`                  // false: kept as an error or slow
	Service      string         `json:"service"`                  // service.name
	Name         string         `json:"name"`
	Kind         string         `json:"kind"`                    // "server" or "client"
	Start        time.Time      `json:"start"`                   // RFC 3339, nanoseconds, UTC
	DurationNS   int64          `json:"duration_ns"`             // from the first byte of the request to the last of the response
	FirstByteNS  *int64         `json:"first_byte_ns,omitempty"` // start to first byte of the response
	Status       string         `json:"status"`                  // "unset" or "error"
	Message      string         `json:"status_message,omitempty"`
	Attributes   map[string]any `json:"attributes"`
	Resource     map[string]any `json:"resource"`
}

// renderJSON appends each span of t as one line.
func renderJSON(out *bytes.Buffer, t *trace) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, s := range t.spans {
		if err := encoder.Encode(newJSONSpan(s)); err != nil {
			return err
		}
	}
	return nil
}

func newJSONSpan(s *assemble.Span) *jsonSpan {
	j := &jsonSpan{
		TraceID:    hex.EncodeToString(s.TraceID[:]),
		SpanID:     hex.EncodeToString(s.SpanID[:]),
		TraceState: s.TraceState,
		Sampled:    s.Sampled,
		Service:    s.Process.Service,
		Name:       s.Name,
		Kind:       s.Kind.String(),
		Start:      s.Start.UTC(),
		DurationNS: s.End.Sub(s.Start).Nanoseconds(),
		Status:     "unset",
		Attributes: jsonAttributes(s.Attributes),
		Resource:   jsonAttributes(s.Process.Attributes),
	}
	if s.ParentID != ([8]byte{}) {
		j.ParentSpanID = hex.EncodeToString(s.ParentID[:])
	}
	if !s.FirstByte.IsZero() {
		wait := s.FirstByte.Sub(s.Start).Nanoseconds()
		j.FirstByteNS = &wait
	}
	if s.Failed {
		j.Status, j.Message = "error", s.Message
	}
	return j
}

func jsonAttributes(attributes []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(attributes))
	for _, a := range attributes {
		switch a.Value.Type() {
		case attribute.BOOL, attribute.INT64, attribute.STRING, attribute.STRINGSLICE,
			attribute.BOOLSLICE, attribute.INT64SLICE:
			m[string(a.Key)] = a.Value.AsInterface()
		case attribute.FLOAT64:
			f := a.Value.AsFloat64()
			if math.IsNaN(f) || math.IsInf(f, 0) { // JSON has no such numbers
				m[string(a.Key)] = a.Value.String()
				continue
			}
			m[string(a.Key)] = f
		default:
			m[string(a.Key)] = a.Value.String()
		}
	}
	return m
}
