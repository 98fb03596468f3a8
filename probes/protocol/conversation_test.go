package protocol

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/context/traceparent"
)

const (
	get = "GET /a HTTP/1.1\r\nHost: h.example\r\n\r\n"
	ok  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
)

// message returns one of the parts below at a time in milliseconds.
func message(part Part, ms int, head string, change ...func(*Message)) *Message {
	m := &Message{
		Connection: 1, PID: 10, Part: part, Role: RoleServer, First: at(ms), Last: at(ms),
		Bytes: uint64(len(head)), Head: []byte(head), Endpoints: Endpoints{Local: here, Remote: there},
	}
	if part == PartRequest {
		m.Trace = Trace{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Sampled: true}
	}
	for _, f := range change {
		f(m)
	}
	return m
}

func complete(m *Message) { m.Complete = true }
func client(m *Message)   { m.Role = RoleClient }
func cut(bytes uint64) func(*Message) {
	return func(m *Message) { m.Truncated, m.Bytes = true, bytes }
}

// times prints start, first byte and end of an exchange in milliseconds.
func times(x *Exchange) string {
	first := "-"
	if !x.FirstByte.IsZero() {
		first = fmt.Sprint(x.FirstByte.Sub(epoch).Milliseconds())
	}
	return fmt.Sprintf("%d %s %d", x.Start.Sub(epoch).Milliseconds(), first, x.End.Sub(epoch).Milliseconds())
}

func attributeOf(x *Exchange, key string) string {
	for _, kv := range x.Attributes {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

func TestConversation(t *testing.T) {
	request, response := message(PartRequest, 0, get), message(PartResponse, 4, ok)
	end, gone := message(PartEnd, 9, ""), message(PartClose, 20, "")
	for _, c := range []struct {
		name   string
		list   []*Message
		want   string // times, error.type and failure of each exchange
		counts string
	}{
		{"framed", []*Message{request, response, end, gone}, "0 4 9  false", "seen =1;kept =1;"},
		{"at once", []*Message{request, message(PartResponse, 4, ok, complete), gone}, "0 4 4  false", "seen =1;kept =1;"},
		{"no answer", []*Message{request, gone}, "0 - 20 connection_closed true", "seen =1;kept =1;"},
		{"half an answer", []*Message{request, response, gone}, "0 4 20 response_incomplete true", "seen =1;kept =1;"},
		{
			"answer that closing ends",
			[]*Message{request, message(PartResponse, 4, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), gone},
			"0 4 20  false", "seen =1;kept =1;",
		},
		{
			"upgrade, whatever follows",
			[]*Message{request, message(PartResponse, 4, "HTTP/1.1 101 Up\r\n\r\n"), end, request, message(PartResponse, 5, ok), gone},
			"0 4 4  false", "seen =2;kept =1;dropped opaque=1;",
		},
		{
			"tunnel",
			[]*Message{message(PartRequest, 0, "CONNECT h:1 HTTP/1.1\r\n\r\n", client), message(PartResponse, 4, ok), end, gone},
			"0 4 4  false", "seen =1;kept =1;",
		},
		{"answer first", []*Message{response, end, gone}, "", "dropped response_without_request=1;"},
		{"end first", []*Message{end, gone}, "", ""},
		{
			"answer to what was not seen",
			[]*Message{response, end, message(PartRequest, 10, get), message(PartResponse, 12, ok, complete)},
			"", "seen =1;dropped pairing_unsure=1;dropped response_without_request=1;",
		},
		{
			"end that never came",
			[]*Message{request, response, message(PartRequest, 10, get), message(PartResponse, 12, ok, complete)},
			"10 12 12  false", "seen =2;kept =1;dropped end_unseen=1;",
		},
		{
			"status that is none",
			[]*Message{request, message(PartResponse, 4, "SSH-2.0-x\r\n"), end, gone},
			"", "seen =1;dropped malformed=1;",
		},
		{
			"role unknown", []*Message{message(PartRequest, 0, get, func(m *Message) { m.Role = RoleUnknown }), gone},
			"", "seen =1;dropped role_unknown=1;",
		},
		{"part unknown", []*Message{message(0, 0, ""), message(9, 0, "")}, "", "dropped unknown_part=2;"},
		{"clock that ran back", []*Message{message(PartRequest, 9, get), message(PartResponse, 4, ok, complete)}, "9 4 9  false", "seen =1;kept =1;"},
		{
			"body longer than the capture",
			[]*Message{
				message(PartRequest, 0, "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\nabc", cut(5041)), message(PartResponse, 4, ok, complete),
				message(PartRequest, 5, get), message(PartResponse, 6, ok, complete),
			},
			"0 4 4  false|5 6 6  false", "seen =2;kept =2;",
		},
		{
			"request hidden behind the capture",
			[]*Message{
				message(PartRequest, 0, get, cut(2000)), message(PartResponse, 4, ok, complete),
				message(PartRequest, 5, get), message(PartResponse, 6, ok, complete),
			},
			"0 4 4  false", "seen =2;kept =1;dropped pairing_unsure=1;",
		},
		{
			"answers in one segment",
			[]*Message{
				request, message(PartRequest, 1, strings.Replace(get, "GET", "HEAD", 1)), message(PartRequest, 2, get),
				message(PartResponse, 4, ok+"12345"+ok+"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", complete), gone,
			},
			"0 4 4  false|1 4 4  false|2 4 4 500 true", "seen =3;kept =3;",
		},
		{
			"answers in one segment, more than the capture",
			[]*Message{
				request, message(PartRequest, 1, get), message(PartRequest, 2, get),
				message(PartResponse, 4, ok+"12345HTTP/1", complete, cut(43)), gone,
			},
			"0 4 4  false", "seen =3;kept =1;dropped malformed=1;dropped pairing_unsure=1;",
		},
		{
			"pipelined, and no answer",
			[]*Message{request, message(PartRequest, 1, get), gone},
			"", "seen =2;dropped pairing_unsure=2;",
		},
		{
			"extra request overtaken by another",
			[]*Message{
				message(PartRequest, 0, get+get), message(PartRequest, 1, get),
				message(PartResponse, 2, ok, complete), message(PartResponse, 3, ok, complete), message(PartResponse, 4, ok, complete),
			},
			"0 2 2  false", "seen =3;kept =1;dropped pairing_unsure=1;dropped unsampled=1;",
		},
		{
			"record lost",
			[]*Message{request, message(PartEnd, 5, "", func(m *Message) { m.Lost = 1 })},
			"", "seen =1;dropped record_lost=1;",
		},
	} {
		out, counts := run(Options{}, c.list...)
		var got []string
		for _, x := range out {
			got = append(got, fmt.Sprintf("%s %s %v", times(x), attributeOf(x, "error.type"), x.Failed))
		}
		if s := strings.Join(got, "|"); s != c.want || counts != c.counts {
			t.Errorf("%s:\n%s, %s\nwant %s, %s", c.name, s, counts, c.want, c.counts)
		}
	}
}

// TestPipelinedInOneSegment checks the identity of requests that the kernel did
// not see by themselves.
func TestPipelinedInOneSegment(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
	segment := get + "GET /b HTTP/1.1\r\ntraceparent: " + parent + "01\r\n\r\n" +
		"POST /c HTTP/1.1\r\nContent-Length: 3\r\ntraceparent: " + parent + "00\r\n\r\nabc\r\n" +
		"GET /d HTTP/1.1\r\n\r\n"
	list := []*Message{message(PartRequest, 0, segment)}
	for i := range 4 {
		list = append(list, message(PartResponse, 4+i, ok, complete))
	}
	var entered []Trace
	o := Options{
		Sampler: traceparent.Sampler{Kind: traceparent.KindParentBased, Bound: traceparent.BoundAll},
		Entered: func(pid uint32, trace Trace) { entered = append(entered, trace) },
	}
	out, counts := run(o, list...)
	if want := "seen =4;kept =3;dropped unsampled=1;"; len(out) != 3 || counts != want {
		t.Fatalf("%d exchanges, %s, want %s", len(out), counts, want)
	}
	for i, want := range []string{"/a 0 4 4", "/b 0 5 5", "/d 0 7 7"} {
		if got := attributeOf(out[i], "url.path") + " " + times(out[i]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if out[0].Trace != list[0].Trace {
		t.Errorf("the kernel's identity was changed: %+v", out[0].Trace)
	}
	b, d := out[1].Trace, out[2].Trace
	if fmt.Sprintf("%x-%x", b.TraceID, b.ParentID) != parent[3:52] || b.Evidence != EvidenceHeader || !b.Sampled || b.SpanID == [8]byte{} {
		t.Errorf("from the header: %+v", b)
	}
	if d.TraceID == b.TraceID || d.TraceID == [16]byte{} || d.ParentID != [8]byte{} || d.Evidence != EvidenceNone || !d.Sampled || d.SpanID == b.SpanID {
		t.Errorf("a root: %+v", d)
	}
	if len(entered) != 2 || entered[0] != b {
		t.Errorf("entered: %+v", entered)
	}
	o.Sampler = traceparent.Sampler{}
	if out, counts = run(o, list...); len(out) != 1 || !strings.Contains(counts, "unsampled=3") {
		t.Errorf("always off: %d, %s", len(out), counts)
	}
}

// TestLocalEvidenceBesideHeader checks that a context in the head is told of, and
// its state kept, although the kernel knew a nearer parent.
func TestLocalEvidenceBesideHeader(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	request := message(PartRequest, 0, "GET / HTTP/1.1\r\ntraceparent: 00-"+id+"-"+parent+"-01\r\ntracestate: a=1\r\n\r\n")
	c, _ := contextHTTP(request.Head)
	request.Trace = Trace{TraceID: c.TraceID, SpanID: [8]byte{2}, ParentID: [8]byte{3}, Sampled: true, Evidence: EvidenceLocal}
	var entered string
	o := Options{Entered: func(pid uint32, t Trace) { entered += fmt.Sprintf("%d %x %x;", pid, t.TraceID, t.ParentID) }}
	out, _ := run(o, request, message(PartResponse, 1, ok, complete))
	if out[0].TraceState != "a=1" || out[0].Trace != request.Trace || entered != "10 "+id+" "+parent+";" {
		t.Errorf("%+v, entered %s", out[0], entered)
	}
	request.Trace.TraceID[0]++
	if out, _ = run(o, request, message(PartResponse, 1, ok, complete)); out[0].TraceState != "" {
		t.Error("the state of another trace was kept")
	}
}

func TestExpire(t *testing.T) {
	var out []*Exchange
	s := New(Options{Limits: Limits{Patience: time.Second, Idle: time.Minute, Stream: time.Hour}, Emit: func(x *Exchange) {
		own := *x
		out = append(out, &own)
	}})
	s.Handle(message(PartRequest, 0, get))
	s.Expire(at(1000))
	if len(out) != 0 {
		t.Fatal("patience ended too soon")
	}
	s.Expire(at(1001))
	s.Expire(at(2000))
	if len(out) != 1 || attributeOf(out[0], "error.type") != "timeout" || !out[0].Failed || times(out[0]) != "0 - 1001" {
		t.Fatalf("%d, %s", len(out), count(s))
	}
	// The late answer belongs to it, and to nobody else.
	s.Handle(message(PartRequest, 3000, get))
	s.Handle(message(PartResponse, 3001, ok, complete))
	s.Handle(message(PartResponse, 3002, ok, complete))
	if len(out) != 2 || times(out[1]) != "3000 3002 3002" {
		t.Fatalf("%d, %s", len(out), count(s))
	}
	// A response may stream for longer than anybody waits for one.
	s.Handle(message(PartRequest, 4000, get))
	s.Handle(message(PartResponse, 4001, ok))
	s.Expire(at(3_000_000))
	s.Handle(message(PartEnd, 3_000_001, ""))
	if len(out) != 3 || times(out[2]) != "4000 4001 3000001" {
		t.Fatalf("%d, %s", len(out), count(s))
	}
	s.Handle(message(PartRequest, 3_000_002, get))
	s.Handle(message(PartResponse, 3_000_003, ok))
	s.Expire(at(10_000_000))
	want := "seen =4;kept =2;kept no_response=1;dropped end_unseen=1;"
	if len(s.table) != 0 || s.calls != 0 || count(s) != want {
		t.Errorf("%d connections, %d calls, %s", len(s.table), s.calls, count(s))
	}
}

func TestLimits(t *testing.T) {
	s := New(Options{Limits: Limits{Connections: 10, Calls: 20}, Emit: func(*Exchange) {}})
	for i := range 1000 {
		m := message(PartRequest, i, get)
		m.Connection = uint64(i)
		s.Handle(m)
		s.Handle(m)
		s.Handle(m)
	}
	if len(s.table) != 10 || s.calls != 30 {
		t.Errorf("%d connections, %d calls", len(s.table), s.calls)
	}
	if !strings.Contains(count(s), "table_full") {
		t.Error(count(s))
	}
	s = New(Options{Emit: func(*Exchange) {}})
	for range maxDepth + 10 {
		s.Handle(message(PartRequest, 0, get))
	}
	if v := s.table[1]; v.depth > maxDepth || !v.doubt || !strings.Contains(count(s), "pipeline_too_deep=256") {
		t.Errorf("%d deep, %s", v.depth, count(s))
	}
	var total, seenTotal uint64
	s.Counts(func(outcome, _ string, n uint64) {
		if outcome == "seen" {
			seenTotal += n
		} else {
			total += n
		}
	})
	if pending := uint64(s.calls); total > seenTotal || total+pending < seenTotal {
		t.Errorf("%d seen, %d settled, %d pending", seenTotal, total, pending)
	}
}

// TestHeadIsNotKept overwrites the head that was handed in, as its owner may.
func TestHeadIsNotKept(t *testing.T) {
	var path string
	s := New(Options{Emit: func(x *Exchange) { path = attributeOf(x, "url.path") }})
	m := message(PartRequest, 0, get)
	s.Handle(m)
	clear(m.Head)
	s.Handle(message(PartResponse, 1, ok, complete))
	if path != "/a" {
		t.Errorf("path %q", path)
	}
}
