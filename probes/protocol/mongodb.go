package protocol

import (
	"bytes"
	"encoding/binary"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// MongoDB's wire protocol: messages of a 16-byte header and, nearly always today,
// OP_MSG, a command as a BSON document. An answer names its request.
//
// Each command is a span, but for those with which drivers watch the servers and
// log in (see mongoCommands). A write that asks for no acknowledgement ends with
// its own last byte. Answers of which more are to follow (exhaust cursors) belong
// to one span. Compressed messages are counted, one by one: drivers compress
// commands but not the handshake, so that nothing of use is left.

// Operations.
const (
	mongoReply       = 1
	mongoUpdate      = 2001
	mongoInsert      = 2002
	mongoQuery       = 2004
	mongoGetMore     = 2005
	mongoDelete      = 2006
	mongoKillCursors = 2007
	mongoCompressed  = 2012
	mongoMsg         = 2013
)

// Flags of OP_MSG. Of the lower half, all others must be 0.
const (
	mongoChecksum   = 1 << 0
	mongoMoreToCome = 1 << 1
	mongoRequired   = 1<<16 - 1
)

const (
	mongoHeader = 16
	// maxMongo is how long a server allows messages to be.
	maxMongo = 48_000_000
)

// mongoHead is what a message begins with.
type mongoHead struct {
	size         uint32
	id, answers  uint32 // requestID and responseTo
	op           uint32
	fromProtocol bool // it makes sense
}

func readMongoHead(data []byte) (h mongoHead) {
	if len(data) < mongoHeader {
		return h
	}
	h.size = binary.LittleEndian.Uint32(data)
	h.id = binary.LittleEndian.Uint32(data[4:])
	h.answers = binary.LittleEndian.Uint32(data[8:])
	h.op = binary.LittleEndian.Uint32(data[12:])
	least := uint32(mongoHeader + 8)
	switch h.op {
	case mongoReply:
		least = mongoHeader + 20
	case mongoMsg:
		least = mongoHeader + 4 + 1 + 5
	case mongoQuery, mongoUpdate, mongoInsert, mongoGetMore, mongoDelete, mongoKillCursors, mongoCompressed:
	default:
		return h
	}
	h.fromProtocol = h.size >= least && h.size <= maxMongo
	return h
}

func detectMongo(d direction, data []byte, size uint64) bool {
	if d != toServer || !mongoBegins(d, data) {
		return false
	}
	n := uint64(readMongoHead(data).size)
	if n >= size || n+mongoHeader > uint64(len(data)) {
		return true
	}
	return readMongoHead(data[n:]).fromProtocol
}

// mongoBegins says whether data begins with a message of that direction, and
// nothing contradicts it.
func mongoBegins(d direction, data []byte) bool {
	h := readMongoHead(data)
	if !h.fromProtocol || d == toServer && (h.answers != 0 || h.op == mongoReply) {
		return false
	}
	rest := data[mongoHeader:min(uint64(len(data)), uint64(h.size))]
	if len(rest) < 9 {
		return false
	}
	flags := binary.LittleEndian.Uint32(rest)
	switch h.op {
	case mongoMsg:
		if flags&mongoRequired&^(mongoChecksum|mongoMoreToCome) != 0 || flags>>17 != 0 {
			return false
		}
		m := readMongo(data, &h)
		return !m.bad && (len(m.list) > 0 || m.hasBody && m.looksSo(d))
	case mongoCompressed:
		inner, length := flags, binary.LittleEndian.Uint32(rest[4:])
		return (inner == mongoMsg || inner == mongoQuery || inner == mongoReply) && length > 0 && length <= maxMongo && rest[8] <= 3
	case mongoReply:
		return flags&^0xf == 0 && h.answers != 0
	}
	name, _, ok := bytes.Cut(rest[4:], []byte{0})
	at := bytes.IndexByte(name, '.')
	return ok && flags&^0xff == 0 && at > 0 && isPrintable(name) && h.op == mongoQuery
}

func isPrintable(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

// mongoMessage is an OP_MSG taken apart.
type mongoMessage struct {
	flags   uint32
	body    bsonReader
	hasBody bool
	bad     bool
	// list is the name of the documents that come beside the body, and what there
	// is of them.
	list      string
	documents bsonSequence
}

// readMongo takes an OP_MSG apart, which may be cut.
func readMongo(data []byte, h *mongoHead) (m mongoMessage) {
	if len(data) < mongoHeader+5 {
		return m
	}
	m.flags = binary.LittleEndian.Uint32(data[mongoHeader:])
	size := int64(h.size)
	if m.flags&mongoChecksum != 0 {
		size -= 4
	}
	data = data[:min(int64(len(data)), size)]
	for at := int64(mongoHeader + 4); at+5 <= int64(len(data)) && !m.bad; {
		n := int64(binary.LittleEndian.Uint32(data[at+1:]))
		section := data[at+1 : min(at+1+n, int64(len(data)))]
		switch {
		case n < 5 || at+1+n > size:
			m.bad = true
		case data[at] == 0 && !m.hasBody:
			m.body, m.hasBody = readBSON(data[at+1:]), true
		case data[at] == 1:
			isCut := int64(len(section)) < n
			name, documents, ok := bytes.Cut(section[4:], []byte{0})
			m.bad = !isIdentifier(name) || !ok && !isCut
			if ok {
				m.list, m.documents = string(name), bsonSequence{documents, isCut}
			}
		default:
			m.bad = true
		}
		at += 1 + n
	}
	return m
}

// looksSo says whether the body can be a command, or an answer.
func (m *mongoMessage) looksSo(d direction) bool {
	r := m.body
	e, ok := r.next()
	if !ok || !isIdentifier(bytes.TrimLeft(e.key, "$")) {
		return false
	}
	for ok {
		if string(e.key) == "$db" {
			return e.kind == bsonString
		}
		e, ok = r.next()
	}
	return !r.bad && (r.cut || d == toClient)
}

// mongo follows a connection.
type mongo struct {
	link   *link
	losses uint32 // of answers, as of the latest frame
}

func openMongo(l *link) session { return &mongo{l, l.losses[toClient]} }

func (s *mongo) measure(_ direction, data []byte) int64 {
	h := readMongoHead(data)
	switch {
	case len(data) < mongoHeader:
		return 0
	case !h.fromProtocol:
		return -1
	}
	return int64(h.size)
}

// resume looks for a whole head with what can't be by chance behind it.
func (s *mongo) resume(d direction, data []byte) int {
	for i := range data {
		if mongoBegins(d, data[i:]) && (d == toServer || s.link.find(uint64(readMongoHead(data[i:]).answers)) != nil) {
			return i
		}
	}
	return -1
}

func (s *mongo) take(d direction, f *frame) bool {
	if s.losses != s.link.losses[toClient] { // which answers were in the gap is not known
		s.losses = s.link.losses[toClient]
		s.link.voidAll(endUnseen)
	}
	h := readMongoHead(f.data)
	switch {
	case !h.fromProtocol:
		return len(f.data) < mongoHeader
	case d == toServer && h.answers == 0:
		return s.ask(f, &h)
	case d == toClient && h.answers != 0:
		return s.answer(f, &h)
	}
	return false
}

// ask takes a message of a client.
func (s *mongo) ask(f *frame, h *mongoHead) bool {
	var m mongoMessage
	if h.op == mongoMsg {
		if m = readMongo(f.data, h); m.bad {
			return false
		}
	}
	q := s.link.ask(f)
	q.id = uint64(h.id)
	q.attributes = append(make([]attribute.KeyValue, 0, 12), semconv.DBSystemNameMongoDB)
	switch {
	case h.op == mongoCompressed:
		s.link.drop(q, opaque)
		return true
	case h.op != mongoMsg:
		return s.legacy(q, f, h.op)
	case !m.hasBody:
		s.link.drop(q, uncaptured)
		return true
	}
	c := mongoCommand{message: m}
	if !c.read(s.link, q) {
		return false
	}
	if m.flags&mongoMoreToCome != 0 {
		s.link.finish(q, f)
	}
	return true
}

// mongoLegacy names those that clients sent before OP_MSG.
var mongoLegacy = map[uint32]string{
	mongoUpdate: "update", mongoInsert: "insert", mongoQuery: "find",
	mongoGetMore: "getMore", mongoDelete: "delete", mongoKillCursors: "killCursors",
}

// legacy takes one of the operations of old. A query of the collection $cmd is a
// command: drivers still greet so.
func (s *mongo) legacy(q *query, f *frame, op uint32) bool {
	q.Operation = mongoLegacy[op]
	if q.Operation == "" {
		return false
	}
	rest := f.data[min(len(f.data), mongoHeader+4):]
	name, rest, _ := bytes.Cut(rest, []byte{0})
	namespace, collection, _ := bytes.Cut(name, []byte("."))
	switch {
	case op == mongoKillCursors: // it names numbers
	case op == mongoQuery && string(collection) == "$cmd":
		c := mongoCommand{namespace: string(namespace)}
		c.message.body = readBSON(rest[min(len(rest), 8):])
		return c.read(s.link, q)
	default:
		(&mongoCommand{namespace: string(namespace), collection: string(collection)}).name(q)
	}
	if op != mongoQuery && op != mongoGetMore {
		s.link.finish(q, f)
	}
	return true
}

// answer takes a message of the server.
func (s *mongo) answer(f *frame, h *mongoHead) bool {
	l := s.link
	q := l.find(uint64(h.answers))
	switch {
	case q == nil && h.op != mongoCompressed:
		l.stray()
		return true
	case q == nil:
		return true // its request was
	case h.op == mongoCompressed:
		l.drop(q, opaque)
		return true
	}
	l.answer(q, f)
	var m mongoMessage
	switch h.op {
	case mongoMsg:
		if m = readMongo(f.data, h); m.bad {
			return false
		}
	case mongoReply:
		m.body = readBSON(f.data[min(len(f.data), mongoHeader+20):])
	default:
		return false
	}
	var a mongoAnswer
	a.read(m.body)
	a.describe(q)
	if m.flags&mongoMoreToCome != 0 {
		q.id, q.note = uint64(h.id), a.returned(q)
		return true
	}
	if rows := a.returned(q); rows >= 0 {
		q.number(semconv.DBResponseReturnedRowsKey, rows)
	}
	l.finish(q, f)
	return true
}
