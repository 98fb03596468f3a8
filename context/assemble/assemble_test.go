package assemble

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/workload"
	"github.com/clewtrace/clew/probes/protocol"
)

var epoch = time.Unix(1700000000, 0)

// bench is an Assembler with what came out of it.
type bench struct {
	*Assembler
	spans     []*Span
	processes map[uint32]*workload.Process
}

func newBench(limits Limits, listens func(uint32) bool) *bench {
	b := &bench{processes: map[uint32]*workload.Process{}}
	for pid := uint32(1); pid < 10; pid++ {
		b.processes[pid] = &workload.Process{PID: pid, Service: fmt.Sprint("service", pid)}
	}
	b.Assembler = New(Options{
		Limits:  limits,
		Process: func(pid uint32) *workload.Process { return b.processes[pid] },
		Listens: listens,
		Emit:    func(s *Span) { b.spans = append(b.spans, s) },
	})
	return b
}

func (b *bench) count() string {
	var out strings.Builder
	b.Counts(func(outcome, reason string, n uint64) {
		if n > 0 {
			fmt.Fprintf(&out, "%s %s=%d;", outcome, reason, n)
		}
	})
	return out.String()
}

// exchange returns one of a process with span id and parent id; evidence is
// header where there is a parent.
func exchange(pid uint32, role protocol.Role, trace, span, parent byte) *protocol.Exchange {
	x := &protocol.Exchange{
		PID: pid, Role: role, Start: epoch, FirstByte: epoch.Add(1), End: epoch.Add(2),
		Trace:    protocol.Trace{TraceID: [16]byte{trace}, SpanID: [8]byte{span}, ParentID: [8]byte{parent}, Sampled: true},
		Protocol: "test",
		Name:     protocol.Name{Operation: "READ", Target: "/things", TargetKey: "test.target"},
	}
	if parent != 0 {
		x.Trace.Evidence = protocol.EvidenceHeader
	}
	return x
}

func (b *bench) server(pid uint32, trace, span, parent byte) {
	b.Handle(exchange(pid, protocol.RoleServer, trace, span, parent))
}

func (b *bench) client(pid uint32, trace, span, parent byte) {
	b.Handle(exchange(pid, protocol.RoleClient, trace, span, parent))
}

// enters is a request with a context that begins; its exchange comes later.
func (b *bench) enters(pid uint32, trace, parent byte) {
	t := exchange(pid, protocol.RoleServer, trace, 0xee, parent).Trace
	b.Entered(pid, t)
}

// names returns the spans as kind and span id, in order.
func (b *bench) ids() string {
	var out []string
	for _, s := range b.spans {
		kind := "s"
		if s.Kind == KindClient {
			kind = "c"
		}
		out = append(out, fmt.Sprint(kind, s.SpanID[0]))
	}
	return strings.Join(out, " ")
}

func (b *bench) want(t *testing.T, ids, counts string) {
	t.Helper()
	if got := b.ids(); got != ids {
		t.Errorf("spans %q, want %q", got, ids)
	}
	if got := b.count(); got != counts {
		t.Errorf("counts %s, want %s", got, counts)
	}
}

func TestSpan(t *testing.T) {
	b := newBench(Limits{}, nil)
	x := exchange(3, protocol.RoleServer, 1, 2, 9)
	x.TraceState, x.Failed, x.Message = "a=1", true, "why"
	x.Attributes = []attribute.KeyValue{attribute.String("k", "v")}
	b.Handle(x)
	s := b.spans[0]
	if s.TraceID != x.Trace.TraceID || s.SpanID != x.Trace.SpanID || s.ParentID != x.Trace.ParentID || !s.Sampled ||
		s.TraceState != "a=1" || s.Process != b.processes[3] || s.Kind != KindServer || s.Name != "READ /things" ||
		s.Start != x.Start || s.FirstByte != x.FirstByte || s.End != x.End || !s.Failed || s.Message != "why" {
		t.Errorf("%+v", s)
	}
	if got := fmt.Sprint(attributes(s)); got != "map[clew.parent.evidence:header k:v test.target:/things]" {
		t.Error(got)
	}
}

func attributes(s *Span) map[string]string {
	m := map[string]string{}
	for _, kv := range s.Attributes {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

func TestEvidence(t *testing.T) {
	b := newBench(Limits{}, nil)
	for evidence, name := range evidences {
		x := exchange(1, protocol.RoleClient, 1, 2, 3)
		x.Trace.Evidence = protocol.Evidence(evidence)
		b.Handle(x)
		if got := attributes(b.spans[evidence])[string(EvidenceKey)]; got != name {
			t.Errorf("evidence %d is %q, want %q", evidence, got, name)
		}
	}
	if evidences[protocol.EvidenceRequestLine] == "" || len(evidences) != int(protocol.EvidenceRequestLine)+1 {
		t.Error("an evidence has no name")
	}
}

func TestParentConflicts(t *testing.T) {
	b := newBench(Limits{}, nil)
	for _, trace := range []protocol.Trace{
		{ParentID: [8]byte{2}, Evidence: protocol.EvidenceHeader}, // its own parent
		{ParentID: [8]byte{3}},              // no evidence
		{Evidence: protocol.EvidenceThread}, // no parent
		{ParentID: [8]byte{3}, Evidence: 200},
	} {
		x := exchange(1, protocol.RoleServer, 1, 2, 0)
		x.Trace.ParentID, x.Trace.Evidence = trace.ParentID, trace.Evidence
		b.Handle(x)
	}
	for _, s := range b.spans {
		if _, ok := attributes(s)[string(EvidenceKey)]; ok || s.ParentID != [8]byte{} {
			t.Errorf("%+v", s)
		}
	}
	b.want(t, "s2 s2 s2 s2", "seen =4;kept parent_conflict=4;")
}

func TestDropped(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.server(1, 0, 2, 0)
	b.server(1, 1, 0, 0)
	b.server(99, 1, 2, 0)
	b.want(t, "", "seen =3;dropped no_identity=2;dropped process_unknown=1;")
}

func TestTargets(t *testing.T) {
	b := newBench(Limits{Targets: 3, Services: 2}, nil)
	send := func(pid uint32, target string, after time.Duration, tentative bool) string {
		x := exchange(pid, protocol.RoleServer, 1, 2, 0)
		x.Target, x.End, x.Tentative = target, epoch.Add(after), tentative
		b.Handle(x)
		s := b.spans[len(b.spans)-1]
		if _, has := attributes(s)["test.target"]; has != (s.Name != "READ") {
			t.Errorf("%q with attributes %v", s.Name, s.Attributes)
		}
		return s.Name
	}
	for i, c := range []struct {
		target    string
		after     time.Duration
		tentative bool
		want      string
	}{
		{"/scan", 0, true, "READ"},
		{"/a", 0, false, "READ /a"},
		{"/a", 0, true, "READ /a"},
		{"/b", 0, false, "READ /b"},
		{"/c", 30 * time.Minute, false, "READ /c"},
		{"/d", 40 * time.Minute, false, "READ"},
		{"/b", 50 * time.Minute, false, "READ /b"},
		{"", 50 * time.Minute, false, "READ"},
		{"/d", 61 * time.Minute, false, "READ /d"}, // /a went unused for an hour
		{"/a", 61 * time.Minute, false, "READ"},
		{"/b", 61 * time.Minute, false, "READ /b"},
	} {
		if got := send(1, c.target, c.after, c.tentative); got != c.want {
			t.Errorf("%d: %s became %q, want %q", i, c.target, got, c.want)
		}
	}
	if got := send(2, "/a", 0, false); got != "READ /a" {
		t.Errorf("one service's names took another's room: %q", got)
	}
	b.want(t, b.ids(), "seen =12;kept =9;kept target_dropped=2;kept target_unproved=1;")
	for pid := uint32(3); pid < 9; pid++ {
		send(pid, "/x", time.Hour, false)
	}
	if len(b.Assembler.names.services) != 2 {
		t.Errorf("%d services", len(b.Assembler.names.services))
	}
}

func TestNoTargetKey(t *testing.T) {
	b := newBench(Limits{}, nil)
	x := exchange(1, protocol.RoleClient, 1, 2, 0)
	x.TargetKey = ""
	b.Handle(x)
	if s := b.spans[0]; s.Name != "READ /things" || len(s.Attributes) != 0 {
		t.Errorf("%+v", s)
	}
}

// stages returns a function that sends one exchange, as the kernel's two
// messages, through both stages, and the number of spans that came out.
func stages(tb testing.TB) (send func(connection uint64), spans *int) {
	tb.Helper()
	spans = new(int)
	process := &workload.Process{PID: 1, Service: "shop"}
	a := New(Options{Process: func(uint32) *workload.Process { return process }, Emit: func(*Span) { *spans++ }})
	s := protocol.New(protocol.Options{Entered: a.Entered, Emit: a.Handle})
	request := &protocol.Message{PID: 1, Part: protocol.PartRequest, Role: protocol.RoleServer, First: epoch, Last: epoch}
	request.Head = wire(tb, "request.txt")
	request.Trace = exchange(1, protocol.RoleServer, 1, 2, 3).Trace
	response := &protocol.Message{PID: 1, Part: protocol.PartResponse, Role: protocol.RoleServer, First: epoch, Last: epoch, Complete: true}
	response.Head = wire(tb, "response.txt")
	return func(connection uint64) {
		request.Connection, response.Connection = connection, connection
		s.Handle(request)
		s.Handle(response)
	}, spans
}

// wire returns the head of a message from the protocols' own test data, with the
// line ends of the wire.
func wire(tb testing.TB, name string) []byte {
	tb.Helper()
	head, err := os.ReadFile("../../probes/protocol/testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.ReplaceAll(head, []byte("\n"), []byte("\r\n"))
}

// TestAllocations holds an exchange to what a span is made of: itself, its
// attributes, their text.
func TestAllocations(t *testing.T) {
	send, _ := stages(t)
	if n := testing.AllocsPerRun(1000, func() { send(1) }); n > 3 {
		t.Errorf("%v allocations for an exchange", n)
	}
}

// BenchmarkMessageToSpan is the whole way of an exchange through user space,
// but for reading the ring and the export.
func BenchmarkMessageToSpan(b *testing.B) {
	send, spans := stages(b)
	b.ReportAllocs()
	before := cpuTime(b)
	for i := range b.N {
		send(uint64(i % 1000))
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	if *spans != b.N {
		b.Fatal("spans went missing")
	}
}

// cpuTime returns what the process has used of all processors, the garbage
// collector's share included: on a busy machine elapsed time says little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
