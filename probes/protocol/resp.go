package protocol

import "bytes"

// RESP, the Redis serialization protocol, versions 2 and 3: values nest, so a
// frame here is a token, the smallest thing that has a size of its own: a line,
// or a bulk string with its bytes. What begins with a line such as "*3" is not
// over before the tokens that it announces are.

const (
	// maxRESPHeader is the longest line that announces a size: its type, 18
	// digits, and its end.
	maxRESPHeader = 21
	// maxRESPNest bounds what is open at once. Replies of scripts nest deepest,
	// and no client reads as deep.
	maxRESPNest = 64

	respNull     = -1 // "$-1", "*-1"
	respStreamed = -2 // "$?", "*?"
)

// respHeader reads a line such as "$5": the number in it, and how long the line
// is. That is 0 if more bytes are needed, less than 0 if it is none.
func respHeader(data []byte) (n int64, size int) {
	seen := data[:min(len(data), maxRESPHeader)]
	end := bytes.IndexByte(seen, '\n')
	digits := seen[1:]
	if end >= 0 {
		if end < 3 || seen[end-1] != '\r' {
			return 0, -1
		}
		digits = seen[1 : end-1]
	} else {
		digits = bytes.TrimSuffix(digits, []byte{'\r'})
	}
	switch {
	case string(digits) == "?":
		n = respStreamed
	case string(digits) == "-1", string(digits) == "-" && end < 0:
		n = respNull
	default:
		for _, c := range digits {
			if c < '0' || c > '9' {
				return 0, -1
			}
			n = n*10 + int64(c-'0')
		}
	}
	switch {
	case end >= 0:
		return n, end + 1
	case len(seen) == maxRESPHeader:
		return 0, -1
	}
	return 0, 0
}

// respBulk returns the size of a bulk string with its header, 0 if more bytes
// are needed, and less than 0 if it is none.
func respBulk(data []byte) int64 {
	n, header := respHeader(data)
	if header <= 0 || n < 0 {
		return int64(header) // null has no bytes
	}
	size := int64(header) + n + 2
	if int64(len(data)) >= size && (data[size-2] != '\r' || data[size-1] != '\n') {
		return -1
	}
	return size
}

// respContent returns what of a bulk string's bytes is in data.
func respContent(data []byte) []byte {
	n, header := respHeader(data)
	if header <= 0 || n <= 0 {
		return nil
	}
	return data[header:min(int64(len(data)), int64(header)+n)]
}

// respLine returns the size of a line, 0 if its end is not in data.
func respLine(data []byte) int64 {
	end := bytes.IndexByte(data, '\n')
	if end >= 0 && (end < 2 || data[end-1] != '\r') {
		return -1
	}
	return int64(end + 1)
}

// respToken returns the size of the token of an answer that data begins with, 0
// if more bytes are needed, and less than 0 if it is none.
func respToken(data []byte) int64 {
	switch data[0] {
	case '+', ',', '(', '-':
		return respLine(data)
	case ':':
		if len(data) > 1 && data[1] != '-' && data[1] != '+' && (data[1] < '0' || data[1] > '9') {
			return -1
		}
		return respLine(data)
	case '_', '.': // nothing, and the end of what was announced without a size
		return respFixed(data, 3)
	case '#':
		if len(data) > 1 && data[1] != 't' && data[1] != 'f' {
			return -1
		}
		return respFixed(data, 4)
	case '*', '%', '~', '>', '|':
		_, header := respHeader(data)
		return int64(header)
	case '$', '!', '=':
		return respBulk(data)
	case ';': // a part of a string; the empty one is the last
		if n, header := respHeader(data); header > 0 && n == 0 {
			return int64(header)
		}
		return respBulk(data)
	}
	return -1
}

func respFixed(data []byte, size int) int64 {
	if len(data) < size {
		return 0
	}
	if data[size-2] != '\r' || data[size-1] != '\n' {
		return -1
	}
	return int64(size)
}

// respNest is what is open in an answer: a stack of what its tokens announced.
type respNest struct {
	open       []respLevel
	attributes int // how many of them are attributes: said beside the answer
}

type respLevel struct {
	left      int64 // tokens to come at this level; less than 0: until its end is said
	attribute bool
}

func (r *respNest) reset() { r.open, r.attributes = r.open[:0], 0 }

// add takes the next token. It returns whether that completes an answer, and
// false when the token can't stand here.
func (r *respNest) add(data []byte) (whole, ok bool) {
	kind, n := data[0], int64(0)
	switch kind {
	case '*', '%', '~', '>', '|', '$', ';':
		n, _ = respHeader(data)
	}
	in := len(r.open)
	inStream := in > 0 && r.open[in-1].left < 0
	switch kind {
	case ';':
		if !inStream {
			return false, false
		}
		if n > 0 {
			return false, true
		}
		r.open = r.open[:in-1]
	case '.':
		if !inStream {
			return false, false
		}
		if r.pop() {
			return false, true
		}
	case '$':
		if n == respStreamed {
			return false, r.push(respLevel{left: respStreamed})
		}
	case '%', '|':
		if n > 0 {
			n *= 2 // pairs
		}
		fallthrough
	case '*', '~', '>':
		if n > 0 || n < respNull {
			return false, r.push(respLevel{left: n, attribute: kind == '|'})
		}
		if kind == '|' {
			return false, true // it says nothing, and is nothing
		}
	}
	return r.done(), true
}

func (r *respNest) push(v respLevel) bool {
	if len(r.open) == maxRESPNest {
		return false
	}
	if v.attribute {
		r.attributes++
	}
	r.open = append(r.open, v)
	return true
}

// pop closes the innermost level; it returns whether that was an attribute.
func (r *respNest) pop() bool {
	last := len(r.open) - 1
	v := r.open[last]
	r.open = r.open[:last]
	if v.attribute {
		r.attributes--
	}
	return v.attribute
}

// done closes the levels that are complete now that one more value is; it returns
// whether that was the outermost.
func (r *respNest) done() bool {
	for len(r.open) > 0 {
		top := &r.open[len(r.open)-1]
		if top.left < 0 {
			return false
		}
		if top.left--; top.left > 0 {
			return false
		}
		if r.pop() {
			return false
		}
	}
	return true
}
