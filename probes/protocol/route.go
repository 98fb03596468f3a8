package protocol

import "bytes"

const (
	// maxSegments is how deep a route goes; what lies deeper becomes {path}.
	// Few programs route on more, and trees of files are deeper.
	maxSegments = 8
	// maxWord is the longest segment taken for a word that a programmer chose.
	maxWord = 40
	// maxVersion bounds "v1", "v2beta1", "v1.27": they name an interface.
	maxVersion = 8
	// manyDigits in one segment make a number of it, however it is dressed.
	manyDigits = 4
	// manyHyphens make a title of it, as blogs have them in their addresses.
	manyHyphens = 4
)

// appendRoute adds the template of a path: each segment that looks like a value
// becomes a placeholder, every other stays. The rules are few, so that people
// can predict them; the first that fits counts:
//
//	12345            {id}       digits, or digits behind a dash, dot or
//	                            underscore (user-17), or four digits in all
//	2024-05-01       {date}
//	8-4-4-4-12       {uuid}     with the lengths of its hexadecimal groups
//	3f2a9c1b…        {hash}     8 or more hexadecimal digits, letters among them
//	a@b.example      {email}
//	%D0%9F…          {value}    whatever had to be percent-encoded
//	x8Kq…            {token}    longer than 40, or 20 and more with two digits
//	how-to-bake-a-c… {slug}     four dashes or more
//
// A file's extension stays: /img/{hash}.png. Path parameters are left out.
func appendRoute(dst, path []byte) []byte {
	if len(path) == 0 || path[0] != '/' {
		return dst
	}
	path = path[1:]
	for n := 0; ; n++ {
		segment, rest, more := bytes.Cut(path, []byte{'/'})
		dst = append(dst, '/')
		if n == maxSegments {
			return append(dst, "{path}"...)
		}
		segment, _, _ = bytes.Cut(segment, []byte{';'})
		dst = appendSegment(dst, segment)
		if !more {
			return dst
		}
		path = rest
	}
}

func appendSegment(dst, segment []byte) []byte {
	stem, extension := segment, []byte(nil)
	if dot := bytes.LastIndexByte(segment, '.'); dot > 0 && isExtension(segment[dot+1:]) {
		stem, extension = segment[:dot], segment[dot:]
	}
	placeholder := classify(stem)
	switch {
	case placeholder == "":
		return appendEncoded(dst, segment)
	case placeholder == "{email}" || placeholder == "{value}":
		return append(dst, placeholder...)
	}
	return append(append(dst, placeholder...), extension...)
}

// isExtension takes up to five letters or digits that begin with a letter.
func isExtension(b []byte) bool {
	if len(b) == 0 || len(b) > 5 || b[0]|0x20 < 'a' || b[0]|0x20 > 'z' {
		return false
	}
	for _, c := range b {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// shape is what classify counts in a segment.
type shape struct {
	digits, hex, hyphens int
	encoded, at          bool
	digitsAfterMark      bool // the part behind the last - . _ or : is a number
	hashPart             bool // some part is a hash
}

func shapeOf(b []byte) (s shape) {
	part, digits, hex := 0, 0, 0
	for i := 0; i <= len(b); i++ {
		if i == len(b) || bytes.IndexByte([]byte("-._:"), b[i]) >= 0 {
			n := i - part
			s.hashPart = s.hashPart || n >= 8 && hex == n && digits > 0 && digits < n
			s.digitsAfterMark = i == len(b) && part > 0 && n > 0 && digits == n
			s.digits, s.hex = s.digits+digits, s.hex+hex
			part, digits, hex = i+1, 0, 0
			if i == len(b) {
				break
			}
		}
		switch c := b[i]; {
		case isDigit(c):
			digits, hex = digits+1, hex+1
		case isHex(c):
			hex++
		case c == '-':
			s.hyphens++
		case c == '@':
			s.at = true
		case c == '%' || c <= ' ' || c >= 0x7f:
			s.encoded = true
		}
	}
	return s
}

// classify returns the placeholder for a segment, or "" for a word.
func classify(b []byte) string {
	if isWord(b) {
		return ""
	}
	s := shapeOf(b)
	switch {
	case s.digits == len(b):
		return "{id}"
	case isDate(b):
		return "{date}"
	case isUUID(b):
		return "{uuid}"
	case s.at && bytes.IndexByte(b, '@') > 0:
		return "{email}"
	case s.encoded:
		return "{value}"
	case isVersion(b):
		return ""
	case s.hashPart:
		return "{hash}"
	case len(b) > maxWord && s.hyphens < manyHyphens, len(b) >= 20 && s.digits >= 2 && s.hyphens < manyHyphens:
		return "{token}"
	case s.hyphens >= manyHyphens:
		return "{slug}"
	case s.digitsAfterMark, s.digits >= manyDigits:
		return "{id}"
	}
	return ""
}

// isWord is the quick way out for most segments: short, letters only.
func isWord(b []byte) bool {
	if len(b) > maxWord {
		return false
	}
	for _, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && c != '_' {
			return false
		}
	}
	return true
}

func isVersion(b []byte) bool {
	if len(b) < 2 || len(b) > maxVersion || b[0]|0x20 != 'v' || !isDigit(b[1]) {
		return false
	}
	digits := 0
	for _, c := range b {
		if isDigit(c) {
			digits++
		}
	}
	return digits < manyDigits
}

// isDate takes 2024-05-01; 2024 alone is a number like others.
func isDate(b []byte) bool { return fits(b, "dddd-dd-dd") }

func isUUID(b []byte) bool { return fits(b, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh") }

// fits compares b with a pattern of d (digit), h (hexadecimal) and themselves.
func fits(b []byte, pattern string) bool {
	if len(b) != len(pattern) {
		return false
	}
	for i, c := range b {
		switch p := pattern[i]; {
		case p == 'd' && isDigit(c), p == 'h' && isHex(c), p == c:
		default:
			return false
		}
	}
	return true
}
