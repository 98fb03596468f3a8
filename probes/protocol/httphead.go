package protocol

import "bytes"

// Header fields that the description of an exchange needs.
const (
	fieldHost = iota
	fieldUserAgent
	fieldTraceparent
	fieldTracestate
	fieldContentLength
	fieldTransferEncoding
	fieldForwarded
	fieldForwardedFor
	fieldForwardedHost
	fieldForwardedProto
	numFields
)

// fieldNames is indexed by the constants above.
var fieldNames = [numFields]string{
	"host", "user-agent", "traceparent", "tracestate", "content-length", "transfer-encoding",
	"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
}

// field is a header field: its first value, and how often the name came up.
type field struct {
	value []byte
	count int
}

// httpHead is the head of one HTTP/1.x message. All slices lie in the bytes
// that were parsed.
type httpHead struct {
	method, target []byte // of requests
	status         int    // of responses
	minor          byte   // '0' or '1'; 0 when the start line is cut before it
	size           int    // bytes up to and with the empty line; 0 when that was not seen
	fields         [numFields]field
	lines          []byte // everything after the start line, for other fields and repeated ones
}

// parseRequest reads the head of a request, as far as data goes. It takes what
// real servers take (empty lines before it, line feeds alone, blanks inside the
// target) and returns false for anything that is not an HTTP/1.x request.
func (h *httpHead) parseRequest(data []byte) bool {
	*h = httpHead{}
	rest, ok := h.parseRequestLine(data)
	if !ok {
		return false
	}
	h.parseFields(rest)
	if h.size > 0 {
		h.size += len(data) - len(rest)
	}
	return true
}

// parseRequestLine reads the first line and returns what follows it. Of a line
// that is cut, the method must be a known one.
func (h *httpHead) parseRequestLine(data []byte) (rest []byte, ok bool) {
	line, rest, whole := cutLine(trimLines(data)) // RFC 9112 section 2.2
	method, target, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(method) > maxMethod || !isToken(method) {
		return nil, false
	}
	if whole {
		i := bytes.LastIndexByte(target, ' ')
		if i < 0 || !h.parseVersion(target[i+1:]) {
			return nil, false
		}
		target = target[:i]
	} else if !knownMethod(method) {
		return nil, false
	} else if i := bytes.LastIndexByte(target, ' '); i > 0 && bytes.HasPrefix([]byte("HTTP/1.1\r"), target[i+1:]) {
		target = target[:i] // cut inside the version
	}
	h.method, h.target = method, trimBlanks(target)
	return rest, (len(h.target) > 0 || !whole) && !hasControl(h.target)
}

// parseResponse reads the head of a response, as far as data goes.
func (h *httpHead) parseResponse(data []byte) bool {
	if !h.parseStatusLine(data) {
		return false
	}
	before := len(data) - len(h.lines)
	h.parseFields(h.lines)
	if h.size > 0 {
		h.size += before
	}
	return true
}

// parseStatusLine reads the first line of a response, and leaves what follows in
// lines.
func (h *httpHead) parseStatusLine(data []byte) bool {
	*h = httpHead{}
	line, rest, _ := cutLine(data)
	version, status, ok := bytes.Cut(line, []byte{' '})
	if !ok || !h.parseVersion(version) || len(status) < 3 || len(status) > 3 && status[3] != ' ' {
		return false
	}
	for _, c := range status[:3] {
		if !isDigit(c) {
			return false
		}
		h.status = h.status*10 + int(c-'0')
	}
	h.lines = rest
	return h.status >= 100
}

func (h *httpHead) parseVersion(b []byte) bool {
	const prefix = "HTTP/1."
	if len(b) != len(prefix)+1 || string(b[:len(prefix)]) != prefix || b[len(prefix)]&^1 != '0' {
		return false
	}
	h.minor = b[len(prefix)]
	return true
}

// parseFields reads header fields up to the empty line, which sets size, or the
// end of data. A last line without its end is left alone: half a value is a
// wrong value.
func (h *httpHead) parseFields(data []byte) {
	h.lines = data
	for rest := fieldLines(data); ; {
		name, value, ok := rest.next()
		if !ok {
			if line, after, whole := cutLine(rest); whole && len(line) == 0 {
				h.size = len(data) - len(after)
			}
			return
		}
		if i := fieldIndex(name); i >= 0 {
			if h.fields[i].count == 0 {
				h.fields[i].value = value
			}
			h.fields[i].count++
		}
	}
}

// fieldLines is a walk over header fields: those that are still to come, and
// whatever stands after them.
type fieldLines []byte

// next takes one header field off. It returns false, and takes nothing, at the
// empty line and where the bytes end. A folded field (RFC 9112 section 5.2)
// comes as one value, the line break inside it; a line that is no field as an
// empty name.
func (l *fieldLines) next() (name, value []byte, ok bool) {
	data := []byte(*l)
	line, rest, whole := cutLine(data)
	if !whole || len(line) == 0 {
		return nil, nil, false
	}
	for {
		if len(rest) == 0 {
			return nil, nil, false // it may be folded, who knows
		}
		if rest[0] != ' ' && rest[0] != '\t' {
			break
		}
		_, after, whole := cutLine(rest)
		if !whole {
			return nil, nil, false
		}
		rest = after
		line = bytes.TrimRight(data[:len(data)-len(rest)], "\r\n") // breaks inside stay
	}
	*l = rest
	name, value, ok = bytes.Cut(line, []byte{':'})
	if !ok || !isToken(name) {
		return nil, nil, true
	}
	return name, trimBlanks(value), true
}

// cutLine splits data after its first line feed; line is without the line end.
// Without a line feed whole is false and line is all of data.
func cutLine(data []byte) (line, rest []byte, whole bool) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return data, nil, false
	}
	line = data[:i]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, data[i+1:], true
}

// trimBlanks removes optional white space (RFC 9110 section 5.6.3). bytes.Trim
// does it too, at several times the cost.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for n := len(b); n > 0 && (b[n-1] == ' ' || b[n-1] == '\t'); n-- {
		b = b[:n-1]
	}
	return b
}

func fieldIndex(name []byte) int {
	for i := range fieldNames {
		if len(name) == len(fieldNames[i]) && equalFold(name, fieldNames[i]) {
			return i
		}
	}
	return -1
}

// equalFold compares a header name with a lower-case one.
func equalFold(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// maxMethod bounds a method: the longest registered one has 17 letters.
const maxMethod = 32

// methods are those that OpenTelemetry takes as known; order by how common.
var methods = [...]string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"}

func knownMethod(method []byte) bool {
	for _, m := range methods {
		if string(method) == m {
			return true
		}
	}
	return false
}

// isToken follows RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(b) > 0
}

var tokenBytes = func() (table [256]bool) {
	const marks = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []byte(marks) {
		table[c] = true
	}
	return table
}()

// hasControl reports bytes that belong in no target and no field value.
func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// bodySize returns the length of the body that follows a request head, of which
// body are the bytes at hand. It is false when they do not tell.
func (h *httpHead) bodySize(body []byte) (uint64, bool) {
	length := h.fields[fieldContentLength]
	if coding := h.fields[fieldTransferEncoding]; coding.count > 0 {
		n := len(coding.value) - len("chunked")
		if coding.count > 1 || length.count > 0 || n < 0 || !equalFold(coding.value[n:], "chunked") {
			return 0, false
		}
		return chunkedSize(body)
	}
	switch length.count {
	case 0:
		return 0, true
	case 1:
		return parseUint(length.value, 10)
	}
	return 0, false
}

// chunkedSize walks a chunked body (RFC 9112 section 7.1) to its end.
func chunkedSize(body []byte) (uint64, bool) {
	rest := body
	for {
		line, after, whole := cutLine(rest)
		digits, _, _ := bytes.Cut(line, []byte{';'})
		n, ok := parseUint(bytes.TrimRight(digits, " \t"), 16)
		if !whole || !ok {
			return 0, false
		}
		if n == 0 {
			rest = after
			break
		}
		if n >= uint64(len(after)) {
			return 0, false
		}
		line, rest, whole = cutLine(after[n:])
		if !whole || len(line) > 0 {
			return 0, false
		}
	}
	for { // trailers, and the empty line that ends them
		line, after, whole := cutLine(rest)
		if !whole {
			return 0, false
		}
		rest = after
		if len(line) == 0 {
			return uint64(len(body) - len(rest)), true
		}
	}
}

// parseUint takes digits only, and no more than surely fit.
func parseUint(b []byte, base uint64) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, c := range b {
		digit := uint64(99)
		switch {
		case c >= '0' && c <= '9':
			digit = uint64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = uint64(c|0x20-'a') + 10
		}
		if digit >= base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, true
}
