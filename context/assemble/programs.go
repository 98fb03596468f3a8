package assemble

import (
	"github.com/clewtrace/clew/context/workload"
	"github.com/clewtrace/clew/probes/protocol"
)

// Programs with a tracing SDK inside make spans of their own, and ours beside
// them would show everything twice. What such a program sends gives it away. A
// request that it sends with a trace context (T, X) has one of three origins:
//
//   - X came into the process with a request. The program passes the header on
//     as a proxy does. It makes no client spans, and whatever was concluded
//     before is void: no SDK sends the id that it received. Nothing more is
//     concluded about this process.
//   - T came in, X did not. The program read the context, continued the trace
//     and made a span X: it has an SDK that follows requests from the server's
//     side to the client's. It exports both kinds.
//   - Neither came in, as far as we saw. The program began the trace with an
//     SDK, or the context entered where we are blind: by TLS, by a queue, on a
//     command line. Only of a process that accepts no connections can it be
//     said, once it has done so in two traces, that it makes client spans.
//
// The judgement is made on each request: a client span is dropped only when its
// own request carries a foreign context, so that requests past the SDK's
// instrumentation stay. Server spans show nothing of the kind and are dropped as
// long as the conclusion holds. A span that another one of ours names as its
// parent stays, the program's own beside it. The first spans of a program may go
// out twice.
//
// Contexts are noted when a request begins, since one that is passed on ends
// before the request it came with.

// enteredSize is how many contexts of a process are remembered: more than the
// requests that one process has open at a time, so that an answer is known for
// those. A proxy with more is taken for one by its other requests.
const enteredSize = 256

// tracesNeeded is in how many traces a program must have shown a context of no
// visible origin. One may have been typed by hand.
const tracesNeeded = 2

// incoming is a trace context that entered a process.
type incoming struct {
	trace  [16]byte
	parent [8]byte
}

// program is what is known of a process that receives or sends contexts.
type program struct {
	process *workload.Process
	entered [enteredSize]incoming // a ring
	next    int
	used    uint64

	client, server bool // it makes spans of that kind itself
	relays         bool // it passes contexts on
	strange        int  // traces of no visible origin
	latest         [16]byte
}

// programs keeps them, up to a limit.
type programs struct {
	table   map[uint32]*program
	limit   int
	clock   uint64 // one tick a use
	listens func(pid uint32) bool
}

func (s *programs) entered(pid uint32, t *protocol.Trace) {
	p := s.use(pid)
	p.entered[p.next] = incoming{t.TraceID, t.ParentID}
	p.next = (p.next + 1) % enteredSize
}

// use returns the program of a pid, making room for it if need be.
func (s *programs) use(pid uint32) *program {
	s.clock++
	p := s.table[pid]
	if p == nil {
		if len(s.table) >= s.limit {
			s.evict()
		}
		p = new(program)
		s.table[pid] = p
	}
	p.used = s.clock
	return p
}

func (s *programs) evict() {
	var oldest uint32
	used, i := s.clock, 0
	for pid, p := range s.table {
		if p.used <= used {
			oldest, used = pid, p.used
		}
		if i++; i == evictionSample {
			break
		}
	}
	delete(s.table, oldest)
}

// is starts over when the pid has become another program. What entered stays:
// it may have entered the new one already.
func (p *program) is(process *workload.Process) {
	if p.process == process {
		return
	}
	if p.process != nil {
		p.client, p.server, p.relays, p.strange = false, false, false, 0
	}
	p.process = process
}

// ownServer says whether the process makes server spans itself.
func (s *programs) ownServer(pid uint32, process *workload.Process) bool {
	p := s.table[pid]
	if p == nil {
		return false
	}
	p.is(process)
	return p.server
}

// ownClient says whether the process made a client span for this exchange.
func (s *programs) ownClient(x *protocol.Exchange, process *workload.Process) bool {
	// Of unsampled requests only the odd one is seen, and late: they prove
	// nothing.
	relayed := x.Trace.Evidence == protocol.EvidenceRelay
	if x.Trace.Evidence != protocol.EvidenceHeader && !relayed || !x.Trace.Sampled {
		return false
	}
	p := s.use(x.PID)
	p.is(process)
	traceKnown, spanKnown := p.knows(&x.Trace)
	switch {
	case spanKnown, relayed:
		p.relays, p.client, p.server = true, false, false
		return false
	case p.relays:
		return false
	case traceKnown:
		p.client, p.server = true, true
	case !p.client:
		p.client = s.began(p, x)
	}
	return p.client
}

// knows says whether the trace, and that very span of it, entered the process.
func (p *program) knows(t *protocol.Trace) (trace, span bool) {
	for i := range p.entered {
		if p.entered[i].trace != t.TraceID {
			continue
		}
		if p.entered[i].parent == t.ParentID {
			return true, true
		}
		trace = true
	}
	return trace, false
}

// began says whether the program surely begins traces itself.
func (s *programs) began(p *program, x *protocol.Exchange) bool {
	if s.listens == nil || p.strange >= tracesNeeded || p.latest == x.Trace.TraceID {
		return false // can't tell, told already, or nothing new
	}
	p.latest = x.Trace.TraceID
	p.strange++
	return p.strange == tracesNeeded && !s.listens(x.PID)
}

// recentSize is how many parents are remembered: more than requests are open at
// the same time on the whole node. They take about 1 MB.
const recentSize = 32768

// recent is a set of the latest span ids given to it.
type recent struct {
	set  map[[8]byte]int // to its latest place in ring
	ring [][8]byte
	next int
}

func (r *recent) add(id [8]byte) {
	if r.set == nil {
		r.set = make(map[[8]byte]int, recentSize)
		r.ring = make([][8]byte, recentSize)
	}
	if gone := r.ring[r.next]; r.set[gone] == r.next {
		delete(r.set, gone)
	}
	r.ring[r.next] = id
	r.set[id] = r.next
	r.next = (r.next + 1) % recentSize
}

func (r *recent) has(id [8]byte) bool {
	_, ok := r.set[id]
	return ok
}
