package traceparent

import "bytes"

const (
	// maxStateSize is what every participant should be able to pass on (W3C
	// Trace Context Level 2, section 3.3.1.5). Longer ones are dropped whole:
	// choosing members to keep is for those who add one.
	maxStateSize = 512
	// maxStateMembers is the most a list may hold (section 3.3.1.1).
	maxStateMembers = 32
	// maxStateKey and maxStateValue bound one member (sections 3.3.1.3.1, .2).
	maxStateKey, maxStateValue = 256, 256
)

// ValidState reports whether value, the tracestate headers of a request joined
// by commas, may be kept. It is kept as it is, members, order and spaces, or
// dropped whole: one bad or repeated member spoils the list. The empty value is
// not worth keeping.
func ValidState(value []byte) bool {
	if len(value) == 0 || len(value) > maxStateSize {
		return false
	}
	var keys [maxStateMembers][]byte
	n := 0
	for more := true; more; {
		var member []byte
		member, value, more = bytes.Cut(value, []byte{','})
		member = trimSpace(member)
		if len(member) == 0 {
			continue // empty members are allowed, and count for nothing
		}
		key, ok := memberKey(member)
		if !ok || n == len(keys) {
			return false
		}
		for _, seen := range keys[:n] {
			if bytes.Equal(seen, key) {
				return false
			}
		}
		keys[n] = key
		n++
	}
	return n > 0
}

// memberKey returns the key of a list member, or false when the member breaks
// the grammar of Level 2 (which lets a key begin with a digit and hold "@").
func memberKey(member []byte) ([]byte, bool) {
	key, value, ok := bytes.Cut(member, []byte{'='})
	if !ok || len(key) == 0 || len(key) > maxStateKey || len(value) == 0 || len(value) > maxStateValue {
		return nil, false
	}
	for i, c := range key {
		lower := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !lower && (i == 0 || bytes.IndexByte([]byte("_-*/@"), c) < 0) {
			return nil, false
		}
	}
	for _, c := range value {
		if c < ' ' || c > '~' || c == '=' {
			return nil, false
		}
	}
	return key, true // trimSpace saw to it that the value ends in no space
}

// trimSpace removes optional white space.
func trimSpace(b []byte) []byte { return bytes.Trim(b, " \t") }
