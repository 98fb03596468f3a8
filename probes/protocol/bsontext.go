package protocol

import (
	"bytes"
	"strconv"
)

const (
	// maxBSONText bounds the text made of a command, so that a thousand updates in
	// one are no longer than one.
	maxBSONText = 1024
	// maxBSONDepth bounds how deep it goes: filters of people are a few deep.
	maxBSONDepth = 12
)

// bsonText writes a command as text: names as they are, values as question marks
// unless raw. Neighbours in an array that look the same are written once.
type bsonText struct {
	out []byte
	raw bool
}

func (t *bsonText) full() bool { return len(t.out) >= maxBSONText }

func (t *bsonText) document(r bsonReader, depth int) {
	t.out = append(t.out, '{')
	for first := true; !t.full(); first = false {
		e, ok := r.next()
		if !ok {
			break
		}
		if !first {
			t.out = append(t.out, ',')
		}
		t.name(e.key)
		t.value(&e, depth)
	}
	t.end(r.cut || r.bad, '}')
}

// end closes a document or an array, of which more may not be shown.
func (t *bsonText) end(more bool, bracket byte) {
	if more || t.full() {
		t.out = append(t.out, "…"...)
	}
	t.out = append(t.out, bracket)
}

func (t *bsonText) name(key []byte) {
	t.out = append(t.out, '"')
	t.key(key)
	t.out = append(t.out, '"', ':')
}

// key writes a name if it looks like one that a program has: where documents are
// used as maps, names are values.
func (t *bsonText) key(key []byte) {
	const maxKey = 64
	if t.raw {
		t.out = appendQuoted(t.out, key[:min(len(key), maxKey)])
		return
	}
	if len(key) > maxKey || bytes.ContainsFunc(key, isNoName) {
		t.out = append(t.out, '?')
		return
	}
	for i, word := range bytes.Split(key, []byte(".")) {
		if i > 0 {
			t.out = append(t.out, '.')
		}
		name := bytes.TrimLeft(word, "$")
		if len(name) > 0 && (!isIdentifier(name) || classify(name) != "") {
			t.out = append(t.out, '?')
		} else {
			t.out = append(t.out, word...)
		}
	}
}

// isNoName says that r is in no path of names.
func isNoName(r rune) bool {
	return r >= 0x80 || !isWordByte(byte(r)) && r != '_' && r != '$' && r != '.'
}

// isIdentifier says whether b can be a name in a program.
func isIdentifier(b []byte) bool {
	for i, c := range b {
		if !isWordByte(c) && c != '_' || i == 0 && isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

func (t *bsonText) value(e *bsonElement, depth int) {
	switch {
	case depth >= maxBSONDepth:
		t.out = append(t.out, '?')
	case e.kind == bsonDocument:
		t.document(e.document(), depth+1)
	case e.kind == bsonArray:
		t.array(e.document(), depth+1)
	case t.raw:
		t.scalar(e)
	default:
		t.out = append(t.out, '?')
	}
}

func (t *bsonText) array(r bsonReader, depth int) {
	t.out = append(t.out, '[')
	last, at := len(t.out), len(t.out)
	for !t.full() {
		e, ok := r.next()
		if !ok {
			break
		}
		last, at = t.item(&e, depth, last, at)
	}
	t.end(r.cut || r.bad, ']')
}

// sequence writes documents as an array.
func (t *bsonText) sequence(s bsonSequence) {
	t.out = append(t.out, '[')
	last, at := len(t.out), len(t.out)
	for !t.full() {
		e, ok := s.next()
		if !ok {
			break
		}
		last, at = t.item(&e, 1, last, at)
	}
	t.end(s.cut, ']')
}

// item writes an element of an array unless it looks like the one before, which
// is from last to at. It returns the same for the next one.
func (t *bsonText) item(e *bsonElement, depth, last, at int) (int, int) {
	if at > last {
		t.out = append(t.out, ',')
	}
	from := len(t.out)
	t.value(e, depth)
	if bytes.Equal(t.out[last:at], t.out[from:]) {
		t.out = t.out[:at]
		return last, at
	}
	return from, len(t.out)
}

// scalar writes a value as it is, or a question mark for the rarer ones.
func (t *bsonText) scalar(e *bsonElement) {
	n, number := e.number()
	switch {
	case e.kind == bsonBool && number:
		t.out = strconv.AppendBool(t.out, n != 0)
	case number:
		t.out = strconv.AppendFloat(t.out, n, 'g', -1, 64)
	case e.kind == bsonString && len(e.value) > 4:
		text := bytes.TrimSuffix(e.value[4:], []byte{0})
		t.out = append(t.out, '"')
		t.out = appendQuoted(t.out, text[:min(len(text), maxBSONText)])
		t.out = append(t.out, '"')
	case e.kind == bsonNull:
		t.out = append(t.out, "null"...)
	case e.kind == bsonObjectID && !e.cut:
		t.out = append(t.out, '"')
		for _, b := range e.value {
			t.out = append(t.out, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
		}
		t.out = append(t.out, '"')
	default:
		t.out = append(t.out, '?')
	}
}

// appendQuoted appends what stands between the quotes of a string.
func appendQuoted(dst, text []byte) []byte {
	quoted := strconv.AppendQuote(nil, string(text))
	return append(dst, quoted[1:len(quoted)-1]...)
}
