package protocol

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

// bson makes a document of name and value, in turns: int, string, bool, or the
// bytes of a document, as which a list is written too.
func bson(pairs ...any) []byte {
	out := []byte{0, 0, 0, 0}
	for i := 0; i < len(pairs); i += 2 {
		key := append([]byte(pairs[i].(string)), 0)
		switch v := pairs[i+1].(type) {
		case int:
			out = binary.LittleEndian.AppendUint32(append(append(out, bsonInt32), key...), uint32(v))
		case bool:
			out = append(append(out, bsonBool), key...)
			if v {
				out = append(out, 1)
			} else {
				out = append(out, 0)
			}
		case string:
			out = binary.LittleEndian.AppendUint32(append(append(out, bsonString), key...), uint32(len(v)+1))
			out = append(append(out, v...), 0)
		case []byte:
			out = append(append(append(out, bsonDocument), key...), v...)
		case [][]byte:
			var items []any
			for n, item := range v {
				items = append(items, string(rune('0'+n)), item)
			}
			out = append(append(append(out, bsonArray), key...), bson(items...)...)
		}
	}
	out = append(out, 0)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out
}

// mongoBytes makes a message.
func mongoBytes(id, answers, op uint32, parts ...[]byte) []byte {
	out := make([]byte, mongoHeader)
	for _, p := range parts {
		out = append(out, p...)
	}
	for i, n := range []uint32{uint32(len(out)), id, answers, op} {
		binary.LittleEndian.PutUint32(out[4*i:], n)
	}
	return out
}

// mongoOf makes an OP_MSG with those flags.
func mongoOf(id, answers uint32, flags uint32, pairs ...any) []byte {
	head := append(binary.LittleEndian.AppendUint32(nil, flags), 0)
	return mongoBytes(id, answers, mongoMsg, head, bson(pairs...))
}

func check(t *testing.T, k talk, want ...string) {
	t.Helper()
	got, counts := k.play(RoleClient, whole, 0)
	if told := tellAll(got); !slices.Equal(told, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s\ncounts: %s", strings.Join(told, "\n\t"), strings.Join(want, "\n\t"), counts)
	}
}

// An exhaust cursor is one request with several answers, each of which answers
// the one before.
func TestMongoExhaust(t *testing.T) {
	batch := func(name string, n int) []byte {
		docs := make([][]byte, n)
		for i := range docs {
			docs[i] = bson("_id", i)
		}
		return bson(name, docs, "ns", "a.b")
	}
	k := talk{
		{d: toServer, bytes: mongoOf(7, 0, 1<<16, "getMore", 5, "collection", "b", "$db", "a")},
		{d: toClient, bytes: mongoOf(20, 7, mongoMoreToCome, "cursor", batch("nextBatch", 3), "ok", 1)},
		{d: toClient, bytes: mongoOf(21, 20, mongoMoreToCome, "cursor", batch("nextBatch", 2), "ok", 1)},
		{d: toClient, bytes: mongoOf(22, 21, 0, "cursor", batch("nextBatch", 1), "ok", 1)},
		{d: toServer, bytes: mongoOf(8, 0, 0, "drop", "b", "$db", "a")},
		{d: toClient, bytes: mongoOf(23, 8, 0, "ok", 1)},
	}
	drop := `mongodb: drop b db.system.name="mongodb" db.namespace="a" db.operation.name="drop" db.query.text="{\"drop\":\"b\"}"`
	more := `mongodb: getMore b db.system.name="mongodb" db.namespace="a" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"b\"}"`
	check(t, k, more+` db.response.returned_rows="6"`, drop)
	// Without the one in the middle, how many there were is not known.
	lost := slices.Clone(k)
	lost[3].after = len(k[2].bytes)
	check(t, slices.Delete(lost, 2, 3), more, drop)
}

func TestMongoLegacy(t *testing.T) {
	number := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	name := []byte("shop.orders\x00")
	answer := func(flags uint32, rows int, doc []byte) []byte {
		return mongoBytes(9, 3, mongoReply, number(flags), make([]byte, 12), number(uint32(rows)), doc)
	}
	query := piece{d: toServer, bytes: mongoBytes(3, 0, mongoQuery, number(0), name, number(0), number(1), bson("mail", "x@example.com"))}
	find := `mongodb: find orders`
	is := ` db.system.name="mongodb" db.namespace="shop" db.operation.name="find"`
	check(t, talk{query, {d: toClient, bytes: answer(8, 1, bson("_id", 1))}}, find+is)
	check(t, talk{query, {d: toClient, bytes: answer(2, 1, bson("$err", "no 'x'", "code", 17))}},
		find+` FAILED "no ?"`+is+` db.response.status_code="17" error.type="17"`)
	check(t, talk{
		query,
		{d: toClient, bytes: answer(8, 1, bson("_id", 1))},
		{d: toServer, bytes: mongoBytes(4, 0, mongoInsert, number(0), name, bson("_id", 1))},
	}, find+is, `mongodb: insert orders db.system.name="mongodb" db.namespace="shop" db.operation.name="insert"`)
	command := mongoBytes(3, 0, mongoQuery, number(0), []byte("shop.$cmd\x00"), number(0), number(1),
		bson("$query", bson("count", "orders", "query", bson("a", 1)), "$readPreference", bson("mode", "primary")))
	check(t, talk{{d: toServer, bytes: command}, {d: toClient, bytes: answer(8, 1, bson("n", 4, "ok", 1))}},
		`mongodb: count orders db.system.name="mongodb" db.namespace="shop" db.operation.name="count" db.query.text="{\"count\":\"orders\",\"query\":{\"a\":?}}"`)
}

// What is beyond the capture is left out, not guessed.
func TestMongoCut(t *testing.T) {
	long := strings.Repeat("x", 3000)
	k := talk{
		{d: toServer, bytes: mongoOf(1, 0, 0, "find", "b", "filter", bson("a", long), "$db", "a")},
		{d: toClient, bytes: mongoOf(5, 1, 0, "cursor", bson("firstBatch", [][]byte{bson("a", long), bson("a", 1)}), "ok", 1)},
		{d: toServer, bytes: mongoOf(2, 0, 0, "insert", "b", "documents", [][]byte{bson("a", long), bson("a", 2)}, "$db", "a")},
		{d: toClient, bytes: mongoOf(6, 2, 0, "ok", 1)},
		{d: toServer, bytes: mongoOf(3, 0, 0, long, "b", "$db", "a")},
		{d: toClient, bytes: mongoOf(7, 3, 0, "ok", 1)},
	}
	got, counts := k.play(RoleClient, 256, 128)
	want := []string{
		`mongodb: find b db.system.name="mongodb" db.operation.name="find" db.query.text="{\"find\":\"b\",\"filter\":{\"a\":?…}…}"`,
		`mongodb: insert b db.system.name="mongodb" db.operation.name="insert" db.query.text="{\"insert\":\"b\",\"documents\":[?]…}"`,
	}
	if told := tellAll(got); !slices.Equal(told, want) {
		t.Errorf("got\n\t%s\ncounts: %s", strings.Join(told, "\n\t"), counts)
	}
	if !strings.Contains(counts, "dropped beyond_capture 1") {
		t.Error(counts)
	}
}

// Documents may come before the command they belong to.
func TestMongoDocumentsFirst(t *testing.T) {
	list := append([]byte("updates\x00"), append(bson("q", bson("a", 1), "u", bson("b", 1)), bson("q", bson("a", 2), "u", bson("b", 3))...)...)
	section := append([]byte{1}, binary.LittleEndian.AppendUint32(nil, uint32(4+len(list)))...)
	body := append([]byte{0}, bson("update", "t", "$db", "a")...)
	checksum := []byte{1, 2, 3, 4}
	m := mongoBytes(1, 0, mongoMsg, binary.LittleEndian.AppendUint32(nil, mongoChecksum), section, list, body, checksum)
	check(t, talk{
		{d: toServer, bytes: m},
		{d: toClient, bytes: mongoOf(2, 1, 0, "ok", 1, "n", 2, "nModified", 1)},
	}, `mongodb: update t db.system.name="mongodb" db.namespace="a" db.operation.name="update" db.operation.batch.size="2" db.query.text="{\"update\":\"t\",\"updates\":[{\"q\":{\"a\":?},\"u\":{\"b\":?}}]}" clew.db.affected_rows="1"`)
}

func TestMongoStatement(t *testing.T) {
	filter := bson("mail", "x@example.com", "x@example.com", 1, "by.0af76519-16cd-43dd-8448-eb211c80319c", true, "list", [][]byte{bson("a", 1), bson("a", 2), bson("b", 1)})
	for _, c := range []struct {
		statement Statement
		name      string
		want      string
	}{
		{StatementSanitized, "find", `{"find":"t","filter":{"mail":?,"?":?,"?":?,"list":[{"a":?},{"b":?}]}}`},
		{StatementRaw, "find", `{"find":"t","filter":{"mail":"x@example.com","x@example.com":1,"by.0af76519-16cd-43dd-8448-eb211c80319c":true,"list":[{"a":1},{"a":2},{"b":1}]}}`},
		{StatementOff, "find", ""},
		{StatementRaw, "createUser", ""},
		{StatementSanitized, "updateUser", ""},
	} {
		var text string
		s := New(Options{
			Statement: c.statement, Sampler: traceparent.Sampler{Bound: traceparent.BoundAll},
			Emit: func(x *Exchange) {
				for _, a := range x.Attributes {
					if a.Key == "db.query.text" {
						text = a.Value.AsString()
					}
				}
			},
		})
		ask := mongoOf(1, 0, 0, c.name, "t", "filter", filter, "pwd", "secret", "$db", "a", "lsid", bson("id", 1))
		if c.name == "find" {
			ask = mongoOf(1, 0, 0, c.name, "t", "filter", filter, "$db", "a", "lsid", bson("id", 1))
		}
		for i, m := range []piece{{d: toServer, bytes: ask}, {d: toClient, bytes: mongoOf(2, 1, 0, "ok", 1)}} {
			s.Segment(&Segment{Connection: 1, Role: RoleClient, ToServer: i == 0, Size: uint64(len(m.bytes)), Head: m.bytes, Time: at(i), Trace: Trace{SpanID: [8]byte{1}, Sampled: true}})
		}
		if text != c.want {
			t.Errorf("%s with %d: got %s, want %s", c.name, c.statement, text, c.want)
		}
	}
}

func TestDetectMongo(t *testing.T) {
	good := mongoOf(1, 0, 0, "find", "t", "$db", "a")
	change := func(at int, b byte) []byte {
		out := slices.Clone(good)
		out[at] = b
		return out
	}
	for _, c := range []struct {
		what string
		d    direction
		data []byte
		want bool
	}{
		{"command", toServer, good, true},
		{"two", toServer, append(slices.Clone(good), good...), true},
		{"noise behind", toServer, append(slices.Clone(good), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"...), false},
		{"an answer's direction", toClient, good, false},
		{"answers something", toServer, change(8, 1), false},
		{"unknown operation", toServer, change(12, 0xde), false},
		{"unknown flags", toServer, change(16, 4), false},
		{"unknown section", toServer, change(20, 2), false},
		{"document too long", toServer, change(21, 0xff), false},
		{"name with a control character", toServer, change(26, 1), false},
		{"no database", toServer, mongoOf(1, 0, 0, "find", "t"), false},
		{"database is a number", toServer, mongoOf(1, 0, 0, "find", "t", "$db", 1), false},
		{"too long", toServer, change(3, 0x7f), false},
		{"empty", toServer, nil, false},
		{"head", toServer, good[:16], false},
		{"captured in part", toServer, good[:40], true},
		{"compressed", toServer, mongoBytes(1, 0, mongoCompressed, []byte{0xdd, 7, 0, 0, 90, 0, 0, 0, 2, 'x'}), true},
		{"compressed by what", toServer, mongoBytes(1, 0, mongoCompressed, []byte{0xdd, 7, 0, 0, 90, 0, 0, 0, 9, 'x'}), false},
	} {
		size := len(c.data)
		if c.what == "captured in part" {
			size = len(good)
		}
		if got := detectMongo(c.d, c.data, uint64(size)); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestBSONNeverEnds(t *testing.T) {
	doc := bson("a", 1, "b", "text", "c", bson("d", [][]byte{bson("e", true)}), "f", 2)
	for at := range doc {
		for _, b := range []byte{0, 1, 2, 3, 4, 5, 0x0b, 0x0c, 0x0f, 0x7f, 0x80, 0xff} {
			broken := slices.Clone(doc)
			broken[at] = b
			for end := range len(broken) + 1 {
				r := readBSON(broken[:end])
				r.count()
				text := bsonText{raw: at%2 == 0}
				text.document(r, 0)
				if len(text.out) > 2*maxBSONText {
					t.Fatalf("%d bytes of text", len(text.out))
				}
			}
		}
	}
}
