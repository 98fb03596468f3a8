package trial

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/clewtrace/clew/context/traceparent"
)

// request is an HTTP/1.1 request and the way it is sent.
type request struct {
	head, body []byte
	send       sending
}

// get is a request without a body. The name of the check stands in its target.
func get(check string, fields ...string) request { return newRequest("GET", check, nil, fields) }

// post is a request with a body, by one write if not said otherwise.
func post(check string, body []byte, fields ...string) request {
	return newRequest("POST", check, body, append(fields, "Content-Length: "+strconv.Itoa(len(body))))
}

func newRequest(method, check string, body []byte, fields []string) request {
	head := fmt.Appendf(nil, "%s /%s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: clew-trial\r\n", method, check)
	for _, f := range fields {
		head = append(append(head, f...), "\r\n"...)
	}
	return request{head: append(head, "\r\n"...), body: body, send: inOne}
}

// by returns the request sent in another way.
func (r request) by(s sending) request {
	r.send = s
	return r
}

// answer is a whole HTTP/1.1 answer of that many bytes.
func answer(size int) []byte {
	for length := size; ; length-- {
		head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
		if len(head)+length <= size {
			return append(head, noise(length)...)
		}
	}
}

// noise is a text of no regular pattern, the same at each call, so that bytes
// lost, doubled or swapped show.
func noise(size int) []byte {
	b, state := make([]byte, size), uint64(0x9e3779b97f4a7c15)
	for i := range b {
		state ^= state << 13 // Marsaglia's xorshift64
		state ^= state >> 7
		state ^= state << 17
		b[i] = byte(state >> 32)
	}
	return b
}

// rewriting is what may have become of a request's head on its way.
type rewriting int

const (
	untouched rewriting = iota // nothing
	rewritten                  // one traceparent more, behind the request line
	either
)

// field is the header that injection writes, without its value.
const field = "traceparent: "

// compareHead reports whether a head that arrived has the one field more. The
// error says how it differs otherwise from the one that was sent.
func compareHead(sent, got []byte) (bool, error) {
	if bytes.Equal(sent, got) {
		return false, nil
	}
	line := sent[:bytes.IndexByte(sent, '\n')+1]
	rest, ok := bytes.CutPrefix(got, line)
	if !ok {
		return false, fmt.Errorf("the request line arrives altered: %s", excerpt(got))
	}
	const size = len(field) + traceparent.Size + len("\r\n")
	if rest, ok = bytes.CutPrefix(rest, []byte(field)); !ok || len(got) < len(line)+size {
		return false, fmt.Errorf("the head arrives altered: %s", excerpt(got))
	}
	value := rest[:traceparent.Size]
	if _, ok := traceparent.Parse(value); !ok || !bytes.HasPrefix(value, []byte("00-")) {
		return false, fmt.Errorf("the traceparent written is malformed: %q", value)
	}
	rest, ok = bytes.CutPrefix(rest[traceparent.Size:], []byte("\r\n"))
	if !ok || !bytes.Equal(rest, sent[len(line):]) {
		return false, fmt.Errorf("the head arrives altered behind the traceparent: %s", excerpt(got[len(line):]))
	}
	return true, nil
}

// judge holds what became of a head against what may have.
func (w rewriting) judge(added bool) error {
	switch {
	case w == untouched && added:
		return errors.New("a traceparent is written where none may be")
	case w == rewritten && !added:
		return errors.New("a request goes without traceparent on a connection whose requests carried it before")
	}
	return nil
}

// excerpt quotes the beginning of what arrived, short enough for a log line.
func excerpt(b []byte) string {
	const limit = 120
	if len(b) > limit {
		return fmt.Sprintf("%q...", b[:limit])
	}
	return fmt.Sprintf("%q", b)
}

// compareBytes says where what arrived differs from what was sent; both have the
// same length.
func compareBytes(what string, sent, got []byte) error {
	if bytes.Equal(sent, got) {
		return nil
	}
	at := 0
	for got[at] == sent[at] {
		at++
	}
	return fmt.Errorf("%s arrives altered at byte %d of %d", what, at, len(sent))
}
