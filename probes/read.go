package probes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/clewtrace/clew/probes/protocol"
)

// ringTick is how long a record may wait in the ring. Waking up for each would
// cost the traced programs 0.6 to 0.9 µs a record; fifty looks a second cost the
// agent 0.1 % of a core.
const ringTick = 20 * time.Millisecond

// read hands over records until ctx ends. Then it detaches, so that no more come,
// and hands over those still in the ring.
func (p *Probes) read(ctx context.Context, out *Sinks) error {
	var record ringbuf.Record
	detached := false
	p.ring.SetDeadline(time.Now().Add(ringTick))
	for {
		err := p.ring.ReadInto(&record)
		switch {
		case err == nil:
			p.dispatch(record.RawSample, out)
			continue
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("read ring buffer: %w", err)
		case detached:
			return nil
		case ctx.Err() != nil:
			p.detach()
			detached = true
		}
		p.ring.SetDeadline(time.Now().Add(ringTick))
	}
}

func (p *Probes) dispatch(raw []byte, out *Sinks) {
	if len(raw) >= int(unsafe.Sizeof(socketSettle{})) { // the smallest record
		switch kind := socketEventKind(*(*uint32)(unsafe.Pointer(&raw[0]))); kind {
		case socketEventKindEVENT_SETTLE, socketEventKindEVENT_LEAVE:
			p.settle(kind, (*socketSettle)(unsafe.Pointer(&raw[0])))
			return
		case socketEventKindEVENT_EXEC:
			p.lifecycle(Exec, raw)
			return
		case socketEventKindEVENT_FORK:
			p.lifecycle(Fork, raw)
			return
		case socketEventKindEVENT_EXIT:
			p.lifecycle(Exit, raw)
			return
		case socketEventKindEVENT_ASK, socketEventKindEVENT_ANSWER:
			if m := &out.segment; p.segment(raw, m) {
				out.Segment(m)
				return
			}
		default:
			if m := &out.message; p.message(raw, m) {
				out.Message(m)
				return
			}
		}
	}
	p.malformed.Add(1)
}

// parts of a conversation by kind of record.
func partOf(kind socketEventKind) protocol.Part {
	switch kind {
	case socketEventKindEVENT_REQUEST:
		return protocol.PartRequest
	case socketEventKindEVENT_RESPONSE:
		return protocol.PartResponse
	case socketEventKindEVENT_END:
		return protocol.PartEnd
	case socketEventKindEVENT_CLOSE:
		return protocol.PartClose
	}
	return 0
}

// message decodes a record in place; the head still belongs to raw. The numbers
// of roles and evidence are the same on both sides: a test compares them.
func (p *Probes) message(raw []byte, m *protocol.Message) bool {
	size := int(unsafe.Sizeof(socketMessage{}))
	if len(raw) < size {
		return false
	}
	r := (*socketMessage)(unsafe.Pointer(&raw[0]))
	part := partOf(r.Kind)
	if part == 0 || len(raw) < size+int(r.HeadLen) {
		return false
	}
	*m = protocol.Message{
		Connection: r.Connection,
		PID:        r.Tgid,
		TID:        r.Tid,
		Part:       part,
		Role:       protocol.Role(r.Role),
		First:      p.clock.wall(r.FirstNs),
		Last:       p.clock.wall(r.LastNs),
		Bytes:      r.Bytes,
		Complete:   r.Flags&socketMessageFlagsMESSAGE_COMPLETE != 0,
		Truncated:  r.Flags&socketMessageFlagsMESSAGE_TRUNCATED != 0,
		Rescued:    r.Flags&socketMessageFlagsMESSAGE_RESCUED != 0,
		Lost:       r.Lost,
		Head:       raw[size : size+int(r.HeadLen)],
	}
	if part == protocol.PartRequest {
		m.Trace, m.Endpoints = r.trace(), r.endpoints()
	}
	return true
}

// segment decodes a record in place, likewise.
func (p *Probes) segment(raw []byte, m *protocol.Segment) bool {
	size := int(unsafe.Sizeof(socketMessage{}))
	if len(raw) < size {
		return false
	}
	r := (*socketMessage)(unsafe.Pointer(&raw[0]))
	if len(raw) < size+int(r.HeadLen) || r.TailLen > r.HeadLen {
		return false
	}
	bytes := raw[size : size+int(r.HeadLen)]
	*m = protocol.Segment{
		Connection: r.Connection,
		PID:        r.Tgid,
		TID:        r.Tid,
		Role:       protocol.Role(r.Role),
		ToServer:   r.Kind == socketEventKindEVENT_ASK,
		Time:       p.clock.wall(r.FirstNs),
		Position:   r.Position,
		Size:       r.Bytes,
		Datagram:   r.Flags&socketMessageFlagsMESSAGE_DATAGRAM != 0,
		Endpoints:  r.endpoints(),
		Head:       bytes[:len(bytes)-int(r.TailLen)],
		Tail:       bytes[len(bytes)-int(r.TailLen):],
	}
	if m.ToServer {
		m.Trace = r.trace()
	}
	return uint64(len(bytes)) <= m.Size
}

func (r *socketMessage) trace() protocol.Trace {
	return protocol.Trace{
		TraceID:  r.Trace.TraceId,
		SpanID:   r.Trace.SpanId,
		ParentID: r.Trace.ParentId,
		Sampled:  r.Flags&socketMessageFlagsMESSAGE_SAMPLED != 0,
		Evidence: protocol.Evidence(r.Evidence),
	}
}

func (r *socketMessage) endpoints() (e protocol.Endpoints) {
	if e.Unix = r.Flags&socketMessageFlagsMESSAGE_UNIX != 0; !e.Unix {
		e.Local = endpoint(r.Local, r.LocalPort)
		e.Remote = endpoint(r.Remote, r.RemotePort)
	}
	return e
}

func endpoint(addr [16]byte, port uint16) netip.AddrPort {
	a := netip.AddrFrom16(addr).Unmap()
	if a.IsUnspecified() {
		return netip.AddrPort{} // a socket that sends to anybody
	}
	return netip.AddrPortFrom(a, port)
}

// lifecycle decodes a record about a process and lets the watcher deal with it.
func (p *Probes) lifecycle(h Happening, raw []byte) {
	if len(raw) < int(unsafe.Sizeof(processLifecycle{})) {
		p.malformed.Add(1)
		return
	}
	r := (*processLifecycle)(unsafe.Pointer(&raw[0]))
	p.watch.happened(Lifecycle{
		Happening: h,
		PID:       r.Tgid,
		Parent:    r.Parent,
		Time:      p.clock.wall(r.TimeNs),
		Comm:      text(r.Comm[:]),
		Filename:  text(r.Filename[:]),
	})
}

// settle does what the kernel asks for about connections of rungs 1 and 2.
func (p *Probes) settle(kind socketEventKind, r *socketSettle) {
	switch {
	case p.outward == nil || p.outward.injector == nil:
	case kind == socketEventKindEVENT_LEAVE:
		p.outward.injector.leave(r.Connection)
	default:
		p.outward.injector.ask(r.Tgid)
	}
}

// text is a C string in a fixed field.
func text(c []int8) string {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&c[0])), len(c))
	for i, v := range b {
		if v == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
