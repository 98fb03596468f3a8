package sql

import "bytes"

// group is what the writer knows of an open bracket.
type group struct {
	from   int  // where it stands in the text, with the comma before it
	list   bool // of values, to be collapsed
	pure   bool // list: nothing but values came so far
	joined bool // it follows a value in a list of values
	row    bool // it is a row of VALUES
	rows   bool // such a row was the last thing in it
	run    run
}

// run is how far a run of values in a list is.
type run uint8

const (
	noRun run = iota
	afterValue
	afterCast  // a value and :: of its type
	afterComma // a value and a comma, which is written once something else follows
)

// writer sets tokens down, with ? for values and one for lists of them.
type writer struct {
	bytes [maxText]byte // in place, so that it needs no allocation
	n     int
	mysql bool
	full  bool
	gap   bool // a space comes next
	stop  bool // a ; comes next

	past

	skipping int  // brackets open of a further row of VALUES
	pending  bool // a comma after such a row waits for the next token
	hush     hush
	nested   int // brackets open of the value of SET

	depth  int
	groups [maxDepth]group
}

// past is what came before of the statement.
type past struct {
	last, before  token
	first, second keyword
	words         int  // to 2
	merged        bool // last was no literal, but counts as part of one
}

// hush is how far the value of a SET statement is.
type hush uint8

const (
	loud hush = iota
	hushing
	hushed
)

func (w *writer) top() *group { return &w.groups[min(w.depth, maxDepth-1)] }

// judge turns a token that is a value by its place into a literal, and one that
// no statement begins with into doubt.
func (w *writer) judge(t *token, text []byte) {
	merged := w.merged
	w.merged = false
	if w.words == 0 && !begins(t) {
		t.kind = doubt
		return
	}
	switch t.kind {
	case word, name:
		w.merged = w.last.kind == literal && t.key == 0
		if w.merged || w.stands(t, text) {
			t.kind, t.key = literal, 0
		}
	case mark:
		if t.c == '.' && merged {
			t.kind, w.merged = literal, true
		}
	}
}

// begins is whether a statement can begin with t.
func begins(t *token) bool {
	if t.kind == mark {
		return t.c == '(' || t.c == ';'
	}
	_, verb := manners[t.key]
	return t.kind == word && (verb || t.key == keyWith)
}

// stands is whether a word or name stands for a value.
func (w *writer) stands(t *token, text []byte) bool {
	switch t.key {
	case keyTrue, keyFalse:
		return w.last.key != keyIs && (w.last.key != keyNot || w.before.key != keyIs)
	case keyNull:
		return w.top().list
	}
	if t.kind == name && !w.mysql && (int(t.to) >= len(text) || text[t.to] != '.') {
		// A value in the wrong quotes, rather than the name of a column?
		return w.compares() || w.top().list
	}
	return w.secret(t)
}

// secret is whether an unquoted word is where a password is to be.
func (w *writer) secret(t *token) bool {
	switch w.last.key {
	case keyBy:
		return w.before.key == keyIdentified
	case keyPassword:
		return t.key == 0 && (w.second == keyUser || w.second == keyRole)
	}
	return false
}

// compares is whether the last token was an operator that compares.
func (w *writer) compares() bool {
	switch w.last.kind {
	case mark:
		return w.last.c == '=' || w.last.c == '>' || w.last.c == '<'
	case word:
		return w.last.key == keyLike
	}
	return false
}

func (w *writer) add(t *token, text []byte) {
	if t.kind == word && (w.words == 0 || w.words == 1 && t.key != keySkip && t.key != keyReplace) {
		if w.words++; w.words == 1 {
			w.first = t.key
		} else {
			w.second = t.key
		}
	}
	if !w.silent(t) {
		switch t.kind {
		case literal, parameter:
			w.value(t, text)
		case mark:
			w.mark(t)
		case doubt:
			w.release()
			if !w.ends('?') {
				w.character(t.spaced, '?')
			}
		default:
			w.word(t, text)
		}
	}
	w.before, w.last = w.last, *t
}

// silent is whether a token is not to be seen: as the value of SET, or as part
// of another row of VALUES.
func (w *writer) silent(t *token) bool {
	if w.hush != loud && t.kind == mark {
		switch t.c {
		case ';':
			w.hush, w.nested = loud, 0
		case ',':
			if w.mysql && w.nested == 0 {
				w.hush = loud
			}
		case '(', '[':
			w.nested++
		case ')', ']':
			w.nested = max(0, w.nested-1)
		}
	}
	if w.hush != loud {
		if w.hush == hushing {
			w.hush = hushed
			w.character(t.spaced, '?')
		}
		return true
	}
	if w.skipping > 0 || w.pending && t.kind == mark && t.c == '(' {
		w.pending = false
		if t.kind == mark && (t.c == '(' || t.c == '[') {
			w.skipping++
		} else if t.kind == mark && (t.c == ')' || t.c == ']') {
			w.skipping--
		}
		return t.kind != doubt
	}
	return false
}

func (w *writer) value(t *token, text []byte) {
	g := w.top()
	switch {
	case g.run == afterCast:
		return
	case g.list && g.run == afterComma:
		g.run = afterValue
		return
	case w.last.kind == literal && t.kind == literal:
		return // 'a' 'b' is one string
	}
	w.release()
	if g.list {
		g.run = afterValue
	}
	if g.list || t.kind == literal {
		w.character(t.spaced, '?')
		return
	}
	w.write(t.spaced, text[t.from:t.to])
}

func (w *writer) word(t *token, text []byte) {
	g := w.top()
	if g.run == afterCast {
		return
	}
	w.release()
	g.pure = false
	g.list = g.list && t.key != keySelect && t.key != keyWith
	w.write(t.spaced, text[t.from:t.to])
	if w.first == keySet && (t.key == keyTo || t.key == keyRole) {
		w.hush = hushing
	}
}

func (w *writer) mark(t *token) {
	g := w.top()
	switch t.c {
	case '(', '[':
		if g.run != afterCast {
			w.open(t)
		}
	case ')', ']':
		if g.run != afterCast || t.c == ')' {
			w.close(t)
		}
	case ',':
		switch {
		case g.list && (g.run == afterValue || g.run == afterCast):
			g.run = afterComma
		case g.rows:
			w.pending = true
		default:
			w.release()
			w.character(false, ',')
			w.gap = true
		}
	case ';':
		w.release()
		w.stop = w.stop || w.n > 0
		w.depth, w.groups[0] = 0, group{}
		w.first, w.second, w.words = 0, 0, 0
	case ':':
		if g.list && (g.run == afterValue || g.run == afterCast) {
			g.run = afterCast
			return
		}
		fallthrough
	default:
		if g.run == afterCast && t.c == '.' {
			return
		}
		w.release()
		g.pure = false
		w.character(t.spaced, t.c)
		if w.first == keySet && t.c == '=' {
			w.hush = hushing
		}
	}
}

func (w *writer) open(t *token) {
	g := w.top()
	key := w.last.key
	tuple := g.list && w.last.kind == mark && (w.last.c == '(' || w.last.c == ',' || w.last.c == '[')
	in := group{
		from:   w.n,
		joined: tuple && g.run == afterComma,
		row:    key == keyValues,
	}
	in.list = tuple || key == keyIn || key == keyArray || in.row
	in.pure = in.list
	w.release()
	if !tuple {
		g.pure = false
	}
	w.character(t.spaced, t.c)
	w.depth++
	*w.top() = in
}

func (w *writer) close(t *token) {
	in := *w.top()
	if w.depth == 0 {
		w.character(false, t.c) // one too many
		return
	}
	w.depth--
	g := w.top()
	g.rows = in.row
	if in.pure && g.list && in.from < w.n && !w.full && w.depth < maxDepth-1 {
		// A tuple of values in a list of values is a value.
		w.n = in.from
		w.gap = false
		if !in.joined {
			w.character(t.spaced, '?')
		}
		g.run = afterValue
		return
	}
	if !in.pure {
		g.pure = false
	}
	w.gap = false
	w.character(false, t.c)
}

// release writes what waited for a token that isn't collapsed.
func (w *writer) release() {
	g := w.top()
	if g.run == afterComma || w.pending {
		w.character(false, ',')
		w.gap = true
	}
	g.run, g.rows, w.pending = noRun, false, false
}

// write adds s if there is room for it, or else nothing any more.
func (w *writer) write(spaced bool, s []byte) {
	if w.full || w.n+len(s)+len("; ") > len(w.bytes) {
		w.full = true
		return
	}
	out := w.bytes[:w.n]
	switch {
	case w.stop:
		out = append(out, "; "...)
	case (w.gap || spaced) && w.n > 0 && !w.ends('(') && !w.ends('['):
		out = append(out, ' ')
	}
	w.stop, w.gap = false, false
	w.n = len(append(out, s...))
}

func (w *writer) character(spaced bool, c byte) {
	one := [1]byte{c}
	w.write(spaced, one[:])
}

func (w *writer) ends(c byte) bool { return w.n > 0 && w.bytes[w.n-1] == c }

func (w *writer) text() string { return string(bytes.TrimRight(w.bytes[:w.n], ", ")) }
