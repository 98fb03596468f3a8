package protocol

import (
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/context/traceparent"
)

// identify gives a request its place in a trace. The first request of a segment
// has the kernel's ids; those behind it were sent by the same task, so they have
// the same parent, if there is one.
func (l *link) identify(q *query, o *origin) {
	if !o.taken && o.trace.SpanID != [8]byte{} {
		o.taken = true
		return
	}
	t := &q.origin.trace
	if o.trace.SpanID != [8]byte{} && o.role == RoleClient && t.Evidence != EvidenceNone {
		t.SpanID = newSpanID()
		return
	}
	*t = newRoot(l.owner.options.Sampler)
}

// carries gives q the context that its own bytes carry, which is the strongest
// evidence there is.
func (l *link) carries(q *query, value []byte) {
	parent, ok := traceparent.Parse(value)
	if !ok {
		return
	}
	t := &q.origin.trace
	if (t.Evidence == EvidenceLocal || t.Evidence == EvidenceTCPOption) && t.TraceID == parent.TraceID {
		return // the client's own span is the nearer parent
	}
	t.continues(&parent, l.owner.options.Sampler)
	if q.origin.role == RoleServer || q.kind == KindConsumer {
		l.owner.options.Entered(q.origin.pid, *t)
	}
}

// emit hands q on, once, if it is a query, sampled or worth to be kept all the
// same.
func (l *link) emit(q *query, end time.Time) {
	switch {
	case q.void:
	case q.auxiliary && !q.failed:
		l.void(q, auxiliary)
	case l.tentative:
		l.hold(q, end)
	default:
		l.hand(q, end)
	}
}

// held is a query that is over, and when.
type held struct {
	query *query
	end   time.Time
}

func (l *link) hold(q *query, end time.Time) {
	q.void = true
	l.held = append(l.held, held{q, end})
	if len(l.held) >= maxDepth { // as many answers, and none left over
		l.release()
	}
}

// release hands on what was held: nothing speaks against it any more.
func (l *link) release() {
	if len(l.held) == 0 {
		return
	}
	list := l.held
	l.tentative, l.held = false, nil
	for _, h := range list {
		h.query.void = false
		l.hand(h.query, h.end)
	}
}

// disown drops what was held.
func (l *link) disown(why outcome) {
	for range l.held {
		l.owner.counters.add(why)
	}
	l.held = nil
}

// hand hands q on.
func (l *link) hand(q *query, end time.Time) {
	s := l.owner
	if end.Before(q.start) {
		end = q.start
	}
	if !q.origin.trace.Sampled && !s.options.keeps(q.failed, end.Sub(q.start)) {
		l.void(q, unsampled)
		return
	}
	q.void = true
	q.ends()
	if q.lacks == 0 {
		s.counters.add(kept)
	} else {
		s.counters.add(q.lacks)
	}
	x := &s.exchange
	*x = Exchange{
		PID: q.origin.pid, TID: q.origin.tid, Role: q.origin.role, Kind: q.kind,
		Start: q.start, FirstByte: q.answered, End: end,
		Trace: q.origin.trace, Endpoints: q.origin.endpoints,
		Protocol: l.wire.name,
		Name:     q.Name,
		Failed:   q.failed, Message: q.message,
		Attributes: q.attributes,
	}
	s.options.Emit(x)
}

// keeps says whether an unsampled exchange is kept for what became of it.
func (o *Options) keeps(failed bool, took time.Duration) bool {
	return failed && o.KeepErrors || o.KeepSlow > 0 && took >= o.KeepSlow
}

// ends adds where the two ends of the connection are.
func (q *query) ends() {
	e := &q.origin.endpoints
	if e.Unix {
		q.attributes = append(q.attributes, semconv.NetworkTransportUnix)
		return
	}
	if q.origin.role == RoleServer {
		q.address(semconv.ServerAddressKey, semconv.ServerPortKey, e.Local)
		q.address(semconv.ClientAddressKey, semconv.ClientPortKey, e.Remote)
		return
	}
	q.address(semconv.ServerAddressKey, semconv.ServerPortKey, e.Remote)
	q.address(semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, e.Remote)
}

func (q *query) address(address, port attribute.Key, a netip.AddrPort) {
	if !a.IsValid() {
		return
	}
	q.attributes = append(q.attributes, address.String(a.Addr().Unmap().String()))
	if a.Port() != 0 {
		q.number(port, int64(a.Port()))
	}
}

// validUTF8 replaces what is not UTF-8: protobuf refuses whole batches for it.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}
