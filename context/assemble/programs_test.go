package assemble

import (
	"testing"

	"github.com/clewtrace/clew/context/workload"
	"github.com/clewtrace/clew/probes/protocol"
)

// In these tests pid 1 is judged; span ids from 100 up are foreign.

func TestProgramThatContinuesTraces(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.enters(1, 1, 100)
	b.client(1, 1, 11, 101) // 101 is the program's own client span
	b.server(1, 1, 10, 100)
	b.server(1, 2, 12, 0) // a root has a span of the program's as well
	b.client(1, 3, 13, 0) // past the instrumentation: no header, no span but ours
	b.client(2, 1, 14, 102)
	b.server(2, 1, 15, 101)
	b.want(t, "c13 c14 s15", "seen =6;kept =3;dropped own_client_span=1;dropped own_server_span=2;")
}

func TestProxyPassesHeaderOn(t *testing.T) {
	listens := func(uint32) bool { return false } // even if this were wrong
	b := newBench(Limits{}, listens)
	for i := byte(1); i < 5; i++ {
		b.enters(1, i, 100+i)
	}
	for i := byte(1); i < 5; i++ { // the inner exchange ends first
		b.client(1, i, 10+i, 100+i)
		b.server(1, i, 20+i, 100+i)
	}
	if len(b.spans) != 8 {
		t.Errorf("%s, %s", b.ids(), b.count())
	}
}

// TestProxyOfOneTraceTwice sends two requests of one trace through a proxy at
// once: the other's context must not make this one look like a continuation.
func TestProxyOfOneTraceTwice(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.enters(1, 1, 100)
	b.enters(1, 1, 101)
	b.client(1, 1, 11, 101)
	b.server(1, 1, 12, 101)
	b.client(1, 1, 13, 100)
	b.server(1, 1, 14, 100)
	b.want(t, "c11 s12 c13 s14", "seen =4;kept =4;")
}

// TestProxyUnmasked loses the record of an incoming request, so that the proxy
// looks like a program with an SDK, until its next request.
func TestProxyUnmasked(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.enters(1, 1, 100)
	b.client(1, 1, 11, 101)
	b.server(1, 1, 12, 100)
	b.enters(1, 2, 102)
	b.client(1, 2, 13, 102)
	b.server(1, 2, 14, 102)
	b.enters(1, 3, 103)
	b.client(1, 3, 15, 104) // relays: nothing is concluded any more
	b.server(1, 3, 16, 103)
	b.want(t, "c13 s14 c15 s16", "seen =6;kept =4;dropped own_client_span=1;dropped own_server_span=1;")
}

func TestProgramThatBeginsTraces(t *testing.T) {
	asked := 0
	b := newBench(Limits{}, func(uint32) bool { asked++; return false })
	b.client(1, 1, 11, 101) // by hand, or by an SDK: nobody knows
	b.client(1, 1, 12, 102)
	b.client(1, 2, 13, 103)
	b.client(1, 3, 14, 104)
	b.client(1, 4, 15, 0)
	b.server(1, 5, 16, 0) // shown for client spans only
	b.want(t, "c11 c12 c15 s16", "seen =6;kept =4;dropped own_client_span=2;")
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestContextFromTheDark is a proxy whose clients come by TLS, say: it listens,
// so contexts may enter where nobody sees.
func TestContextFromTheDark(t *testing.T) {
	asked := 0
	for _, listens := range []func(uint32) bool{nil, func(uint32) bool { asked++; return true }} {
		b := newBench(Limits{}, listens)
		for i := byte(1); i < 20; i++ {
			b.client(1, i, 10+i, 100+i)
		}
		if len(b.spans) != 19 {
			t.Errorf("%s, %s", b.ids(), b.count())
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestServerSpanWithChildrenStays keeps a span that another one names as its
// parent.
func TestServerSpanWithChildrenStays(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.enters(1, 1, 100)
	b.client(1, 1, 11, 101)
	child := exchange(1, protocol.RoleClient, 1, 12, 10)
	child.Trace.Evidence = protocol.EvidenceGoroutine
	b.Handle(child)
	b.server(1, 1, 10, 100)
	b.server(1, 2, 13, 0)
	b.want(t, "c12 s10", "seen =4;kept =2;dropped own_client_span=1;dropped own_server_span=1;")
}

// TestClientSpanWithServerStays is the same across a connection: the server found
// our client span by the connection, nearer than the header.
func TestClientSpanWithServerStays(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.enters(1, 1, 100)
	far := exchange(2, protocol.RoleServer, 1, 20, 11)
	far.Trace.Evidence = protocol.EvidenceLocal
	b.Handle(far)
	b.client(1, 1, 11, 101)
	b.client(1, 1, 12, 102)
	b.want(t, "s20 c11", "seen =3;kept =2;dropped own_client_span=1;")
}

func TestUnsampledProvesNothing(t *testing.T) {
	b := newBench(Limits{}, func(uint32) bool { return false })
	b.enters(1, 1, 100)
	for i := byte(1); i < 5; i++ {
		x := exchange(1, protocol.RoleClient, i, 10+i, 101)
		x.Trace.Sampled = false
		b.Handle(x)
	}
	b.want(t, "c11 c12 c13 c14", "seen =4;kept =4;")
}

func TestNewProgramStartsOver(t *testing.T) {
	b := newBench(Limits{}, nil)
	b.enters(1, 1, 100)
	b.client(1, 1, 11, 101)
	b.server(1, 1, 12, 100)
	b.processes[1] = &workload.Process{PID: 1, Service: "other"} // exec
	b.server(1, 2, 13, 0)
	b.want(t, "s13", "seen =3;kept =1;dropped own_client_span=1;dropped own_server_span=1;")
}

func TestProgramsAreBounded(t *testing.T) {
	b := newBench(Limits{Programs: 16}, nil)
	for pid := uint32(0); pid < 1000; pid++ {
		b.Entered(pid, exchange(pid, protocol.RoleServer, 1, 2, 3).Trace)
		b.Entered(5000, exchange(5000, protocol.RoleServer, 1, 2, 3).Trace)
	}
	if n := len(b.Assembler.programs.table); n != 16 {
		t.Errorf("%d programs", n)
	}
	if b.Assembler.programs.table[5000] == nil {
		t.Error("the busiest was evicted")
	}
}

func TestRecent(t *testing.T) {
	var r recent
	id := func(n int) [8]byte { return [8]byte{byte(n), byte(n >> 8), byte(n >> 16)} }
	for i := 1; i <= 3*recentSize; i++ {
		r.add(id(i))
		r.add(id(1))
	}
	if n := len(r.set); n > recentSize {
		t.Errorf("%d ids", n)
	}
	if last := 3 * recentSize; !r.has(id(last)) || !r.has(id(1)) || !r.has(id(last-recentSize/2+1)) || r.has(id(last-recentSize)) {
		t.Error("the latest ids are not those that stay")
	}
}
