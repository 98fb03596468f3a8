package protocol

// wire is a protocol whose connections are followed frame by frame.
type wire struct {
	name string // short, as Exchange.Protocol
	// detect says whether a turn in direction d may begin with data, the first
	// bytes of a segment of that size. It is asked for connections at their
	// begin and in their midst, and about bytes of every other protocol too, so
	// it looks at all that there is to look at.
	detect func(d direction, data []byte, size uint64) bool
	// open begins to follow a connection.
	open func(l *link) session
	// numbered says that answers name their requests, so that they may come in
	// any order and some go by unseen.
	numbered bool
}

// session follows one connection of one protocol.
//
// It is made when bytes of its protocol were seen, perhaps long after the
// connection began, and works for one goroutine. It goes without being told:
// with the connection, or when its bytes stop making sense. So it holds nothing
// but memory, and little of that, bounded. Requests that wait for their answers
// are kept by the link: a session calls ask, then finish, and says what they are.
type session interface {
	// measure returns the size of the frame that data begins with, 0 if that
	// needs more bytes to be told (up to maxFrame are gathered), and less than 0
	// if no frame begins so.
	measure(d direction, data []byte) int64
	// take receives the frames of a direction one after the other. It returns
	// false when they make no sense.
	take(d direction, f *frame) bool
	// resume looks for a place in data where a frame begins for certain, when
	// bytes before it were not seen. It returns less than 0 if there is none.
	// The requests that wait are those asked before the gap.
	resume(d direction, data []byte) int
}

// wires is the table of these protocols: one line each, asked in this order,
// those with the more telling bytes first.
var wires = []wire{
	{"amqp", detectAMQP, openAMQP, true},
	{"mongodb", detectMongo, openMongo, true},
	{"kafka", detectKafka, openKafka, true},
	{"nats", detectNATS, openNATS, true},
	{"redis", detectRedis, openRedis, false},
	{"memcached", detectMemcached, openMemcached, false},
	{"postgresql", detectPostgres, openPostgres, false},
	{"mysql", detectMySQL, openMySQL, false},
	{"dns", detectDNS, openDNS, true},
}

// datagrams is the table of those that are spoken in datagrams: each is a frame,
// measure and resume are not asked.
var datagrams = []wire{
	{"dns", detectDatagramDNS, openDatagramDNS, true},
}
