package sql

import (
	"bytes"
	"strings"
)

// target is the name of a table or the like, while it is read.
type target struct {
	reading bool
	dotted  bool // the next token belongs to it
	broken  bool // it is none, or too long
	odd     bool // it holds more than letters and digits
	n       int
	bytes   [2 * maxName]byte // without quotes
}

func (g *target) text() []byte { return g.bytes[:g.n] }

func (g *target) begin(t *token, text []byte) {
	g.reading, g.dotted, g.broken, g.odd, g.n = true, false, false, false, 0
	g.part(t, text)
}

// goes takes the next token, if it belongs to the target.
func (g *target) goes(t *token, text []byte) bool {
	switch {
	case t.kind == mark && t.c == '.' && !g.dotted:
		g.dotted = true
	case g.dotted && (t.kind == word || t.kind == name):
		g.part(t, text)
	default:
		return false
	}
	return true
}

func (g *target) part(t *token, text []byte) {
	b := text[t.from:t.to]
	if t.kind == name {
		b = b[1 : len(b)-1]
		for _, c := range b {
			g.odd = g.odd || !isLetter(c) && !isDigit(c) && c != '$'
		}
	}
	if g.n+len(b) >= len(g.bytes) {
		g.broken = true
		return
	}
	if g.dotted {
		g.bytes[g.n] = '.'
		g.n++
	}
	g.n += copy(g.bytes[g.n:], b)
	g.dotted = false
}

const manyTables = 2

// summary is what is said in the end: db.query.summary and its kin.
type summary struct {
	bytes   [maxSummary]byte
	n       int
	segment int  // where the targets of the last operation begin
	full    bool // and stays so, lest it say something in part

	operation  [2*maxKeyword + 1]byte
	nOperation int
	settled    bool // operation is final

	table  [2 * maxName]byte
	nTable int
	tables int // how many there are, up to manyTables
}

// operate adds an operation. It is that of the statement if it isn't part of a
// definition before it.
func (s *summary) operate(verb []byte, main bool) {
	var buf [maxKeyword]byte
	verb = upper(buf[:0], verb)
	s.say(verb, false)
	s.segment = s.n
	if main && !s.settled {
		s.nOperation = copy(s.operation[:], verb)
		s.settled = true
	}
}

// extend adds the second word of the operation that was added last.
func (s *summary) extend(w []byte) {
	var buf [maxKeyword]byte
	w = upper(buf[:0], w)
	whole := s.n == s.nOperation // else it is of a later statement
	s.say(w, false)
	s.segment = s.n
	if whole {
		s.operation[s.nOperation] = ' '
		s.nOperation += 1 + copy(s.operation[s.nOperation+1:], w)
	}
}

// aim adds a target of the last operation, unless it has it.
func (s *summary) aim(g *target, table bool) {
	b := g.text()
	if table {
		switch {
		case s.tables == 0:
			s.tables, s.nTable = 1, copy(s.table[:], b)
		case !bytes.Equal(s.table[:s.nTable], b):
			s.tables = manyTables
		}
	}
	for rest := s.bytes[s.segment:s.n]; ; {
		i := bytes.Index(rest, b)
		if i < 0 {
			break
		}
		before, after := i == 0 || rest[i-1] == ' ' || rest[i-1] == '"', i+len(b)
		if before && (after == len(rest) || rest[after] == ' ' || rest[after] == '"') {
			return
		}
		rest = rest[i+1:]
	}
	s.say(b, g.odd)
}

func (s *summary) say(b []byte, quoted bool) {
	need := len(b)
	if s.n > 0 {
		need++
	}
	if quoted {
		need += 2
	}
	if s.full || s.n+need > len(s.bytes) {
		s.full = true
		return
	}
	out := s.bytes[:s.n]
	if s.n > 0 {
		out = append(out, ' ')
	}
	if quoted {
		out = append(out, '"')
	}
	out = append(out, b...)
	if quoted {
		out = append(out, '"')
	}
	s.n = len(out)
}

// describe writes it to d, in strings that share their bytes if they can.
func (s *summary) describe(d *Statement) {
	d.Summary = string(s.bytes[:s.n])
	d.Operation = share(d.Summary, s.operation[:s.nOperation])
	if s.tables == 1 {
		d.Collection = share(d.Summary, s.table[:s.nTable])
	}
}

func share(whole string, part []byte) string {
	if len(part) == 0 {
		return ""
	}
	for i := 0; i+len(part) <= len(whole); i++ {
		n := strings.IndexByte(whole[i:], part[0])
		if n < 0 {
			break
		}
		i += n
		if i+len(part) <= len(whole) && whole[i:i+len(part)] == string(part) {
			return whole[i : i+len(part)]
		}
	}
	return string(part)
}
