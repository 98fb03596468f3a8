package protocol

import "github.com/clewtrace/clew/context/traceparent"

func contextHTTP(head []byte) (traceparent.Context, bool) {
	var h httpHead
	if !h.parseRequest(head) || h.fields[fieldTraceparent].count != 1 {
		return traceparent.Context{}, false
	}
	return traceparent.Parse(h.fields[fieldTraceparent].value)
}

// traceState returns the tracestate that came with the context of t, all its
// headers joined in their order, or "" when it is to be dropped.
func (h *httpHead) traceState(t *Trace) string {
	state := h.fields[fieldTracestate]
	if state.count == 0 || !h.inTrace(t) {
		return ""
	}
	value := state.value
	if state.count > 1 {
		value = nil
		for rest := fieldLines(h.lines); ; {
			name, v, ok := rest.next()
			if !ok {
				break
			}
			if equalFold(name, fieldNames[fieldTracestate]) {
				value = append(append(value, v...), ',')
			}
		}
		value = value[:len(value)-1]
	}
	// A head that is cut may miss further members: the list is kept whole or
	// not at all.
	if h.size == 0 || !traceparent.ValidState(value) {
		return ""
	}
	return string(value)
}

// inTrace says whether the head carries the trace that t belongs to. Evidence
// that is nearer than the header does not make its state a stranger.
func (h *httpHead) inTrace(t *Trace) bool {
	if t.Evidence != EvidenceLocal && t.Evidence != EvidenceTCPOption {
		return t.Evidence == EvidenceHeader || t.Evidence == EvidenceRelay
	}
	parent, ok := traceparent.Parse(h.fields[fieldTraceparent].value)
	return ok && h.fields[fieldTraceparent].count == 1 && parent.TraceID == t.TraceID
}
