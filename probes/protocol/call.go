package protocol

import "time"

// call is a request that waits for its response, or for the end of it.
type call struct {
	next *call // the request that followed it on the connection

	dialect  *dialect
	request  Message // Head is the call's own copy
	response Message // Part is zero until it came; Head is a copy as well
	ending   ending
	failure  string // error.type when there is no status to say it

	// extra says that the ids were made here, for a request behind another in
	// one segment.
	extra bool
	// void says that the call only keeps its place in the order of responses:
	// it was counted as dropped, or has been handed on already.
	void bool
}

// maxPooled is how many calls wait for reuse; their heads may take 2 KiB each.
const maxPooled = 4096

// pool keeps calls for reuse. It serves one goroutine, so it needs no lock, and
// unlike sync.Pool is not emptied by the garbage collector.
type pool struct {
	free *call
	n    int
}

func (p *pool) get() *call {
	c := p.free
	if c == nil {
		return new(call)
	}
	p.free, p.n = c.next, p.n-1
	c.next = nil
	return c
}

// put takes a call back, with the memory of its heads.
func (p *pool) put(c *call) {
	if p.n == maxPooled {
		return
	}
	request, response := c.request.Head[:0], c.response.Head[:0]
	*c = call{next: p.free}
	c.request.Head, c.response.Head = request, response
	p.free, p.n = c, p.n+1
}

// setRequest copies a message, its head cut down to what is the request's.
func (c *call) setRequest(m *Message, head []byte) {
	own := append(c.request.Head[:0], head...)
	c.request = *m
	c.request.Head = own
}

func (c *call) setResponse(m *Message, head []byte) {
	own := append(c.response.Head[:0], head...)
	c.response = *m
	c.response.Head = own
}

func (c *call) answered() bool { return c.response.Part != 0 }

// conversation is what is known of one connection.
type conversation struct {
	first, last *call // in the order of requests
	depth       int
	active      time.Time // time of the latest message
	lost        uint32    // as of the latest message

	// serial counts the requests in a row that began with none outstanding and
	// were answered before the next.
	serial int
	// pipelines says that a request was once sent before the last was answered.
	pipelines bool
	// doubt says that requests went by unseen, so that the order of responses
	// proves nothing: calls are void until the connection shows itself serial.
	doubt bool
	// settling follows a lost record, until the next request: responses without
	// a request are explained by it.
	settling bool
	// opaque says that the connection speaks another protocol by now.
	opaque bool

	// link is there if the connection is followed frame by frame.
	link *link
}

func (v *conversation) push(c *call) {
	if v.last == nil {
		v.first = c
	} else {
		v.last.next = c
	}
	v.last = c
	v.depth++
}

// remove takes c out and returns it.
func (v *conversation) remove(c *call) *call {
	var before *call
	for at := v.first; at != c; at = at.next {
		before = at
	}
	if before == nil {
		v.first = c.next
	} else {
		before.next = c.next
	}
	if v.last == c {
		v.last = before
	}
	c.next = nil
	v.depth--
	return c
}

// find returns the oldest call that waits for a response such as m. The records
// of a rescued exchange come together when it is over, past others that wait:
// they belong to each other only.
func (v *conversation) find(m *Message) *call {
	for c := v.first; c != nil; c = c.next {
		if c.request.Rescued == m.Rescued {
			return c
		}
	}
	return nil
}

// begun returns the call whose response has begun, if one has: responses follow
// each other on the wire.
func (v *conversation) begun() *call {
	for c := v.first; c != nil; c = c.next {
		if c.answered() {
			return c
		}
	}
	return nil
}
