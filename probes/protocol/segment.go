package protocol

import (
	"time"
)

// Segment is what one system call sent or received on a connection whose frames
// are followed here, not in the kernel: databases and brokers.
type Segment struct {
	Connection uint64 // unique for the life of the agent
	PID, TID   uint32 // of the process and thread that sent or received it
	Role       Role
	ToServer   bool // a client's bytes, else a server's

	Time     time.Time // of its first byte, and of its last as well
	Position uint64    // of its first byte in this direction of the connection
	Size     uint64    // in bytes
	// Datagram says that the segment is one datagram, whole: Position and what
	// came before mean nothing then.
	Datagram bool

	Trace     Trace // for a request that begins in it; only with ToServer
	Endpoints Endpoints

	// Head holds its first bytes and Tail its last ones, if Head does not reach
	// there. Both belong to the caller again when the call that received them
	// returns.
	Head, Tail []byte
}

// direction of bytes.
type direction uint8

const (
	toServer direction = iota
	toClient
)

// origin says where a frame comes from: what all frames of a segment share.
type origin struct {
	pid, tid  uint32
	role      Role
	trace     Trace
	endpoints Endpoints
	// taken says that a request of the segment has the kernel's ids. Others in
	// it get ids of their own, and the same parent.
	taken bool
}

func (m *Segment) origin() origin {
	return origin{pid: m.PID, tid: m.TID, role: m.Role, trace: m.Trace, endpoints: m.Endpoints}
}

// frame is one unit of a protocol, as its measure cuts it.
type frame struct {
	// data is the frame, or the first maxFrame bytes or fewer of a longer one.
	// It is valid until take returns.
	data []byte
	// size is how long the frame is, whatever of it is in data.
	size   uint64
	first  time.Time // of its first byte
	last   time.Time // of its last byte
	origin *origin
}

// cut says that not all of the frame is in data.
func (f *frame) cut() bool { return uint64(len(f.data)) < f.size }

const (
	// maxFrame is how much of a frame is kept until the rest has come, and so
	// how long the start of one may be before its size is known.
	maxFrame = 16 << 10
)

// flow is one direction of a connection, cut into frames.
type flow struct {
	placed   bool   // position is known
	synced   bool   // position is in a frame, or where one begins
	position uint64 // of the next byte
	last     time.Time

	origin origin // of the segment that is looked at
	frame  frame  // that is being taken

	// The frame that began in an earlier segment, if passed is not 0.
	held   []byte // its first bytes
	cut    bool   // more bytes can't be added to held
	size   uint64 // 0: not known yet
	passed uint64 // bytes of it so far
	first  time.Time
	begun  origin
}

func (w *flow) reset() {
	w.held, w.cut, w.size, w.passed = w.held[:0], false, 0, 0
}

// lose forgets where frames begin.
func (w *flow) lose() {
	w.reset()
	w.synced = false
}

// begin notes that a frame begins with data and goes on in a later segment.
func (w *flow) begin(data []byte, size uint64) {
	w.held = append(w.held[:0], data[:min(len(data), maxFrame)]...)
	w.cut = len(data) > maxFrame
	w.size, w.passed, w.first, w.begun = size, uint64(len(data)), w.last, w.origin
	w.origin.taken = true // whatever follows in the segment, there is nothing
}

// feed takes the next bytes of a direction apart. The caller has placed them.
func (l *link) feed(d direction, data []byte) {
	w := &l.flows[d]
	for len(data) > 0 && l.session != nil {
		var n uint64
		switch {
		case !w.synced:
			at := l.session.resume(d, data)
			if at < 0 || at >= len(data) {
				return
			}
			w.synced, n = true, uint64(at)
		case w.size > 0:
			n = l.fill(d, data)
		case w.passed > 0:
			n = l.complete(d, data)
		default:
			n = l.boundary(d, data)
		}
		data = data[n:]
	}
}

// boundary takes the frame that data begins with; it returns how much of data
// that is.
func (l *link) boundary(d direction, data []byte) uint64 {
	w := &l.flows[d]
	size := l.session.measure(d, data)
	switch {
	case size < 0:
		l.broken()
		return 0
	case size > 0 && uint64(size) <= uint64(len(data)):
		w.frame = frame{data: data[:size], size: uint64(size), first: w.last, last: w.last, origin: &w.origin}
		l.take(d, &w.frame)
		return uint64(size)
	case size == 0 && len(data) >= maxFrame:
		l.broken()
		return 0
	}
	w.begin(data, uint64(size))
	return uint64(len(data))
}

// complete adds to the start of a frame whose size is not known yet.
func (l *link) complete(d direction, data []byte) uint64 {
	w := &l.flows[d]
	before := len(w.held)
	w.held = append(w.held, data[:min(len(data), maxFrame-before)]...)
	size := l.session.measure(d, w.held)
	switch {
	case size < 0, size == 0 && len(w.held) >= maxFrame, size > 0 && size <= int64(before):
		l.broken()
		return 0
	case size == 0:
		w.passed = uint64(len(w.held))
		return uint64(len(data))
	}
	w.held, w.size = w.held[:before], uint64(size)
	return 0 // fill() takes them
}

// fill adds to a frame of known size, and hands it on when it is whole.
func (l *link) fill(d direction, data []byte) uint64 {
	w := &l.flows[d]
	n := min(uint64(len(data)), w.size-w.passed)
	if room := maxFrame - len(w.held); !w.cut && room > 0 {
		w.held = append(w.held, data[:min(int(n), room)]...)
	}
	w.passed += n
	l.filled(d)
	return n
}

func (l *link) filled(d direction) {
	w := &l.flows[d]
	if w.passed < w.size {
		return
	}
	w.frame = frame{data: w.held, size: w.size, first: w.first, last: w.last, origin: &w.begun}
	l.take(d, &w.frame)
	w.reset()
}

// pass accounts for bytes that nobody saw.
func (l *link) pass(d direction, n uint64) {
	w := &l.flows[d]
	if n == 0 || !w.synced || l.session == nil {
		return
	}
	if w.size == 0 || n > w.size-w.passed {
		l.lost(d)
		return
	}
	w.cut = true
	w.passed += n
	l.filled(d)
}

// take hands a frame on.
func (l *link) take(d direction, f *frame) {
	if !l.session.take(d, f) && l.session != nil {
		l.broken()
	}
}
