package test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/segments"
)

// part is what is sent in one segment.
type part struct {
	text    string // ID stands for the request's id
	options []byte
	ahead   uint32 // how far it lies behind what comes next; such bytes are lost
	refused bool   // the kernel may not like the options: it is sent again without
}

const (
	plainRequest = "GET /?id=ID HTTP/1.1\r\nHost: x\r\n\r\n"
	zeros        = "00000000000000000000000000000000"
	otherTrace   = "11111111111111111111111111111111"
	otherParent  = "2222222222222222"
)

// optionsTaken are requests with options, good and bad, and what becomes of them.
var optionsTaken = []struct {
	name     string
	stranger bool // not among the hosts that options are taken from
	syn      []byte
	parts    []part
	evidence string // "": no parent
	parent   rig.Span
	dropped  bool   // the caller does not sample: no span
	reason   string // counter, "" for none
	hello    bool   // the server's agent says that it is there
}{
	{name: "good", parts: []part{{text: plainRequest, options: carrying(aTrace, aParent)}},
		evidence: "tcp-option", parent: rig.Span{TraceID: aTrace, SpanID: aParent}, hello: true},
	{name: "good, behind others", parts: []part{{text: plainRequest, options: append([]byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0}, carrying(aTrace, aParent)...)}},
		evidence: "tcp-option", parent: rig.Span{TraceID: aTrace, SpanID: aParent}, hello: true},
	{name: "good, on the first of two segments", parts: []part{{text: "GET /?id=ID HT", options: carrying(aTrace, aParent)}, {text: "TP/1.1\r\nHost: x\r\n\r\n"}},
		evidence: "tcp-option", parent: rig.Span{TraceID: aTrace, SpanID: aParent}, hello: true},
	{name: "not sampled", parts: []part{{text: plainRequest, options: option(unsampled, aTrace+aParent, -1)}}, dropped: true, hello: true},
	// As if a proxy had passed the header on: the option is of the proxy itself.
	{name: "header of the same trace", parts: []part{{text: withHeader(aTrace), options: carrying(aTrace, aParent)}},
		evidence: "tcp-option", parent: rig.Span{TraceID: aTrace, SpanID: aParent}, hello: true},
	{name: "header of another trace", parts: []part{{text: withHeader(otherTrace), options: carrying(aTrace, aParent)}},
		evidence: "header", parent: rig.Span{TraceID: otherTrace, SpanID: otherParent}, reason: "evidence_conflict", hello: true},

	{name: "one byte too short", parts: []part{{text: plainRequest, options: option(sampled, (aTrace + aParent)[:46], -1)}}, reason: "option_malformed"},
	{name: "one byte too long", parts: []part{{text: plainRequest, options: option(sampled, aTrace+aParent+"00", -1)}}, reason: "option_malformed"},
	{name: "as long as there is room", parts: []part{{text: plainRequest, options: option(sampled, aTrace+aParent+zeros[:24], -1)}}, reason: "option_malformed"},
	{name: "no ids", parts: []part{{text: plainRequest, options: option(sampled, "", -1)}}, reason: "option_malformed"},
	{name: "no ids, not sampled", parts: []part{{text: plainRequest, options: option(unsampled, "", -1)}}, reason: "option_malformed"},
	{name: "trace of zeros", parts: []part{{text: plainRequest, options: carrying(zeros, aParent)}}, reason: "option_malformed"},
	{name: "parent of zeros", parts: []part{{text: plainRequest, options: carrying(aTrace, zeros[:16])}}, reason: "option_malformed"},
	{name: "nothing but zeros", parts: []part{{text: plainRequest, options: carrying(zeros, zeros[:16])}}, reason: "option_malformed"},
	{name: "longer than the header", parts: []part{{text: plainRequest, options: option(sampled, aTrace+aParent, 40), refused: true}}},
	{name: "of length one", parts: []part{{text: plainRequest, options: option(sampled, aTrace+aParent, 1), refused: true}}},
	{name: "of length zero", parts: []part{{text: plainRequest, options: option(sampled, aTrace+aParent, 0), refused: true}}},
	{name: "of length two", parts: []part{{text: plainRequest, options: []byte{254, 2, 1, 1}}}},
	{name: "of length three", parts: []part{{text: plainRequest, options: []byte{254, 3, 0xc1, 1}}}},
	{name: "another experiment's", parts: []part{{text: plainRequest, options: option("f989", aTrace+aParent, -1)}}},
	{name: "another experiment's, almost ours", parts: []part{{text: plainRequest, options: option("c1e3", aTrace+aParent, -1)}}},
	{name: "of the other experimental kind", parts: []part{{text: plainRequest, options: append([]byte{253}, carrying(aTrace, aParent)[1:]...)}}},
	{name: "a hello", parts: []part{{text: plainRequest, options: option(hello, "", -1)}}},
	{name: "a hello with ids", parts: []part{{text: plainRequest, options: option(hello, aTrace+aParent, -1)}}},
	{name: "behind the end of options", parts: []part{{text: plainRequest, options: append([]byte{0, 0, 0, 0}, carrying(aTrace, aParent)...)}}},

	{name: "from a stranger", stranger: true, parts: []part{{text: plainRequest, options: carrying(aTrace, aParent)}}, reason: "option_forbidden"},
	{name: "from a stranger, not sampled", stranger: true, parts: []part{{text: plainRequest, options: option(unsampled, aTrace+aParent, -1)}}, reason: "option_forbidden"},

	{name: "on the second of two segments", parts: []part{{text: "GET /?id=ID HT"}, {text: "TP/1.1\r\nHost: x\r\n\r\n", options: carrying(aTrace, aParent)}}, hello: true},
	{name: "on the body", parts: []part{{text: "POST /?id=ID HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"}, {text: "hello", options: carrying(aTrace, aParent)}}, hello: true},
	{name: "on the connection's first segment", syn: append([]byte{2, 4, 5, 120}, carrying(aTrace, aParent)...), parts: []part{{text: plainRequest}}},
	{name: "far outside the window", parts: []part{{text: plainRequest, options: carrying(aTrace, aParent), ahead: 1 << 30}, {text: plainRequest}}},
}

// withHeader is a request with a context of its own.
func withHeader(trace string) string {
	return strings.Replace(plainRequest, "Host", "traceparent: 00-"+trace+"-"+otherParent+"-01\r\nHost", 1)
}

// TestOptionsReceived sends options to a server. Whatever they are, the server
// answers, and its next request on the connection has no parent.
func TestOptionsReceived(t *testing.T) {
	b := openBeyond(t, "tcp!")
	server := b.serve()
	b.warm(server)
	for i, c := range optionsTaken {
		t.Run(c.name, func(t *testing.T) {
			ctx := patiently(t)
			network := peers
			if c.stranger {
				network = strangers
			}
			conn, err := b.link.Dial(ctx, netip.AddrPortFrom(address(network, 10+i), 4000), server, c.syn)
			if err != nil {
				t.Fatal(err)
			}
			before := reasons(t, b.agent)
			b.request(t, conn, fmt.Sprintf("o%d", i), c.parts)
			after := reasons(t, b.agent)
			for _, reason := range []string{"option_malformed", "option_forbidden", "option_pipelined", "evidence_conflict"} {
				want := 0.0
				if reason == c.reason {
					want = 1
				}
				if got := after[reason] - before[reason]; got != want {
					t.Errorf("%s was counted %v times, want %v", reason, got, want)
				}
			}
			b.request(t, conn, fmt.Sprintf("next%d", i), []part{{text: plainRequest}})
			if err := errors.Join(conn.Finish(), conn.Finished(ctx)); err != nil {
				t.Fatal(err)
			}
			hellos := 0
			for _, s := range conn.Segments() {
				if _, found := s.Option(254, 0xc1, 0xe2); found {
					hellos++
				}
				if _, found := s.Option(254, 0xc1, 0xe1); found {
					t.Error("the server has sent a context")
				}
			}
			if hellos != map[bool]int{true: 1}[c.hello] {
				t.Errorf("the agent said %d times that it is there", hellos)
			}
		})
	}
	spans := b.settle()
	for i, c := range optionsTaken {
		t.Run(c.name+", its span", func(t *testing.T) {
			next := one(t, spans, "the next request", rig.Request(fmt.Sprintf("next%d", i)))
			root(t, next)
			if c.dropped {
				if n := len(spans.Where(rig.Request(fmt.Sprintf("o%d", i)))); n != 0 {
					t.Errorf("got %d spans of a trace that is not sampled", n)
				}
				return
			}
			span := one(t, spans, "the request", rig.Request(fmt.Sprintf("o%d", i)))
			if c.evidence == "" {
				root(t, span)
			} else {
				childOf(t, span, c.parent, c.evidence)
			}
			if next.TraceID == span.TraceID {
				t.Error("the next request is of the same trace")
			}
		})
	}
}

// request sends a request in parts and expects the server's answer.
func (b *beyond) request(t *testing.T, conn *segments.Conn, id string, parts []part) {
	t.Helper()
	ctx := patiently(t)
	for _, p := range parts {
		text := []byte(strings.Replace(p.text, "ID", id, 1))
		var err error
		if p.ahead != 0 || p.refused {
			err = conn.SendAhead(p.ahead, text, p.options)
			p.options = nil
		}
		if p.ahead == 0 {
			err = errors.Join(err, conn.Send(text, p.options), conn.Acknowledged(ctx))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	answer, err := conn.ReadTo(ctx, "hello ")
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Fatalf("got %q, %v", answer, err)
	}
	if _, err := conn.ReadTo(ctx, "\n"); err != nil { // the length of the body
		t.Fatal(err)
	}
}

// TestOptionPerRequest sends options with some requests of one connection, each of
// which has its own parent or none.
func TestOptionPerRequest(t *testing.T) {
	b := openBeyond(t, "tcp!")
	server := b.serve()
	b.warm(server)
	conn, err := b.link.Dial(patiently(t), netip.AddrPortFrom(address(peers, 9), 4000), server, nil)
	if err != nil {
		t.Fatal(err)
	}
	const requests = 200
	parents := make([]rig.Span, requests)
	for i := range parents {
		p := part{text: plainRequest}
		if i%3 != 0 {
			parents[i] = rig.Span{TraceID: fmt.Sprintf("%032x", i+1), SpanID: fmt.Sprintf("%016x", i+1000)}
			p.options = carrying(parents[i].TraceID, parents[i].SpanID)
		}
		b.request(t, conn, fmt.Sprintf("r%d", i), []part{p})
	}
	spans := b.settle()
	for i, parent := range parents {
		if t.Failed() {
			break // one tells as much as all
		}
		span := one(t, spans, "the request", rig.Request(fmt.Sprintf("r%d", i)))
		if parent.SpanID == "" {
			root(t, span)
		} else {
			childOf(t, span, parent, "tcp-option")
		}
	}
}

// address is the n-th address of a network.
func address(network netip.Prefix, n int) netip.Addr {
	a := network.Addr().As4()
	a[3] += byte(n)
	return netip.AddrFrom4(a)
}
