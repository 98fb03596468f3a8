package protocol

import "time"

const (
	// maxFailures is how often a connection may stop making sense.
	maxFailures = 3
	// settleAfter is how long an answer whose end can't be seen must be quiet to
	// be taken for complete.
	settleAfter = 5 * time.Second
	// enoughPatience is how long whoever asked by datagram at least waits for the
	// answer, before it takes it for lost.
	enoughPatience = time.Second
)

// link is a connection that is followed frame by frame.
type link struct {
	pairing
	owner   *Conversations
	wire    *wire
	session session // nil: not recognised, or given up
	flows   [2]flow

	turn     direction // of the latest segment
	role     Role      // of the watched process, as of the latest segment
	failures int       // how often it stopped making sense
	tried    uint32    // bit i: wires[i] failed
	ignored  bool      // given up, or another protocol by now
	losses   [2]uint32 // how often a direction's frames were lost, for sessions that count on their order
}

// pairing is the requests of a link that wait for their answers, oldest first, and
// what is known of the order in which they are answered.
type pairing struct {
	first, last *query
	depth       int

	// unsure says that requests or answers went by unseen, so that the order of
	// answers proves nothing; those asked are void until it does again.
	unsure bool
	// tentative says that the session is younger than the connection, so that the
	// first answers may be to requests from before it, if the client pipelines.
	// What is over is held until the client goes on and no answer was left over.
	tentative bool
	held      []held
	// pipelines says that a request once came before the last was answered.
	pipelines bool
	serial    int // requests in a row that were answered before the next
}

// distrust says that the order of answers proves nothing from here on.
func (p *pairing) distrust() { p.unsure, p.serial = true, 0 }

// Segment takes what was sent or received next on a connection. It keeps
// nothing of m.
func (s *Conversations) Segment(m *Segment) {
	v := s.table[m.Connection]
	if v == nil {
		v = s.open()
		s.table[m.Connection] = v
	}
	v.active = m.Time
	if v.link == nil {
		v.link = &link{owner: s}
	}
	v.link.segment(m)
}

func (l *link) segment(m *Segment) {
	d := toClient
	if m.ToServer {
		d = toServer
	}
	turned := l.role == RoleUnknown || l.turn != d
	if l.role != m.Role && l.role != RoleUnknown {
		l.restart() // the kernel had taken one side for the other
	}
	l.turn, l.role = d, m.Role
	if l.ignored {
		return
	}
	if m.Datagram {
		l.datagram(d, m)
		return
	}
	w := &l.flows[d]
	if l.session == nil && !(turned && l.detect(d, m)) {
		w.placed, w.position = true, m.Position+m.Size
		return
	}
	l.place(d, m, turned)
	w.last = m.Time
	// The pieces of one long send have the same ids, for one request.
	taken := w.origin.taken && m.ToServer && m.Trace.SpanID == w.origin.trace.SpanID
	w.origin = m.origin()
	w.origin.taken = taken
	l.feed(d, m.Head)
	l.pass(d, m.Size-min(m.Size, uint64(len(m.Head)+len(m.Tail))))
	l.feed(d, m.Tail)
}

// detect recognises the protocol of a turn that begins with m.
func (l *link) detect(d direction, m *Segment) bool {
	for i := range wires {
		w := &wires[i]
		if l.tried&(1<<i) == 0 && w.detect(d, m.Head, m.Size) {
			l.wire, l.session = w, w.open(l)
			for i := range l.flows {
				// Where one direction began, the other one did.
				f := &l.flows[i]
				*f = flow{synced: true, placed: f.placed || m.Position == 0, position: f.position}
			}
			return true
		}
	}
	return false
}

// datagram takes a segment that is a frame by itself. What makes no sense is
// nobody's fault that can be told; only if nothing else comes it is given up.
func (l *link) datagram(d direction, m *Segment) {
	for i := range datagrams {
		if w := &datagrams[i]; l.session == nil && w.detect(d, m.Head, m.Size) {
			l.wire, l.session = w, w.open(l)
			l.flows = [2]flow{{synced: true}, {synced: true}} // and stay so
		}
	}
	if l.session == nil {
		return
	}
	o := m.origin()
	if l.session.take(d, &frame{data: m.Head[:min(len(m.Head), maxFrame)], size: m.Size, first: m.Time, last: m.Time, origin: &o}) {
		l.failures = 0
		return
	}
	l.owner.counters.add(malformed)
	if l.failures++; l.failures >= maxFailures {
		l.voidAll(malformed)
		l.session, l.failures = nil, 0
		l.owner.counters.add(gaveUp)
	}
}

// isDatagram says that there is no connection, but the datagrams of one socket.
func (l *link) isDatagram() bool {
	for i := range datagrams {
		if l.wire == &datagrams[i] {
			return true
		}
	}
	return false
}

// place finds where the segment belongs.
func (l *link) place(d direction, m *Segment, turned bool) {
	if turned && d == toServer {
		l.turned()
	}
	w := &l.flows[d]
	if w.placed && m.Position != w.position {
		if gap := m.Position - w.position; gap < 1<<31 {
			l.pass(d, gap)
		} else { // backwards
			l.lost(d)
		}
	}
	if turned && !w.synced {
		w.reset()
		w.synced = true
	}
	w.placed, w.position = true, m.Position+m.Size
}

// turned settles what an answer's missing end has left open: the client goes on.
func (l *link) turned() {
	if !l.flows[toClient].synced {
		l.settle()
		l.losses[toClient]++ // what was to end with it won't
		l.flows[toClient].reset()
		l.flows[toClient].synced = true
	}
	if l.unsure && l.depth == 0 && (!l.pipelines || l.serial >= serialEnough) {
		l.unsure = false
	}
	if l.depth == 0 && !l.unsure {
		l.release()
	}
}

// settle ends the one request that waits at the last byte of its answer. Of
// several it is not known which were answered.
func (l *link) settle() {
	q := l.first
	if q != nil && l.depth == 1 && !q.answered.IsZero() {
		l.finishAt(q, l.flows[toClient].last)
		return
	}
	l.voidAll(endUnseen)
}

// lost says that bytes of a direction went by unseen, frames among them.
func (l *link) lost(d direction) {
	if w := &l.flows[d]; d == toClient && l.depth == 1 && w.passed > 0 && l.first.answered.IsZero() {
		l.first.answered = w.first
	}
	l.flows[d].lose()
	l.losses[d]++
	l.owner.counters.add(gap)
	if l.wire.numbered {
		return
	}
	if d == toServer || l.depth > 1 {
		l.voidAll(unpaired)
		l.distrust()
	}
}

// broken says that the bytes make no sense: they are looked at again, as of any
// protocol, at the next turn.
func (l *link) broken() {
	l.voidAll(malformed)
	l.session = nil
	for i := range wires {
		if l.wire == &wires[i] {
			l.tried |= 1 << i
		}
	}
	if l.failures++; l.failures >= maxFailures {
		l.ignored = true
		l.owner.counters.add(gaveUp)
	}
	if l.tried == 1<<len(wires)-1 {
		l.tried = 0
	}
}

// restart forgets what was taken for a connection's protocol.
func (l *link) restart() {
	l.voidAll(unpaired)
	l.session, l.flows = nil, [2]flow{}
}

// opaque says that from here on the connection speaks what can't be read: TLS,
// or compressed.
func (l *link) opaque() {
	l.voidAll(opaque)
	l.owner.counters.add(opaque)
	l.session, l.ignored = nil, true
}

// closed ends what waits, with the connection.
func (l *link) closed(now time.Time) {
	if l.session != nil && !l.flows[toClient].synced {
		l.settle()
	}
	l.release()
	for l.first != nil {
		q := l.first
		switch {
		case l.pipelines && l.depth > 1 && !l.wire.numbered:
			l.void(q, unpaired)
		case l.isDatagram() && now.Sub(q.start) < enoughPatience:
			l.void(q, endUnseen) // whoever asked wanted it no more
		case l.isDatagram():
			q.fail(errorTimeout, "no answer before the socket was closed")
		case q.auxiliary && q.patience == endless:
			l.void(q, auxiliary) // what it was waiting for is not wanted any more
		case q.answered.IsZero():
			q.fail(errorClosed, "connection closed before the answer")
		default:
			q.fail(errorIncomplete, "connection closed inside the answer")
		}
		l.finishAt(q, now)
	}
}

// expire gives up what waited too long.
func (l *link) expire(now time.Time) {
	w := &l.flows[toClient]
	if l.session != nil && !w.synced && l.depth > 0 && now.Sub(w.last) > settleAfter {
		l.settle()
	}
	if now.Sub(w.last) > settleAfter {
		l.release()
	}
	for q := l.first; q != nil; {
		next := q.next
		if !q.void && q.patience != endless && q.answered.IsZero() && now.Sub(q.start) > l.patience(q) {
			if l.pipelines && !l.wire.numbered {
				l.void(q, unpaired)
			} else {
				q.fail(errorTimeout, "no answer in time")
				l.emit(q, now) // it keeps its place: the answer may still come
			}
		}
		q = next
	}
}

// patience is how long q waits for its answer.
func (l *link) patience(q *query) time.Duration {
	if most := l.owner.options.Limits.Patience; q.patience <= 0 || q.patience > most {
		return most
	}
	return q.patience
}
