package sql

import (
	"bytes"
	"unicode/utf8"
)

// glued returns k, or doubt if the token that was read goes on with what can't
// follow a value: the value was not over, then.
func (l *lexer) glued(k kind) kind {
	switch c := l.peek(0); {
	case inWord(c), c == '\'', c == '"', c == '`', c == '\\', c == '$':
		return doubt
	}
	return k
}

// number reads a number in any notation, with all letters and digits that stick
// to it. MySQL has names that begin with a digit; they are taken for values.
func (l *lexer) number() kind {
	hex := l.peek(0) == '0' && l.peek(1)|0x20 == 'x'
	for {
		c := l.peek(0)
		if !inWord(c) && c != '.' && c != '$' {
			break
		}
		l.at++
		if n := l.peek(0); !hex && c|0x20 == 'e' && (n == '-' || n == '+') && isDigit(l.peek(1)) {
			l.at++
		}
	}
	l.address()
	return l.glued(literal)
}

// quote reads a string up to the quote that ends it, or to the end of the text.
func (l *lexer) quote(escapes bool) kind {
	to, sure := l.closing(escapes)
	if !sure {
		return doubt
	}
	l.at = to
	return l.glued(literal)
}

// closing returns where the string that begins at l.at ends.
//
// A backslash before a quote escapes it or does not, by a setting of the
// server: where it should not, it might all the same, and nothing is sure. Nor
// is it when the byte before is no UTF-8: in some charsets of Asia, the
// backslash is then the second half of a character.
func (l *lexer) closing(escapes bool) (to int, sure bool) {
	delimiter := l.text[l.at]
	for i := l.at + 1; ; {
		n := bytes.IndexByte(l.text[i:], delimiter)
		if n < 0 {
			return len(l.text), true
		}
		at := i + n
		start := at
		for start > i && l.text[start-1] == '\\' {
			start--
		}
		odd := (at-start)&1 == 1
		if start < at && start > i && l.text[start-1] >= utf8.RuneSelf {
			if r, size := utf8.DecodeLastRune(l.text[i:start]); r == utf8.RuneError && size == 1 {
				return 0, false
			}
		}
		switch {
		case odd && !escapes && l.dialect == MySQLNoBackslashEscapes:
			// The server said so.
		case odd && !escapes:
			next := at+1 < len(l.text) && l.text[at+1] == delimiter
			if l.lastKey != keyEscape || at != l.at+2 || next {
				return 0, false
			}
			// ESCAPE '\' can mean one thing only.
		case odd:
			i = at + 1
			continue
		}
		if at+1 < len(l.text) && l.text[at+1] == delimiter {
			i = at + 2
			continue
		}
		return at + 1, true
	}
}

// name reads a quoted name. One that holds more than names do is taken for a
// value, as is one that does not end.
func (l *lexer) name() kind {
	from := l.at
	delimiter := l.text[from]
	for i := from + 1; ; {
		n := bytes.IndexByte(l.text[i:], delimiter)
		if n < 0 {
			l.at = len(l.text)
			return literal
		}
		i += n + 1
		if i >= len(l.text) || l.text[i] != delimiter {
			l.at = i
			break
		}
		i++
	}
	k := name
	if inner := l.text[from+1 : l.at-1]; !isName(inner) {
		k = literal
	}
	return l.glued(k)
}

// isName is whether b holds letters, digits and the little else that names of
// tables, columns and results are made of.
func isName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName {
		return false
	}
	for _, c := range b {
		if !isLetter(c) && !isDigit(c) && c != ' ' && c != '.' && c != '-' && c != '$' {
			return false
		}
	}
	return utf8.Valid(b)
}

// dollar reads what begins with $: a parameter, a string, to MySQL a name.
func (l *lexer) dollar() kind {
	from := l.at
	l.at++
	if l.dialect != PostgreSQL {
		l.at = l.wordEnd(l.at)
		if w := l.text[from:l.at]; len(w) < 2 || w[1] == '$' || len(w) > maxName || !utf8.Valid(w) {
			return doubt
		}
		return l.glued(word)
	}
	if isDigit(l.peek(0)) {
		for isDigit(l.peek(0)) {
			l.at++
		}
		if l.at-from > 6 { // parameters are numbered to 65535
			return l.glued(literal)
		}
		return l.glued(parameter)
	}
	for isLetter(l.peek(0)) || l.at > from+1 && isDigit(l.peek(0)) {
		l.at++
	}
	if l.peek(0) != '$' {
		return doubt
	}
	l.at++
	tag := l.text[from:l.at]
	i := bytes.Index(l.text[l.at:], tag)
	if i < 0 {
		l.at = len(l.text)
		return literal
	}
	l.at += i + len(tag)
	return l.glued(literal)
}
