package sql

import (
	"bytes"
	"unicode/utf8"
)

type kind uint8

const (
	none      kind = iota // before the first token
	word                  // an unquoted name or keyword, @variables included
	name                  // a quoted name of harmless letters
	literal               // a value
	parameter             // ?, $1, :name, %s: stands for a value
	mark                  // one character of punctuation or of an operator
	doubt                 // nothing after this can be trusted: it is the last
)

type token struct {
	kind     kind
	key      keyword // of a word that is known
	c        byte    // of a mark
	spaced   bool    // white space or a comment stood before it
	from, to int32   // in the text; quotes of a name included
}

// lexer cuts a text into tokens.
type lexer struct {
	text        []byte
	at          int
	dialect     Dialect
	last        kind // of the token before, with what it was
	lastKey     keyword
	lastMark    byte
	executable  int // open /*! comments, whose content MySQL executes
	traceparent string
}

// next reads the next token into t. It is false at the end of the text, and
// after doubt.
func (l *lexer) next(t *token) bool {
	spaced, sure := l.blanks()
	if l.at >= len(l.text) && sure {
		return false
	}
	*t = token{spaced: spaced, from: int32(l.at), kind: doubt}
	if sure {
		t.kind = l.scan(t)
	}
	if t.kind == doubt {
		l.at = len(l.text)
	}
	t.to = int32(l.at)
	l.last, l.lastKey, l.lastMark = t.kind, t.key, t.c
	return true
}

func (l *lexer) scan(t *token) kind {
	switch c := l.text[l.at]; {
	case inWord(c) && !isDigit(c):
		return l.word(t)
	case isDigit(c) || c == '.' && isDigit(l.peek(1)):
		return l.number()
	case (c == '-' || c == '+') && l.signs():
		l.at++
		return l.number()
	case c == '\'' || c == '"' && l.dialect != PostgreSQL:
		return l.quote(l.dialect == MySQL)
	case c == '"' || c == '`' && l.dialect != PostgreSQL:
		return l.name()
	case c == '$':
		return l.dollar()
	case c == '@' && l.dialect != PostgreSQL:
		return l.variable()
	case l.placeholder(c):
		return parameter
	default:
		return l.mark(t, c)
	}
}

func (l *lexer) mark(t *token, c byte) kind {
	l.at++
	if c < ' ' || c >= 0x7f || c == '\\' || c == '`' || c == '#' && l.dialect != PostgreSQL {
		return doubt
	}
	if c == '*' && l.dialect != PostgreSQL && l.peek(0) == '/' {
		return doubt // the end of a comment that never began
	}
	t.c = c
	return mark
}

// peek returns the byte n places on, 0 past the end: no token holds a 0.
func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.text) {
		return l.text[l.at+n]
	}
	return 0
}

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return c|0x20-'a' < 26 || c == '_' || c >= utf8.RuneSelf }

// inWord is whether c may stand in a word, $ aside.
func inWord(c byte) bool { return isLetter(c) || isDigit(c) }

// wordEnd returns where the word that holds position i ends.
func (l *lexer) wordEnd(i int) int {
	for i < len(l.text) && (inWord(l.text[i]) || l.text[i] == '$') {
		i++
	}
	return i
}

// word reads a word, or the literal that it introduces.
func (l *lexer) word(t *token) kind {
	from := l.at
	var all byte
	for l.at < len(l.text) && inWord(l.text[l.at]) {
		all |= l.text[l.at]
		l.at++
	}
	if l.peek(0) == '$' {
		// AS$$ is a word, but may be meant as one and the start of a string.
		l.at = l.wordEnd(l.at)
		if bytes.Count(l.text[from:l.at], []byte("$")) > 1 {
			return doubt
		}
		all |= utf8.RuneSelf
	}
	w := l.text[from:l.at]
	if len(w) > maxName || l.address() {
		return l.glued(literal)
	}
	if all >= utf8.RuneSelf && !utf8.Valid(w) {
		return doubt
	}
	t.key = lookup(w)
	c := l.peek(0)
	if len(w) == 1 && w[0]|0x20 == 'u' && c == '&' && l.dialect == PostgreSQL {
		if q := l.peek(1); q == '\'' || q == '"' {
			l.at++
			return l.quote(false) // a name with escapes is taken for a value
		}
	}
	if c != '\'' && c != '"' && c != '`' || t.key != 0 || c == '`' && l.dialect != PostgreSQL {
		return word
	}
	if l.introduces(w, c) {
		return l.quote(l.dialect == MySQL || w[0]|0x20 == 'e')
	}
	return doubt
}

// introduces is whether w before a quote c is part of the literal: x'1f',
// E'\n', _utf8mb4'a'.
func (l *lexer) introduces(w []byte, c byte) bool {
	if l.dialect != PostgreSQL && w[0] == '_' {
		return true
	}
	if len(w) != 1 || c != '\'' {
		return false
	}
	switch w[0] | 0x20 {
	case 'b', 'x', 'n':
		return true
	case 'e':
		return l.dialect == PostgreSQL
	}
	return false
}

// address takes in the rest of a mail address, or of what looks like one.
func (l *lexer) address() bool {
	c := l.peek(1)
	if l.peek(0) != '@' || l.at+1 < len(l.text) && !isLetter(c) && !isDigit(c) {
		return false
	}
	for l.at++; inWord(l.peek(0)) || l.peek(0) == '.' || l.peek(0) == '-'; {
		l.at++
	}
	return true
}

// variable reads @name and @@name; of @'name' and @`name` only the @, what
// follows is a token of its own.
func (l *lexer) variable() kind {
	from := l.at
	l.at++
	if l.peek(0) == '@' {
		l.at++
	}
	l.at = l.wordEnd(l.at)
	if l.at-from > maxName {
		return l.glued(literal)
	}
	if c := l.peek(0); l.at-from > 2 && (c == '\'' || c == '"') || !utf8.Valid(l.text[from:l.at]) {
		return doubt
	}
	return word
}

// placeholder reads a parameter other than $1.
func (l *lexer) placeholder(c byte) bool {
	switch {
	case c == '?':
		if n := l.peek(1); l.dialect == PostgreSQL && (n == '|' || n == '&' || n == '?') {
			return false // an operator on JSON
		}
		l.at++
		return true
	case c == ':' && isLetter(l.peek(1)) && (l.at == 0 || l.text[l.at-1] != ':'):
		to := l.wordEnd(l.at + 1)
		if to-l.at > maxName || !utf8.Valid(l.text[l.at:to]) || l.text[to-1] >= utf8.RuneSelf {
			return false
		}
		l.at = to
		return true
	case c == '%' && l.peek(1) == 's' && !inWord(l.peek(2)):
		l.at += 2
		return true
	}
	return false
}

// signs is whether a + or - belongs to the number after it: when nothing is
// before it that it could be added to.
func (l *lexer) signs() bool {
	if c := l.peek(1); !isDigit(c) && (c != '.' || !isDigit(l.peek(2))) {
		return false
	}
	switch l.last {
	case none:
		return true
	case mark:
		return l.lastMark != ')' && l.lastMark != ']'
	case word:
		return l.lastKey != 0
	}
	return false
}

// blanks skips white space and comments. It isn't sure when the text may go on
// otherwise than it seems.
func (l *lexer) blanks() (spaced, sure bool) {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			l.at++
		case c == '-' && l.peek(1) == '-':
			if n := l.peek(2); l.dialect != PostgreSQL && n > ' ' {
				return spaced, false // two signs to MySQL, a comment to people
			}
			l.lineComment()
		case c == '#' && l.dialect != PostgreSQL:
			l.lineComment()
		case c == '/' && l.peek(1) == '*':
			if !l.comment() {
				return spaced, false
			}
		case c == '*' && l.peek(1) == '/' && l.executable > 0:
			l.executable--
			l.at += 2
		default:
			return spaced, true
		}
		spaced = true
	}
	return spaced, true
}

func (l *lexer) lineComment() {
	ends := "\n"
	if l.dialect == PostgreSQL {
		ends = "\r\n"
	}
	if i := bytes.IndexAny(l.text[l.at:], ends); i >= 0 {
		l.at += i
		return
	}
	l.at = len(l.text)
}

// comment skips a comment, or the opening of one that MySQL executes. It is
// false in doubt of where the comment ends.
func (l *lexer) comment() bool {
	from := l.at + 2
	if l.dialect != PostgreSQL {
		rest := l.text[from:]
		if bytes.HasPrefix(rest, []byte("!")) || bytes.HasPrefix(rest, []byte("M!")) {
			l.executable++
			l.at = from + bytes.IndexByte(rest, '!') + 1
			for isDigit(l.peek(0)) {
				l.at++
			}
			return true
		}
	}
	depth := 1
	for i := from; i+1 < len(l.text); i++ {
		switch {
		case l.text[i] == '*' && l.text[i+1] == '/':
			if depth--; depth == 0 {
				l.at = i + 2
				l.commented(l.text[from:i])
				return true
			}
			i++
		case l.text[i] == '/' && l.text[i+1] == '*':
			if l.dialect != PostgreSQL {
				return false // it does not nest there, though its author thought so
			}
			depth++
			i++
		}
	}
	l.at = len(l.text)
	return true
}
