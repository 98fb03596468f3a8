// Package traceparent reads and writes W3C Trace Context (Level 2), reads B3 and
// decides sampling. It is the Go twin of bpf/include/trace.h and b3.h; both are
// held to the rows of testdata/vectors.txt.
package traceparent

// Size is the length in bytes of a version 00 traceparent value.
const Size = 55

// FlagSampled and FlagRandom are the two flags that Level 2 defines.
const (
	FlagSampled = 0x01
	FlagRandom  = 0x02
)

// Context is what a traceparent header says: the trace, the span of the caller
// and its flags. Neither id of a parsed Context is all zero.
type Context struct {
	TraceID [16]byte
	SpanID  [8]byte // the caller's span: "parent-id" in the specification
	Flags   byte
}

// Sampled reports whether the caller may have recorded its span.
func (c Context) Sampled() bool { return c.Flags&FlagSampled != 0 }

// Parse reads the value of one traceparent header, without the white space
// around it. It returns false for whatever the specification tells a receiver
// to ignore (W3C Trace Context Level 2, section 3.2): wrong length, upper-case
// or foreign digits, version ff, an id of zeros. Of a version not known yet it
// reads the first 55 bytes, if nothing or a dash follows, and only the flags
// that version 00 knows.
//
// More than one traceparent header in a request is the caller's to refuse.
func Parse(value []byte) (Context, bool) {
	if len(value) < Size || value[2] != '-' || value[35] != '-' || value[52] != '-' {
		return Context{}, false
	}
	var c Context
	var version, flags [1]byte
	if !unhex(version[:], value[0:2]) || !unhex(c.TraceID[:], value[3:35]) ||
		!unhex(c.SpanID[:], value[36:52]) || !unhex(flags[:], value[53:55]) {
		return Context{}, false
	}
	if c.TraceID == [16]byte{} || c.SpanID == [8]byte{} {
		return Context{}, false
	}
	c.Flags = flags[0]
	switch version[0] {
	case 0xff:
		return Context{}, false
	case 0:
		return c, len(value) == Size
	}
	c.Flags &= FlagSampled | FlagRandom
	return c, len(value) == Size || value[Size] == '-'
}

// Append adds the version 00 header value of c to dst and returns it. Flags
// that Level 2 does not define are sent as zero, as it demands.
func Append(dst []byte, c Context) []byte {
	dst = append(dst, '0', '0', '-')
	dst = appendHex(dst, c.TraceID[:])
	dst = append(dst, '-')
	dst = appendHex(dst, c.SpanID[:])
	dst = append(dst, '-')
	return appendHex(dst, []byte{c.Flags & (FlagSampled | FlagRandom)})
}

// Format returns the version 00 header value of c.
func Format(c Context) string {
	var buf [Size]byte
	return string(Append(buf[:0], c))
}

const digits = "0123456789abcdef"

func appendHex(dst, src []byte) []byte {
	for _, b := range src {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}

// unhex decodes lower-case hexadecimal only: encoding/hex takes both cases.
func unhex(dst, src []byte) bool {
	for i := range dst {
		high, low := nibble(src[2*i]), nibble(src[2*i+1])
		if high|low > 15 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
