package protocol

import "encoding/binary"

// AMQP 0-9-1, as RabbitMQ speaks it. Its frames belong to channels, each of which
// goes its own way: here it has its own state, of which publishes, deliveries and
// their likes consist of a method, a header and a body.
//
// A publish ends when the server confirms it, on channels on which that was asked
// for while we looked on, else with its own last byte. A delivery is a span of the
// consumer from its first byte to its last; what is done with it afterwards is not
// on the wire but for its end: ack, nack and reject are spans that settle. What
// sets things up (declare, bind, consume, ...) becomes a span only if it failed.

const (
	amqpFrameMethod    = 1
	amqpFrameHeader    = 2
	amqpFrameBody      = 3
	amqpFrameHeartbeat = 8

	amqpFrameStart = 7 // type, channel, size
	amqpFrameEnd   = 0xce
	// maxAMQPFrame bounds the size of a frame; RabbitMQ's default is 128 KiB.
	maxAMQPFrame = 1 << 29
	// maxAMQPMethod bounds that of a method: its longest part is a table that
	// describes the client, or arguments of a queue.
	maxAMQPMethod = 1 << 17

	// maxAMQPChannels is what RabbitMQ allows unless told otherwise, and one.
	maxAMQPChannels = 2048
	// maxAMQPConsumers and maxUnsettled bound what is remembered of a channel.
	maxAMQPConsumers = 256
	maxUnsettled     = 256
	// maxUnconfirmed is how many requests may wait on a connection before the
	// oldest publish is ended without its confirmation. It is less than maxDepth.
	maxUnconfirmed = 200
)

const amqpGreeting = "AMQP\x00\x00\x09\x01"

func detectAMQP(d direction, data []byte, size uint64) bool {
	if d == toServer && string(data) == amqpGreeting {
		return size == uint64(len(amqpGreeting))
	}
	return amqpBegins(d, data)
}

// amqpBegins says whether data begins with a whole heartbeat or method frame of
// that direction, and nothing contradicts it.
func amqpBegins(d direction, data []byte) bool {
	n := measureAMQP(data)
	if n <= 0 || n > int64(len(data)) || data[n-1] != amqpFrameEnd {
		return false
	}
	channel := binary.BigEndian.Uint16(data[1:])
	switch data[0] {
	case amqpFrameHeartbeat:
		return channel == 0
	case amqpFrameMethod:
		method := amqpMethod(binary.BigEndian.Uint32(data[amqpFrameStart:]))
		kind, known := amqpKinds[method]
		return known && kind.by&(1<<d) != 0 && (method>>16 == 10) == (channel == 0)
	}
	return false
}

func measureAMQP(data []byte) int64 {
	if len(data) < amqpFrameStart {
		return 0
	}
	if data[0] == amqpGreeting[0] {
		return int64(len(amqpGreeting))
	}
	size := binary.BigEndian.Uint32(data[3:])
	most := uint32(maxAMQPFrame)
	switch data[0] {
	case amqpFrameMethod:
		if size < 4 {
			return -1
		}
		most = maxAMQPMethod
	case amqpFrameHeader:
		if size < 14 {
			return -1
		}
	case amqpFrameBody:
	case amqpFrameHeartbeat:
		most = 0
	default:
		return -1
	}
	if size > most {
		return -1
	}
	return amqpFrameStart + int64(size) + 1
}

// amqp follows a connection.
type amqp struct {
	link     *link
	channels map[uint16]*amqpChannel
	losses   [2]uint32 // of the link, as of the latest frame
}

func openAMQP(l *link) session {
	return &amqp{link: l, channels: make(map[uint16]*amqpChannel), losses: l.losses}
}

// amqpChannel is what is known of one channel.
type amqpChannel struct {
	content   [2]amqpContent    // that is on its way, in each direction
	queue     string            // that was declared last
	consumers map[string]string // tag -> queue
	// published counts messages since confirms were asked for; -1: they were
	// not, or it is not known.
	published int64
	unsettled []amqpDelivery // oldest first
	// forgot says that there are deliveries to settle which unsettled lacks.
	forgot bool
	// closed is why the server closed the channel: whatever a client sends
	// before it has heard of that goes nowhere.
	closed *amqpReply
}

// amqpReply is what a server says when it closes.
type amqpReply struct{ code, text string }

func (r *amqpReply) fail(q *query) {
	if r != nil {
		q.fail(r.code, r.text)
	}
}

// amqpDelivery is a message that the client is to settle.
type amqpDelivery struct {
	tag   uint64
	route amqpRoute
}

func (s *amqp) measure(d direction, data []byte) int64 {
	n := measureAMQP(data)
	if n > 0 && d == toClient && data[0] == amqpFrameBody {
		return s.channel(binary.BigEndian.Uint16(data[1:])).content[d].rest(n)
	}
	return n
}

// resume looks for a method or heartbeat frame behind the end of another frame.
func (s *amqp) resume(d direction, data []byte) int {
	for i := range data {
		if (i == 0 || data[i-1] == amqpFrameEnd) && amqpBegins(d, data[i:]) {
			return i
		}
	}
	return -1
}

func (s *amqp) take(d direction, f *frame) bool {
	if s.losses != s.link.losses {
		s.lost()
	}
	if f.data[0] == amqpGreeting[0] {
		return string(f.data[:5]) == amqpGreeting[:5]
	}
	if !f.cut() && f.data[len(f.data)-1] != amqpFrameEnd {
		return false
	}
	if len(f.data) < amqpFrameStart {
		return true
	}
	number := binary.BigEndian.Uint16(f.data[1:])
	payload := amqpReader(f.data[amqpFrameStart:])
	switch f.data[0] {
	case amqpFrameMethod:
		return s.method(d, f, number, payload)
	case amqpFrameHeader:
		s.channel(number).content[d].header(s, f, payload)
	case amqpFrameBody:
		s.channel(number).content[d].body(s, f)
	}
	return true
}

// lost follows a gap: of what waits it is not known whether it was answered, and
// after one in what a client sent, neither what its channels are.
func (s *amqp) lost() {
	l := s.link
	for q := l.first; q != nil; {
		next := q.next
		if p, _ := q.note.(*amqpPublished); p != nil && !p.end.IsZero() {
			l.finishAt(q, p.end)
		} else {
			l.drop(q, endUnseen)
		}
		q = next
	}
	if s.losses[toServer] != l.losses[toServer] {
		clear(s.channels)
	}
	for _, c := range s.channels {
		c.content = [2]amqpContent{}
		c.unsettled, c.forgot = nil, true
	}
	s.losses = l.losses
}

// channel returns the state of a channel, which may have been opened unseen.
func (s *amqp) channel(number uint16) *amqpChannel {
	c := s.channels[number]
	if c == nil {
		for other := range s.channels {
			if len(s.channels) < maxAMQPChannels {
				break
			}
			delete(s.channels, other)
		}
		c = &amqpChannel{published: -1, forgot: true}
		s.channels[number] = c
	}
	return c
}

// amqpID is the id of requests: of all of one method on a channel the same, as
// they are answered in order.
func amqpID(channel uint16, m amqpMethod) uint64 { return uint64(channel)<<32 | uint64(m) }

func (s *amqp) method(d direction, f *frame, number uint16, r amqpReader) bool {
	if len(r) < 4 {
		return true
	}
	m := amqpMethod(r.number(4))
	kind, known := amqpKinds[m]
	if !known || kind.by&(1<<d) == 0 {
		return false
	}
	c := s.channel(number)
	c.content[d].abandon(s.link)
	switch {
	case d == toClient:
		s.told(f, number, c, m, r)
	case m == amqpPublish:
		s.publish(f, number, c, &kind, r)
	case m == amqpAck || m == amqpNack || m == amqpReject:
		s.settle(f, c, m, r)
	case m == amqpChannelCloseOK:
		s.close(number)
	case kind.asks:
		s.ask(f, number, c, m, &kind, r)
	}
	return true
}
