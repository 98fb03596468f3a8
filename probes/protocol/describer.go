package protocol

import (
	"net/netip"
	"strconv"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// spareAttributes is the room left for the assembler: the target, the evidence
// and one to come.
const spareAttributes = 3

// describer gathers the attributes of one exchange. The texts of all of them
// are written into one buffer and become one string in the end, so that an
// exchange costs two allocations for its attributes, however many it has.
type describer struct {
	headers []header // to capture

	text    []byte
	entries []entry
	request httpHead
	answer  httpHead
}

// entry is an attribute to be: a number, a constant text, or text[from:to].
type entry struct {
	key      attribute.Key
	constant string
	from, to int
	number   int64
	list     []string
	kind     entryKind
}

type entryKind uint8

const (
	entryText entryKind = iota
	entryConstant
	entryNumber
	entryList
)

func (d *describer) reset() {
	d.text, d.entries = d.text[:0], d.entries[:0]
}

func (d *describer) number(key attribute.Key, n int64) {
	d.entries = append(d.entries, entry{key: key, number: n, kind: entryNumber})
}

func (d *describer) constant(key attribute.Key, s string) {
	d.entries = append(d.entries, entry{key: key, constant: s, kind: entryConstant})
}

// mark is taken before text is appended to d.text, and given to written after.
func (d *describer) mark() int { return len(d.text) }

func (d *describer) written(key attribute.Key, from int) {
	d.entries = append(d.entries, entry{key: key, from: from, to: len(d.text)})
}

// value adds text from the wire, or nothing when it holds control bytes: no
// honest header has them.
func (d *describer) value(key attribute.Key, b []byte) {
	if len(b) == 0 || hasControl(b) {
		return
	}
	from := d.mark()
	d.text = appendUTF8(d.text, b)
	d.written(key, from)
}

// appendUTF8 replaces what is not UTF-8: protobuf refuses whole batches for it.
func appendUTF8(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return append(dst, b...)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n <= 1 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

func (d *describer) address(address, port attribute.Key, a netip.AddrPort) {
	if !a.IsValid() {
		return
	}
	from := d.mark()
	d.text = a.Addr().Unmap().AppendTo(d.text)
	d.written(address, from)
	if a.Port() != 0 {
		d.number(port, int64(a.Port()))
	}
}

// finish returns the attributes, and the text they share from the given offset
// to the other.
func (d *describer) finish(from, to int) (attributes []attribute.KeyValue, extra string) {
	text := string(d.text)
	attributes = make([]attribute.KeyValue, 0, len(d.entries)+spareAttributes)
	for _, e := range d.entries {
		var kv attribute.KeyValue
		switch e.kind {
		case entryText:
			kv = e.key.String(text[e.from:e.to])
		case entryConstant:
			kv = e.key.String(e.constant)
		case entryNumber:
			kv = e.key.Int64(e.number)
		case entryList:
			kv = e.key.StringSlice(e.list)
		}
		attributes = append(attributes, kv)
	}
	return attributes, text[from:to]
}

// statusText returns the text of a status code without allocating one for each.
func statusText(status int) string {
	for _, known := range [...]struct {
		status int
		text   string
	}{{404, "404"}, {500, "500"}, {503, "503"}, {502, "502"}, {504, "504"}, {401, "401"}, {403, "403"}, {400, "400"}, {429, "429"}} {
		if known.status == status {
			return known.text
		}
	}
	return strconv.Itoa(status)
}
