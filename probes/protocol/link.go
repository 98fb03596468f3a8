package protocol

import "time"

const (
	// maxFailures is how often a connection may stop making sense.
	maxFailures = 3
	// settleAfter is how long an answer whose end can't be seen must be quiet to
	// be taken for complete.
	settleAfter = 5 * time.Second
)

// link is a connection that is followed frame by frame, with the requests that
// wait for their answers, oldest first.
type link struct {
	owner   *Conversations
	wire    *wire
	session session // nil: not recognised, or given up
	flows   [2]flow

	first, last *query
	depth       int

	turn     direction // of the latest segment
	begun    bool      // there was one
	lostRing uint32    // records lost, as of the latest segment
	failures int
	tried    uint32 // bit i: wires[i] failed
	ignored  bool   // given up, or another protocol by now

	// unsure says that requests or answers went by unseen, so that the order of
	// answers proves nothing; those asked are void until it does again.
	unsure bool
	// pipelines says that a request once came before the last was answered.
	pipelines bool
	serial    int // requests in a row that were answered before the next
}

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
	turned := !l.begun || l.turn != d
	l.begun, l.turn = true, d
	if l.ignored {
		return
	}
	if l.session == nil && !(turned && l.detect(d, m)) {
		return
	}
	w := &l.flows[d]
	l.place(d, m, turned)
	w.last = m.Time
	w.origin = origin{pid: m.PID, tid: m.TID, role: m.Role, trace: m.Trace, endpoints: m.Endpoints}
	if m.Lost != l.lostRing && l.flows[toServer].synced && l.flows[toClient].synced {
		l.lostRing = m.Lost // what was lost shows as a gap, now or later
	}
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
				l.flows[i] = flow{synced: true}
			}
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
		l.flows[toClient] = flow{synced: true}
	}
	if l.unsure && l.depth == 0 && (!l.pipelines || l.serial >= serialEnough) {
		l.unsure = false
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
	l.flows[d].lose()
	l.owner.counters.add(gap)
	if l.wire.numbered {
		return
	}
	if d == toServer || l.depth > 1 {
		l.voidAll(unpaired)
		l.unsure, l.serial = true, 0
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
	for l.first != nil {
		q := l.first
		switch {
		case l.pipelines && l.depth > 1 && !l.wire.numbered:
			l.void(q, unpaired)
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
	for q := l.first; q != nil; {
		next := q.next
		if !q.void && q.answered.IsZero() && now.Sub(q.start) > l.owner.options.Limits.Patience {
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
