package protocol

import "github.com/clewtrace/clew/context/traceparent"

// ending says where an exchange ends, once the head of its response is there.
type ending uint8

const (
	endFramed ending = iota // with the last byte of the response, which the kernel finds
	endClose                // with the connection
	endHere                 // now: what follows is another protocol, or never ends
)

// dialect is one protocol. Its functions are pure: they read heads that may be
// cut anywhere, keep no state between calls and never panic.
type dialect struct {
	name string
	// detect says whether a request of the protocol begins with data.
	detect func(data []byte) bool
	// measure returns the size of the head of the first request in data (0: its
	// end is not in data) and that of head and body (0: data does not tell).
	measure func(data []byte) (head int, whole uint64)
	// context returns the trace context that a request head carries.
	context func(head []byte) (traceparent.Context, bool)
	// ending says where the exchange ends, and how many bytes the response that
	// data begins with takes, head and body (0: data does not tell). It returns
	// false when that is no response of this protocol.
	ending func(request, data []byte) (how ending, whole uint64, ok bool)
	// describe fills in an exchange whose identity and times are set. It
	// returns false when the heads do not parse.
	describe func(d *describer, c *call, x *Exchange) bool
}

// dialects is the table of protocols: one line each, asked in this order.
var dialects = []dialect{
	{"http", detectHTTP, measureHTTP, contextHTTP, endingHTTP, describeHTTP},
}

// dialectOf returns the protocol that a request beginning with data speaks.
func dialectOf(data []byte) *dialect {
	for i := range dialects {
		if dialects[i].detect(data) {
			return &dialects[i]
		}
	}
	return nil
}
