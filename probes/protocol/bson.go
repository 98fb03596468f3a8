package protocol

import (
	"bytes"
	"encoding/binary"
	"math"
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
