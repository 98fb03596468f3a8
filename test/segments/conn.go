package segments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
)

// Conn is one end of a connection, the other one being a kernel's. It
// acknowledges what comes in order, and drops the rest.
type Conn struct {
	// Window is what it says to have room for. To be changed under Say.
	Window uint16

	// Drop says which segments never arrive, nil for none. To be set before
	// there are any.
	Drop func(Segment) bool

	// SynOptions are the options of its own SYN, a multiple of four bytes.
	SynOptions []byte

	link *Link
	ends ends

	mu       sync.Mutex
	changed  chan struct{} // closed when something has come
	next     uint32        // number of the next byte to be sent
	expected uint32        // likewise, to be received
	acked    uint32        // what the other side has acknowledged
	open     bool
	finished bool      // the other side will send no more
	data     []byte    // received, not yet read
	segments []Segment // that have arrived, those sent again included
	err      error     // nothing goes any more
}

// mss is the option that says how much a segment may carry: 1400 bytes.
var mss = []byte{2, 4, 1400 >> 8, 1400 & 0xff}

func newConn(l *Link, e ends) *Conn {
	return &Conn{Window: 65535, SynOptions: mss, link: l, ends: e, changed: make(chan struct{}), next: rand.Uint32()}
}

func (c *Conn) configure(f func(*Conn)) {
	if f != nil {
		f(c)
	}
}

// Dial connects an address of the link to one of the kernel's. The options are
// those of the first segment, nil for the usual ones.
func (l *Link) Dial(ctx context.Context, local, remote netip.AddrPort, options []byte) (*Conn, error) {
	c := newConn(l, ends{local, remote})
	if options != nil {
		c.SynOptions = options
	}
	l.mu.Lock()
	l.conns[c.ends] = c
	l.mu.Unlock()
	c.mu.Lock()
	c.say(SYN, c.SynOptions, nil)
	c.mu.Unlock()
	if err := c.wait(ctx, "the connection", func() bool { return c.open }); err != nil {
		return nil, err
	}
	return c, nil
}

// Accept waits for a connection.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("accept a connection: %w", ctx.Err())
	}
}

// Send sends one segment with the next bytes and with options.
func (c *Conn) Send(payload, options []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.say(PSH|ACK, options, payload)
	return c.err
}

// SendAhead sends bytes that lie that far behind the next ones. They will have to
// be sent again in their turn.
func (c *Conn) SendAhead(distance uint32, payload, options []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.next
	c.next += distance
	c.say(PSH|ACK, options, payload)
	c.next = next
	return c.err
}

// Say sends an acknowledgement, with another window.
func (c *Conn) Say(window uint16) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Window = window
	c.say(ACK, nil, nil)
	return c.err
}

// Finish says that there is no more to come.
func (c *Conn) Finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.say(FIN|ACK, nil, nil)
	return c.err
}

// Read waits for that many bytes and takes them. At the end it is
// io.ErrUnexpectedEOF that there are fewer.
func (c *Conn) Read(ctx context.Context, n int) ([]byte, error) {
	err := c.wait(ctx, fmt.Sprintf("%d bytes", n), func() bool { return len(c.data) >= n || c.finished })
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.data) < n {
		return c.data, io.ErrUnexpectedEOF
	}
	read := c.data[:n]
	c.data = c.data[n:]
	return read, nil
}

// ReadTo waits for a text and takes everything up to its end.
func (c *Conn) ReadTo(ctx context.Context, text string) ([]byte, error) {
	found := func() bool { return bytes.Contains(c.data, []byte(text)) }
	err := c.wait(ctx, fmt.Sprintf("%q", text), func() bool { return found() || c.finished })
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !found() {
		return c.data, io.ErrUnexpectedEOF
	}
	n := bytes.Index(c.data, []byte(text)) + len(text)
	read := c.data[:n]
	c.data = c.data[n:]
	return read, nil
}

// Acknowledged waits until the other side has acknowledged everything.
func (c *Conn) Acknowledged(ctx context.Context) error {
	return c.wait(ctx, "an acknowledgement", func() bool { return c.acked == c.next })
}

// Finished waits until the other side has said that there is no more to come.
func (c *Conn) Finished(ctx context.Context) error {
	return c.wait(ctx, "the end", func() bool { return c.finished })
}

// Segments are those that have arrived so far, those sent again included.
func (c *Conn) Segments() []Segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.segments)
}

// wait waits until something holds.
func (c *Conn) wait(ctx context.Context, what string, holds func() bool) error {
	for {
		c.mu.Lock()
		done, changed, err := holds(), c.changed, c.err
		c.mu.Unlock()
		if done {
			return nil
		}
		if err == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return fmt.Errorf("wait for %s on %v: %w", what, c.ends.local, err)
	}
}

// say sends a segment and moves on. The caller holds the lock.
func (c *Conn) say(flags uint8, options, payload []byte) {
	s := Segment{Seq: c.next, Flags: flags, Window: c.Window, Options: options, Payload: payload}
	if flags&ACK != 0 {
		s.Ack = c.expected
	}
	c.next += uint32(len(payload))
	if flags&(SYN|FIN) != 0 {
		c.next++
	}
	c.err = errors.Join(c.err, c.link.send(c.ends, s))
}

// receive takes what has come.
func (c *Conn) receive(s Segment) {
	if c.Drop != nil && c.Drop(s) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		close(c.changed)
		c.changed = make(chan struct{})
	}()
	c.segments = append(c.segments, s)
	switch {
	case s.Flags&RST != 0:
		c.err = errors.Join(c.err, errors.New("the other side has reset the connection"))
		return
	case s.Flags&SYN != 0 && !c.open:
		c.expected = s.Seq + 1
		c.open = true
		if s.Flags&ACK != 0 {
			c.acked = s.Ack
			c.say(ACK, nil, nil)
		} else {
			c.say(SYN|ACK, c.SynOptions, nil)
		}
		return
	}
	if s.Flags&ACK != 0 {
		c.acked = s.Ack
	}
	if len(s.Payload) == 0 && s.Flags&FIN == 0 {
		return
	}
	if s.Seq == c.expected && len(s.Payload) <= int(c.Window) {
		c.data = append(c.data, s.Payload...)
		c.expected += uint32(len(s.Payload))
		if s.Flags&FIN != 0 {
			c.expected++
			c.finished = true
		}
	}
	c.say(ACK, nil, nil)
}
