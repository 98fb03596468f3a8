package protocol

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// BSON (bsonspec.org) as it comes in captured messages: possibly cut. A reader
// walks the elements of one document or array, each with as much of its value as
// there is, and stops at the end, at the cut, or where the bytes make no sense.

// Types of elements.
const (
	bsonDouble   = 0x01
	bsonString   = 0x02
	bsonDocument = 0x03
	bsonArray    = 0x04
	bsonBinary   = 0x05
	bsonObjectID = 0x07
	bsonBool     = 0x08
	bsonDate     = 0x09
	bsonNull     = 0x0a
	bsonRegex    = 0x0b
	bsonInt32    = 0x10
	bsonInt64    = 0x12
)

// bsonLengths is how long the values of a type are: fixed; or from the int32 that
// they begin with, which counts so many bytes less than there are.
var bsonLengths = map[byte]struct{ fixed, more int }{
	bsonDouble: {8, 0}, bsonObjectID: {12, 0}, bsonBool: {1, 0}, bsonDate: {8, 0},
	bsonInt32: {4, 0}, 0x11: {8, 0}, bsonInt64: {8, 0}, 0x13: {16, 0},
	bsonNull: {0, 0}, 0x06: {0, 0}, 0x7f: {0, 0}, 0xff: {0, 0},
	bsonString: {-1, 4}, 0x0d: {-1, 4}, 0x0e: {-1, 4}, bsonBinary: {-1, 5},
	bsonDocument: {-1, 0}, bsonArray: {-1, 0}, 0x0f: {-1, 0}, 0x0c: {-1, 16},
}

// bsonReader is what is left of a document's elements.
type bsonReader struct {
	data []byte
	// cut says that data ends before the document does.
	cut bool
	bad bool
}

// bsonElement is a name with its value.
type bsonElement struct {
	kind       byte
	key, value []byte
	cut        bool // value is not all of it
}

// readBSON reads the document that data begins with.
func readBSON(data []byte) (r bsonReader) {
	if len(data) < 4 {
		return bsonReader{cut: true}
	}
	n := binary.LittleEndian.Uint32(data)
	switch {
	case n < 5 || n > math.MaxInt32:
		return bsonReader{bad: true}
	case uint64(n) > uint64(len(data)):
		return bsonReader{data: data[4:], cut: true}
	}
	return bsonReader{data: data[4:n]}
}

// document reads an element that is a document or an array.
func (e *bsonElement) document() bsonReader {
	if e.kind != bsonDocument && e.kind != bsonArray {
		return bsonReader{}
	}
	return readBSON(e.value)
}

// next returns the next element, false if there is none. With r.cut, there may
// be more than there seem to be; with r.bad, what came before is doubtful too.
func (r *bsonReader) next() (e bsonElement, ok bool) {
	if r.bad || len(r.data) == 0 {
		r.bad = r.bad || !r.cut
		return e, false
	}
	e.kind = r.data[0]
	if e.kind == 0 { // the end, of all that there is
		r.bad, r.cut = len(r.data) > 1, r.cut && len(r.data) > 1
		return e, false
	}
	end := bytes.IndexByte(r.data[1:], 0)
	if end < 0 {
		r.bad, r.data = !r.cut, nil
		return e, false
	}
	e.key = r.data[1 : 1+end]
	r.data = r.data[2+end:]
	return e, r.value(&e)
}

// value takes the value of e.
func (r *bsonReader) value(e *bsonElement) bool {
	n := r.length(e.kind)
	switch {
	case n < 0:
		return false
	case n > len(r.data) && !r.cut:
		r.bad = true
		return false
	}
	e.cut = n > len(r.data)
	n = min(n, len(r.data))
	e.value = r.data[:n]
	r.data = r.data[n:]
	return true
}

// length returns how long the value is that the rest begins with, or less than 0.
func (r *bsonReader) length(kind byte) int {
	if kind == bsonRegex {
		pattern := bytes.IndexByte(r.data, 0)
		if pattern >= 0 {
			if options := bytes.IndexByte(r.data[pattern+1:], 0); options >= 0 {
				return pattern + 1 + options + 1
			}
		}
		r.bad, r.data = !r.cut, nil
		return -1
	}
	known, ok := bsonLengths[kind]
	switch {
	case !ok:
		r.bad = true
		return -1
	case known.fixed >= 0:
		return known.fixed
	case len(r.data) < 4:
		r.bad, r.data = !r.cut, nil
		return -1
	}
	n := binary.LittleEndian.Uint32(r.data)
	if n > math.MaxInt32/2 {
		r.bad = true
		return -1
	}
	return int(n) + known.more
}

// string returns the value of a string, "" of others and of those that are cut.
func (e *bsonElement) string() string {
	if e.kind != bsonString || e.cut || len(e.value) < 5 {
		return ""
	}
	return string(e.value[4 : len(e.value)-1])
}

// number returns the value of a number or boolean.
func (e *bsonElement) number() (n float64, ok bool) {
	if e.cut {
		return 0, false
	}
	switch e.kind {
	case bsonDouble:
		return math.Float64frombits(binary.LittleEndian.Uint64(e.value)), true
	case bsonInt32:
		return float64(int32(binary.LittleEndian.Uint32(e.value))), true
	case bsonInt64:
		return float64(int64(binary.LittleEndian.Uint64(e.value))), true
	case bsonBool:
		return float64(e.value[0]), true
	}
	return 0, false
}

// count returns how many elements there are, false if that can't be known.
func (r bsonReader) count() (n int64, ok bool) {
	for {
		e, more := r.next()
		if !more {
			return n, !r.bad && !r.cut
		}
		if e.cut {
			return 0, false
		}
		n++
	}
}

// bsonSequence is documents one behind the other, possibly cut.
type bsonSequence struct {
	data []byte
	cut  bool
}

// next returns the next document, as an element, false if there is none.
func (s *bsonSequence) next() (e bsonElement, ok bool) {
	if len(s.data) < 4 {
		return e, false
	}
	n := binary.LittleEndian.Uint32(s.data)
	if n < 5 || uint64(n) > uint64(len(s.data)) && !s.cut {
		return e, false
	}
	e = bsonElement{kind: bsonDocument, cut: uint64(n) > uint64(len(s.data))}
	e.value = s.data[:min(uint64(n), uint64(len(s.data)))]
	s.data = s.data[len(e.value):]
	return e, true
}

// count returns how many documents there are, false if that can't be known.
func (s bsonSequence) count() (n int64, ok bool) {
	for {
		e, more := s.next()
		if !more {
			break
		}
		if e.cut {
			return 0, false
		}
		n++
	}
	if s.cut || len(s.data) > 0 {
		return 0, false
	}
	return n, true
}

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
