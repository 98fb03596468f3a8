// Package segments speaks TCP by hand, one segment at a time, with a kernel that
// speaks it as ever. So a test decides what stands in each segment: options that
// no kernel would send, bytes out of order, a window of nothing. Its hosts have
// addresses of their own, behind a TUN device in the network namespace of a host
// of the rig, and there is nothing between the two that loses, so that it needs
// no retransmission.
package segments

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Flags of a segment (RFC 9293, section 3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Lengths of headers without options, in bytes, and the number of TCP (RFC 791).
const (
	ipHeader  = 20
	tcpHeader = 20
	tcp       = 6
)

// errOther is for packets that are none of IPv4 and TCP: a kernel sends some by
// itself.
var errOther = errors.New("no TCP")

// Segment is a TCP segment.
type Segment struct {
	Seq, Ack uint32
	Flags    uint8
	Window   uint16
	Options  []byte // a multiple of four when sent
	Payload  []byte
}

// Option finds an option by its kind and the bytes that its content begins with.
// The second value says whether it is there.
func (s Segment) Option(kind byte, begin ...byte) ([]byte, bool) {
	for rest := s.Options; len(rest) > 0 && rest[0] != 0; {
		if rest[0] == 1 { // no operation
			rest = rest[1:]
			continue
		}
		if len(rest) < 2 || rest[1] < 2 || int(rest[1]) > len(rest) {
			return nil, false
		}
		content := rest[2:rest[1]]
		if rest[0] == kind && len(content) >= len(begin) && string(content[:len(begin)]) == string(begin) {
			return content, true
		}
		rest = rest[rest[1]:]
	}
	return nil, false
}

// packet is the segment in an IPv4 packet to the remote end.
func (s Segment) packet(e ends) []byte {
	header := tcpHeader + len(s.Options)
	b := make([]byte, ipHeader, ipHeader+header+len(s.Payload))
	b[0] = 4<<4 | ipHeader/4
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	b[8], b[9] = 64, tcp
	copy(b[12:], e.local.Addr().AsSlice())
	copy(b[16:], e.remote.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[10:], ^sum(0, b))

	t := make([]byte, tcpHeader, header+len(s.Payload))
	binary.BigEndian.PutUint16(t, e.local.Port())
	binary.BigEndian.PutUint16(t[2:], e.remote.Port())
	binary.BigEndian.PutUint32(t[4:], s.Seq)
	binary.BigEndian.PutUint32(t[8:], s.Ack)
	t[12] = byte(header / 4 << 4)
	t[13] = s.Flags
	binary.BigEndian.PutUint16(t[14:], s.Window)
	t = append(append(t, s.Options...), s.Payload...)
	binary.BigEndian.PutUint16(t[16:], ^sum(pseudo(b, len(t)), t))
	return append(b, t...)
}

// parse reads a segment and between which ends it came.
func parse(b []byte) (ends, Segment, error) {
	if len(b) < ipHeader || b[0]>>4 != 4 || b[9] != tcp {
		return ends{}, Segment{}, errOther
	}
	length, begin := int(binary.BigEndian.Uint16(b[2:])), int(b[0]&15)*4
	if begin < ipHeader || length > len(b) || length < begin+tcpHeader {
		return ends{}, Segment{}, fmt.Errorf("read an IPv4 packet of %d bytes: its lengths are %d and %d", len(b), begin, length)
	}
	t := b[begin:length]
	header := int(t[12]>>4) * 4
	switch {
	case sum(0, b[:begin]) != 0xffff || sum(pseudo(b, len(t)), t) != 0xffff:
		return ends{}, Segment{}, errors.New("read a segment: the checksum is wrong")
	case header < tcpHeader || header > len(t):
		return ends{}, Segment{}, fmt.Errorf("read a segment of %d bytes: its header has %d", len(t), header)
	}
	return ends{
			local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(t[2:])),
			remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(t)),
		}, Segment{
			Seq: binary.BigEndian.Uint32(t[4:]), Ack: binary.BigEndian.Uint32(t[8:]),
			Flags: t[13], Window: binary.BigEndian.Uint16(t[14:]),
			Options: t[tcpHeader:header], Payload: t[header:],
		}, nil
}

// pseudo is the sum of the pseudo-header of TCP in the IPv4 packet (RFC 9293,
// section 3.1).
func pseudo(packet []byte, length int) uint16 {
	return sum(sum(tcp, packet[12:20]), []byte{byte(length >> 8), byte(length)})
}

// sum adds bytes to a checksum (RFC 1071).
func sum(start uint16, b []byte) uint16 {
	total := uint32(start)
	for i, octet := range b {
		total += uint32(octet) << (8 * (1 - i%2))
	}
	for total > 0xffff {
		total = total&0xffff + total>>16
	}
	return uint16(total)
}
