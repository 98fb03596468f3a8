package sql

import "bytes"

// maxTraceparent bounds the value that is read; version 00 has 55 letters.
const maxTraceparent = 128

// commented looks for trace context in a comment, which sqlcommenter writes as
// key='value' pairs with commas between, keys and values URL-encoded. The first
// one of the text counts.
func (l *lexer) commented(body []byte) {
	const key = "traceparent"
	if l.traceparent != "" {
		return
	}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(key))
		if i < 0 {
			return
		}
		from := at + i
		at = from + len(key)
		before := bytes.TrimRight(body[:from], " \t\r\n")
		if len(before) > 0 && before[len(before)-1] != ',' {
			continue
		}
		value, ok := bytes.CutPrefix(bytes.TrimLeft(body[at:], " "), []byte("="))
		if !ok {
			continue
		}
		value, ok = bytes.CutPrefix(bytes.TrimLeft(value, " "), []byte("'"))
		if !ok {
			continue
		}
		value, _, ok = bytes.Cut(value, []byte("'"))
		if ok && len(value) <= maxTraceparent {
			l.traceparent = traceparent(value)
			return
		}
	}
}

// traceparent decodes a value. It is empty if that has letters which no version
// of the header knows.
func traceparent(value []byte) string {
	var buf [maxTraceparent]byte
	out := buf[:0]
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '%' {
			if i+2 >= len(value) {
				return ""
			}
			high, low := hex(value[i+1]), hex(value[i+2])
			if high > 15 || low > 15 {
				return ""
			}
			c = high<<4 | low
			i += 2
		}
		if c != '-' && hex(c) > 15 {
			return ""
		}
		out = append(out, c)
	}
	return string(out)
}

// hex returns the value of a hexadecimal digit, more than 15 for other letters.
func hex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}
