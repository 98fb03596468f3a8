package test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/segments"
)

// piece is what is sent at once, and what is done with it.
type piece struct {
	text   string
	header bool   // a header may be written behind its first line, else no byte may change
	answer string // sent back when it has arrived, "" for nothing yet
}

const large = "X-Large: "

// written are heads that a header is written into, or that are left alone byte by
// byte. Reason is the counter that says why it was left alone, "" where there is
// none to say.
var written = []struct {
	name   string
	reason string
	mss    int // of the connection
	pieces []piece
}{
	{name: "whole", pieces: []piece{{"GET /?id=ID HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK}}},
	{name: "with a body", pieces: []piece{{"POST /?id=ID HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", true, answerOK}}},
	{name: "absolute form", pieces: []piece{{"GET http://x/?id=ID HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK}}},
	{name: "asterisk form", pieces: []piece{{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK}}},
	{name: "HTTP/1.0", pieces: []piece{{"GET /?id=ID HTTP/1.0\r\nHost: x\r\n\r\n", true, answerOK}}},
	{name: "body that looks like a request", pieces: []piece{
		{"POST /?id=ID HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n", true, ""},
		{"GET /false HTTP/1.1\r\nHost: x\r\n\r\n"[:31], false, answerOK},
	}},
	{name: "body that looks like a request, after an answer to its head", pieces: []piece{
		{"POST /?id=ID HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 33\r\n\r\n", true, "HTTP/1.1 100 Continue\r\n\r\n"},
		{"GET /falsely HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK},
	}},
	{name: "body that looks like a request, in the same send", pieces: []piece{
		{"POST /?id=ID HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\nGET /false HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK},
	}},
	{name: "another protocol, after an upgrade", pieces: []piece{
		{"GET /?id=ID HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", true,
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"},
		{"GET /false HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK},
		{"GET /false HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK},
	}},

	{name: "head in two sends", reason: "inject_split", pieces: []piece{
		{"GET / HTTP/1.1\r\nHo", false, ""}, {"st: x\r\n\r\n", false, answerOK}}},
	{name: "request line in two sends", reason: "inject_split", pieces: []piece{
		{"GET / HT", false, ""}, {"TP/1.1\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "head longer than any message", reason: "inject_split", pieces: []piece{
		{"GET / HTTP/1.1\r\nHost: x\r\n" + large + strings.Repeat("x", 50_000), false, ""},
		{strings.Repeat("x", 50_000) + "\r\n\r\n", false, answerOK}}},
	{name: "head longer than what is looked at", reason: "inject_split", pieces: []piece{
		{"GET / HTTP/1.1\r\nHost: x\r\n" + large + strings.Repeat("x", 60_000) + "\r\n\r\n", false, answerOK}}},
	{name: "line longer than a segment", reason: "inject_no_room", mss: 536, pieces: []piece{
		{"GET /?" + strings.Repeat("x", 500) + " HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "two at once", reason: "inject_pipelined", pieces: []piece{
		{"GET /?id=ID HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK + answerOK}}},
	{name: "before the answer", reason: "inject_pipelined", pieces: []piece{
		{"GET /?id=ID HTTP/1.1\r\nHost: x\r\n\r\n", true, ""}, {"GET /second HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK + answerOK}}},

	{name: "context of its own", reason: "inject_own_header", pieces: []piece{
		{"GET / HTTP/1.1\r\nHost: x\r\ntraceparent: " + aHeader + "\r\n\r\n", false, answerOK}}},
	{name: "context of its own in odd letters", reason: "inject_own_header", pieces: []piece{
		{"GET / HTTP/1.1\r\nHost: x\r\ntRaCePaReNt:\t" + aHeader + "\r\n\r\n", false, answerOK}}},
	{name: "context of its own, first and last", reason: "inject_own_header", pieces: []piece{
		{"GET / HTTP/1.1\r\nTRACEPARENT:" + aHeader + "\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "context of its own that is none", reason: "inject_own_header", pieces: []piece{
		{"GET / HTTP/1.1\r\nHost: x\r\ntraceparent: none\r\n\r\n", false, answerOK}}},

	{name: "line feeds alone", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\nHost: x\n\n", false, answerOK}}},
	{name: "a line feed alone behind the first line", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "a line feed alone in the head", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", false, answerOK}}},
	{name: "a line feed alone at the end", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\nHost: x\r\n\n", false, answerOK}}},
	{name: "two carriage returns behind the first line", pieces: []piece{{"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "two carriage returns in the head", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", false, answerOK}}},
	{name: "a carriage return alone", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", false, answerOK}}},
	{name: "empty line before", pieces: []piece{{"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "folded line", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", false, answerOK}}},
	{name: "folded first line", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\n\tb\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "NUL in a value", reason: "inject_odd", pieces: []piece{{"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", false, answerOK}}},
	{name: "NUL in the target", reason: "inject_odd", pieces: []piece{{"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "two lengths", reason: "inject_odd", pieces: []piece{
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello", false, answerOK}}},
	{name: "the same length twice", reason: "inject_odd", pieces: []piece{
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", false, answerOK}}},
	{name: "length and chunks", reason: "inject_odd", pieces: []piece{
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, answerOK}}},
	{name: "CONNECT", reason: "inject_odd", pieces: []piece{
		{"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", false, "HTTP/1.1 200 OK\r\n\r\n"},
		{"GET /false HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK}}},

	{name: "method in small letters", pieces: []piece{{"get / HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK}}},
	{name: "HTTP/0.9", pieces: []piece{{"GET /\r\n", false, answerOK}}},
	{name: "HTTP/2", pieces: []piece{{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, answerOK}}},
	{name: "nothing known", pieces: []piece{{string(noise(5000)), false, answerOK}}},
}

// traceparentLine is the line that is written.
var traceparentLine = regexp.MustCompile(`^traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01\r\n`)

// compare finds out what was done to the text on its way. It returns the ids in
// the line that was written, if one may be.
func (p piece) compare(got string) (trace, span string, err error) {
	if !p.header {
		if got != p.text {
			return "", "", fmt.Errorf("got %q, want it untouched: %q", tail(got, 500), tail(p.text, 500))
		}
		return "", "", nil
	}
	first := strings.Index(p.text, "\r\n") + 2
	if len(got) < first {
		return "", "", fmt.Errorf("got only %q", got)
	}
	line := traceparentLine.FindStringSubmatch(got[first:])
	if line == nil {
		return "", "", fmt.Errorf("no header was written into it: %q", tail(got, 500))
	}
	if rest := got[:first] + got[first+len(line[0]):]; rest != p.text {
		return "", "", fmt.Errorf("got %q besides the header, want %q", tail(rest, 500), tail(p.text, 500))
	}
	return line[1], line[2], nil
}

// TestInjection has a client send requests of every kind to a server that keeps
// each byte. Between them it sends plain ones, whose header shows that what was
// left alone was looked at.
func TestInjection(t *testing.T) {
	scene := openScene(t)
	sink, agent := startScoring(t, scene, "CLEW_PROPAGATION=headers!")
	k := startTalker(t, scene.Dir, scene.Start)
	contexts := make(map[string][2]string) // what was written, by the request's id
	for i, c := range written {
		t.Run(c.name, func(t *testing.T) {
			k.T = t
			server := openWitness(t)
			k.teach(server)
			on := k.connect(server.address, c.mss)
			recording := <-server.accepted
			k.plain(on, recording)
			before := reasons(t, agent)
			for _, p := range c.pieces {
				id := fmt.Sprintf("w%d", i)
				p.text = strings.Replace(p.text, "ID", id, 1)
				k.send(on, p.text)
				ids, err := p.arrives(recording)
				if err != nil {
					t.Fatal(err)
				}
				if p.header && strings.Contains(p.text, "="+id) {
					contexts[id] = ids
				}
				if p.answer != "" {
					recording.answer(p.answer)
					k.hear(on, p.answer)
				}
			}
			k.close(on)
			if rest := recording.end(); rest != "" {
				t.Errorf("more came than was sent: %q", tail(rest, 500))
			}
			after := reasons(t, agent)
			if c.reason != "" && after[c.reason] != before[c.reason]+1 {
				t.Errorf("%s was counted %v times, want once; counted were %v", c.reason, after[c.reason]-before[c.reason], less(after, before))
			}
		})
	}
	k.T = t
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	spans := sink.Spans()
	for id, ids := range contexts {
		span := one(t, spans, id, rig.Request(id))
		if span.TraceID != ids[0] || span.SpanID != ids[1] {
			t.Errorf("request %s was sent with the context %v, and is the span %v", id, ids, span)
		}
	}
	if t.Failed() {
		t.Logf("the agent said:\n%s", tail(agent.Errors(), 8<<10))
	}
}

// TestInjectionInFlight has a server answer before it has acknowledged the request:
// what a client sends then is left alone.
func TestInjectionInFlight(t *testing.T) {
	b := openBeyond(t, "headers!")
	k := startTalker(t, b.scene.Dir, b.host.Start)
	var deaf atomic.Bool
	at := netip.AddrPortFrom(address(peers, 1), 80)
	listener := b.link.Listen(at, func(conn *segments.Conn) {
		conn.Drop = func(s segments.Segment) bool { return deaf.Load() && len(s.Payload) > 0 }
	})
	first, second := piece{"GET /first HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK}, piece{"GET /second HTTP/1.1\r\nHost: x\r\n\r\n", false, answerOK}
	connect := func() (int, *segments.Conn) {
		on := k.connect(at.String(), 0)
		conn, err := listener.Accept(patiently(t))
		if err != nil {
			t.Fatal(err)
		}
		return on, conn
	}
	hear := func(conn *segments.Conn, p piece) error {
		got, err := conn.ReadTo(patiently(t), "\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = p.compare(string(got))
		return err
	}
	answer := func(on int, conn *segments.Conn) {
		if err := conn.Send([]byte(answerOK), nil); err != nil {
			t.Fatal(err)
		}
		k.hear(on, answerOK)
	}
	if err := rig.Until(t.Context(), "the destination to be learned", func(context.Context) error {
		on, conn := connect()
		k.send(on, first.text)
		err := hear(conn, first)
		answer(on, conn)
		k.close(on)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	on, conn := connect()
	before := reasons(t, b.agent)
	deaf.Store(true)
	k.send(on, first.text)
	answer(on, conn)
	k.send(on, second.text)
	if got := less(reasons(t, b.agent), before); got["inject_in_flight"] != 1 {
		t.Errorf("inject_in_flight was not counted once; counted were %v", got)
	}
	deaf.Store(false)
	if err := errors.Join(hear(conn, first), hear(conn, second)); err != nil {
		t.Error(err)
	}
	answer(on, conn)
	k.close(on)
	b.settle()
}

// arrives waits for the piece, and compares it.
func (p piece) arrives(r *testimony) (ids [2]string, err error) {
	r.Helper()
	end := p.text[len(p.text)-min(len(p.text), 8):]
	trace, span, err := p.compare(r.take(len(p.text), end))
	return [2]string{trace, span}, err
}

// plain is a request that must be given a header, and its answer.
func (k *talker) plain(on int, r *testimony) {
	k.Helper()
	p := piece{"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n", true, answerOK}
	k.send(on, p.text)
	if _, err := p.arrives(r); err != nil {
		k.Fatal(err)
	}
	r.answer(answerOK)
	k.hear(on, answerOK)
}

// teach talks to the server until its client is known to speak HTTP there.
func (k *talker) teach(server *witness) {
	k.Helper()
	if err := rig.Until(k.Context(), "the destination to be learned", func(context.Context) error {
		on := k.connect(server.address, 0)
		recording := <-server.accepted
		k.send(on, "GET /teach HTTP/1.1\r\nHost: x\r\n\r\n")
		got := recording.take(0, "\r\n\r\n")
		recording.answer(answerOK)
		k.hear(on, answerOK)
		k.close(on)
		if !strings.Contains(got, "traceparent") {
			return errors.New("no header is written")
		}
		return nil
	}); err != nil {
		k.Fatal(err)
	}
}

// reasons are the counters of the probes' drops, by reason.
func reasons(t *testing.T, agent *rig.Agent) map[string]float64 {
	t.Helper()
	metrics, err := agent.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]float64)
	for name, value := range metrics {
		if reason, found := strings.CutPrefix(name, `clew_probes_dropped_total{reason="`); found {
			counts[strings.TrimSuffix(reason, `"}`)] = value
		}
	}
	return counts
}

// less is by how much counters have grown.
func less(after, before map[string]float64) map[string]float64 {
	grown := make(map[string]float64)
	for reason, n := range after {
		if n > before[reason] {
			grown[reason] = n - before[reason]
		}
	}
	return grown
}

// TestCompare compares texts whose difference is known.
func TestCompare(t *testing.T) {
	const line = "traceparent: " + aHeader + "\r\n"
	p := piece{text: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"}
	with := piece{text: p.text, header: true}
	injected := strings.Replace(p.text, "Host", line+"Host", 1)
	for got, c := range map[string]struct{ untouched, written bool }{
		p.text:                      {untouched: true},
		injected:                    {written: true},
		injected + "x":              {},
		p.text + "x":                {},
		p.text[:5]:                  {},
		line + p.text:               {},
		p.text[:26] + line + "\r\n": {}, // behind another line
		strings.Replace(injected, line, line+line, 1): {},
	} {
		if _, _, err := p.compare(got); (err == nil) != c.untouched {
			t.Errorf("untouched %q: got %v", got, err)
		}
		trace, span, err := with.compare(got)
		if (err == nil) != c.written || (err == nil && (trace != aTrace || span != aParent)) {
			t.Errorf("written %q: got %q, %q, %v", got, trace, span, err)
		}
	}
}
