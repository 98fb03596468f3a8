package protocol

import (
	"time"

	"github.com/clewtrace/clew/context/traceparent"
)

// Limits bounds what Conversations keep. A zero field means its default.
type Limits struct {
	// Connections is how many are remembered; default 65536, about 10 MB. When
	// there are more, one that was quiet for long makes room.
	Connections int
	// Calls is how many requests may wait for their response; default 16384,
	// some 30 MB when every head is long.
	Calls int
	// Patience is how long a request waits for a response; default 5 minutes.
	Patience time.Duration
	// Stream is how long a response that has begun may take; default 1 hour.
	Stream time.Duration
	// Idle is how long a connection with nothing outstanding is remembered;
	// default 2 minutes.
	Idle time.Duration
}

// maxDepth bounds the requests outstanding on one connection; clients that
// pipeline stay far below.
const maxDepth = 256

// serialEnough is how many requests in a row must have been answered before the
// next came, for a connection to be taken for one that never pipelines. A
// connection that does shows it well before.
const serialEnough = 16

// Options of New. Emit is required.
type Options struct {
	Limits Limits
	// Headers names header fields to record; those that hold secrets are not
	// recorded even so.
	Headers []string
	// Sampler decides for requests that the kernel did not see by themselves,
	// as the kernel does for the others.
	Sampler traceparent.Sampler
	// KeepErrors and KeepSlow (0: off) say which unsampled exchanges are kept even
	// so. For HTTP the kernel decides it.
	KeepErrors bool
	KeepSlow   time.Duration
	// SlowLookup is from when on a DNS lookup that did not fail is recorded;
	// default 100 ms, negative: always.
	SlowLookup time.Duration
	// Statement says what of a query's text is recorded.
	Statement Statement
	// Entered, if set, is told of every request that brings a trace context
	// into a process, as soon as it begins: ParentID is what its head says.
	Entered func(pid uint32, trace Trace)
	// Emit receives each exchange when it is over. The Exchange is used again
	// when Emit returns; its Attributes and strings are not.
	Emit func(*Exchange)
}

// Conversations pairs the requests and responses of all connections, in the
// order of HTTP: first in, first out. When records were lost or requests hid
// behind the capture limit the order proves nothing, and exchanges are dropped
// and counted rather than guessed.
//
// A connection lives here from its first message to PartClose, to the idle
// limit, or until a busier one needs its place. All methods but Counts belong
// to one goroutine.
type Conversations struct {
	options  Options
	describe describer
	table    map[uint64]*conversation
	pool     pool
	calls    int // in all conversations
	exchange Exchange
	counters counters
	// learnt is, by protocol, what its sessions have learnt on one connection that
	// holds on others.
	learnt map[string]any
}

// Statement says what is recorded of the text of database queries.
type Statement uint8

const (
	StatementSanitized Statement = iota // without the values in it
	StatementOff
	StatementRaw // as it is: it may hold what users typed
)

// New returns Conversations that hand finished exchanges to o.Emit.
func New(o Options) *Conversations {
	l := &o.Limits
	setDefault(&l.Connections, 65536)
	setDefault(&l.Calls, 16384)
	setDefault(&l.Patience, 5*time.Minute)
	setDefault(&l.Stream, time.Hour)
	setDefault(&l.Idle, 2*time.Minute)
	if o.SlowLookup == 0 {
		o.SlowLookup = slowLookup
	}
	if o.Entered == nil {
		o.Entered = func(uint32, Trace) {}
	}
	return &Conversations{
		options:  o,
		describe: describer{headers: captured(o.Headers)},
		table:    make(map[uint64]*conversation),
		learnt:   make(map[string]any),
	}
}

func setDefault[T int | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// Handle takes the next message of a connection. It keeps nothing of m.
func (s *Conversations) Handle(m *Message) {
	v := s.table[m.Connection]
	if v == nil {
		if m.Part == PartClose {
			return
		}
		v = s.open()
		s.table[m.Connection] = v
	}
	v.active = m.Last
	if m.Lost != v.lost {
		s.lose(v, m.Lost)
	}
	switch m.Part {
	case PartRequest:
		s.request(v, m)
	case PartResponse:
		s.response(v, m)
	case PartEnd:
		s.end(v, m)
	case PartClose:
		s.close(v, m)
	default:
		s.counters.add(unknownPart)
	}
}

// open makes room for one more connection.
func (s *Conversations) open() *conversation {
	if len(s.table) >= s.options.Limits.Connections {
		s.makeRoom()
	}
	return new(conversation)
}

// makeRoom forgets the quietest of a few connections: maps are walked from a
// random place, so that is nearly as good as the quietest of all.
func (s *Conversations) makeRoom() {
	const sample = 8
	var quietest uint64
	var active time.Time
	n := 0
	for id, v := range s.table {
		if n == 0 || v.active.Before(active) {
			quietest, active = id, v.active
		}
		if n++; n == sample {
			break
		}
	}
	s.flush(s.table[quietest], tableFull)
	if l := s.table[quietest].link; l != nil {
		l.voidAll(tableFull)
	}
	delete(s.table, quietest)
}

// lose starts a conversation over after records went missing. What is pending
// can't be paired any more. What comes can, if the connection never pipelines.
func (s *Conversations) lose(v *conversation, lost uint32) {
	v.lost = lost
	v.settling = true
	s.flush(v, recordLost)
	if v.serial < serialEnough {
		v.doubt, v.serial = true, 0
	}
}

// flush drops everything that is pending.
func (s *Conversations) flush(v *conversation, why outcome) {
	for v.first != nil {
		s.void(v.first, why)
		s.release(v, v.first)
	}
}

// void drops an exchange; its call may stay, to keep the order.
func (s *Conversations) void(c *call, why outcome) {
	if !c.void {
		c.void = true
		s.counters.add(why)
	}
}

func (s *Conversations) release(v *conversation, c *call) {
	s.pool.put(v.remove(c))
	s.calls--
}

// request takes the requests that a message holds: as a rule one.
func (s *Conversations) request(v *conversation, m *Message) {
	v.settling = false
	switch {
	case v.opaque:
		s.refuse(opaque)
		return
	case m.Role != RoleClient && m.Role != RoleServer:
		s.refuse(roleUnknown)
		s.distrust(v)
		return
	}
	s.leaveExtras(v)
	if v.doubt && v.first == nil && v.serial >= serialEnough {
		v.doubt = false
	}
	data := m.Head
	for n := 0; ; n++ {
		d := dialectOf(data)
		if d == nil {
			// Whatever it is, it may be answered, now or when it is whole.
			s.refuse(malformed)
			s.distrust(v)
			return
		}
		head, whole := d.measure(data)
		s.enqueue(v, m, d, data[:headEnd(head, data)], n > 0)
		if m.Rescued {
			return // the kernel kept the beginning of this one alone
		}
		if whole == 0 || whole >= uint64(len(data)) {
			s.hidden(v, m, data, whole)
			return
		}
		if data = trimLines(data[whole:]); len(data) == 0 {
			s.hidden(v, m, nil, 0)
			return
		}
	}
}

// leaveExtras gives up requests that only user space knows of, and that wait when
// another request begins: the kernel can't tell their responses from that one's,
// and whether it reports them depends on which it takes them for.
func (s *Conversations) leaveExtras(v *conversation) {
	for c := v.first; c != nil; c = c.next {
		if c.extra && !c.answered() {
			s.void(c, unpaired)
			s.distrust(v)
		}
	}
}

// refuse counts a request that never became a call.
func (s *Conversations) refuse(why outcome) {
	s.counters.add(seen)
	s.counters.add(why)
}

// headEnd is how much of data to keep for a head of that size.
func headEnd(head int, data []byte) int {
	if head == 0 {
		return len(data)
	}
	return head
}

// trimLines takes off the line ends that some clients send after a body.
func trimLines(data []byte) []byte {
	for len(data) > 0 && (data[0] == '\r' || data[0] == '\n') {
		data = data[1:]
	}
	return data
}

// hidden looks whether requests may lie behind the captured bytes; rest is the
// last request in them, taking whole bytes (0: nobody knows).
func (s *Conversations) hidden(v *conversation, m *Message, rest []byte, whole uint64) {
	if !m.Truncated {
		return
	}
	captured := uint64(len(m.Head))
	before := captured - uint64(len(rest))
	switch {
	case whole > 0 && m.Bytes >= captured && m.Bytes <= before+whole: // the rest is its body
	case whole == 0 && len(rest) > 0 && !v.pipelines:
		// A long head, or chunks. This one pairs rightly. That another lies
		// behind is possible; but it would be the first time, and heads longer
		// than the capture limit are too common to doubt every connection.
	default:
		s.distrust(v)
	}
}

// distrust marks a connection on which requests went by unseen. Those that are
// pending were first and keep their place.
func (s *Conversations) distrust(v *conversation) {
	v.doubt, v.serial = true, 0
}

// enqueue adds one request. An extra one was sent along with another, which
// alone has the kernel's context.
func (s *Conversations) enqueue(v *conversation, m *Message, d *dialect, head []byte, extra bool) {
	s.counters.add(seen)
	if v.first != nil && !m.Rescued {
		v.pipelines, v.serial = true, 0
	}
	if v.depth >= maxDepth {
		s.flush(v, tooDeep)
		s.distrust(v)
	}
	c := s.pool.get()
	s.calls++
	full := s.calls > s.options.Limits.Calls
	if full || v.doubt {
		head = nil
	}
	c.dialect, c.extra = d, extra
	c.setRequest(m, head)
	v.push(c)
	switch {
	case full:
		s.void(c, tableFull)
		return
	case v.doubt:
		s.void(c, unpaired)
		return
	}
	if extra {
		s.identify(c)
	}
	s.entered(c)
	if extra && !c.request.Trace.Sampled {
		s.void(c, unsampled)
	}
}

// entered tells of the context that a request brings into a process. Beside
// nearer evidence it is still in the head, where the program can read it.
func (s *Conversations) entered(c *call) {
	r := &c.request
	if r.Role != RoleServer || r.Rescued {
		return
	}
	t := r.Trace
	switch t.Evidence {
	case EvidenceHeader:
		s.options.Entered(r.PID, t)
	case EvidenceLocal, EvidenceTCPOption:
		if parent, ok := c.dialect.context(r.Head); ok {
			t.TraceID, t.ParentID, t.Evidence = parent.TraceID, parent.SpanID, EvidenceHeader
			s.options.Entered(r.PID, t)
		}
	}
}

// identify gives a request its place in a trace as the kernel would have.
func (s *Conversations) identify(c *call) {
	if parent, ok := c.dialect.context(c.request.Head); ok {
		t := Trace{SpanID: newSpanID()}
		t.continues(&parent, s.options.Sampler)
		c.request.Trace = t
		return
	}
	c.request.Trace = newRoot(s.options.Sampler)
}
