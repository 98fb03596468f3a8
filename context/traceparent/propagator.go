package traceparent

// Propagator is a set of header formats in which context is read from requests,
// as OTEL_PROPAGATORS names them.
type Propagator uint8

const (
	TraceContext Propagator = 1 << iota // "tracecontext": W3C traceparent and tracestate
	B3                                  // "b3": one header named b3
	B3Multi                             // "b3multi": X-B3-TraceId, X-B3-SpanId, X-B3-Sampled, X-B3-Flags
)

// Has reports whether all of the wanted are in the set.
func (p Propagator) Has(wanted Propagator) bool { return p&wanted == wanted }
