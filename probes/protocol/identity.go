package protocol

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/clewtrace/clew/context/traceparent"
)

// newRoot begins a trace, as the kernel does for the requests that it sees by
// themselves.
func newRoot(sampler traceparent.Sampler) Trace {
	t := Trace{SpanID: newSpanID()}
	high, low := newSpanID(), newSpanID()
	copy(t.TraceID[:8], high[:])
	copy(t.TraceID[8:], low[:])
	t.Sampled = sampler.Sample(t.TraceID, nil)
	return t
}

// continues gives t the context that the bytes of a request carry.
func (t *Trace) continues(parent *traceparent.Context, sampler traceparent.Sampler) {
	t.TraceID, t.ParentID, t.Evidence = parent.TraceID, parent.SpanID, EvidenceHeader
	t.Sampled = sampler.Sample(t.TraceID, parent)
}

// newSpanID draws from the runtime's generator, which is seeded by the kernel
// and cryptographically strong. Zero is no valid id.
func newSpanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
