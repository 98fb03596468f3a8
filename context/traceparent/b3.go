package traceparent

import "bytes"

// Decision is what B3 says of sampling.
type Decision uint8

const (
	Deny   Decision = iota // not to be recorded
	Accept                 // to be recorded; debug, which asks for more, is taken for it
	Defer                  // not said: the receiver decides
)

// ParseB3 reads the value of a b3 header, without the white space around it:
// "{trace id}-{span id}", then "-{sampling state}" and "-{id of the span's
// parent}", or neither, or either of the two (github.com/openzipkin/b3-propagation,
// "Single Header"; the parent is checked and not kept). The ids are lower-case
// hexadecimal, that of the trace 32 digits or 16, which stand for the low half.
//
// It returns false for whatever else, and for the short form that is a sampling
// state alone: it names no parent. The sampled flag is set for Accept only.
func ParseB3(value []byte) (Context, Decision, bool) {
	trace, rest, ok := bytes.Cut(value, []byte{'-'})
	if !ok || len(rest) < 16 {
		return Context{}, Defer, false
	}
	span, rest := rest[:16], rest[16:]
	decision := Defer
	if len(rest) >= 2 && rest[0] == '-' && (len(rest) == 2 || rest[2] == '-') {
		if decision, ok = b3State(rest[1]); !ok {
			return Context{}, Defer, false
		}
		rest = rest[2:]
	}
	if len(rest) > 0 {
		var parent [8]byte
		if len(rest) != 17 || rest[0] != '-' || !unhex(parent[:], rest[1:]) {
			return Context{}, Defer, false
		}
	}
	return b3Context(trace, span, decision)
}

// ParseB3Multi reads the values of X-B3-TraceId, X-B3-SpanId, X-B3-Sampled and
// X-B3-Flags, without the white space around them; of a header that came more
// than once, the first. An empty value is one that did not come. Without both
// ids, or with a sampling state that the specification does not know, it returns
// false. The spelled out "true" and "false" of older tracers are known; the flag
// for debug wins over the sampling state, other flags mean nothing.
func ParseB3Multi(traceID, spanID, sampled, flags []byte) (Context, Decision, bool) {
	decision, ok := Defer, true
	switch {
	case string(flags) == "1" || bytes.EqualFold(sampled, []byte("true")):
		decision = Accept
	case bytes.EqualFold(sampled, []byte("false")):
		decision = Deny
	case len(sampled) == 1 && sampled[0] != 'd': // of the single header only
		decision, ok = b3State(sampled[0])
	default:
		ok = len(sampled) == 0
	}
	if !ok || len(spanID) != 16 {
		return Context{}, Defer, false
	}
	return b3Context(traceID, spanID, decision)
}

func b3State(c byte) (Decision, bool) {
	switch c {
	case '0':
		return Deny, true
	case '1', 'd':
		return Accept, true
	}
	return Defer, false
}

// b3Context puts together what was read; span is of 16 bytes.
func b3Context(trace, span []byte, decision Decision) (Context, Decision, bool) {
	var c Context
	ok := unhex(c.SpanID[:], span)
	switch len(trace) {
	case 16:
		ok = ok && unhex(c.TraceID[8:], trace)
	case 32:
		ok = ok && unhex(c.TraceID[:], trace)
	default:
		ok = false
	}
	if !ok || c.TraceID == [16]byte{} || c.SpanID == [8]byte{} {
		return Context{}, Defer, false
	}
	if decision == Accept {
		c.Flags = FlagSampled
	}
	return c, decision, true
}
