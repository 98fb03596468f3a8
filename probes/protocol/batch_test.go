package protocol

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// array writes a command of Redis.
func array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// from is what a task sends at a time, as a part of its trace.
func from(s *Conversations, tid uint32, parent byte, ms int, position *uint64, bytes string) {
	m := &Segment{
		Connection: 1, PID: 1, TID: tid, Role: RoleClient, ToServer: true, Time: at(ms), Position: *position,
		Size: uint64(len(bytes)), Head: []byte(bytes),
		Trace: Trace{TraceID: [16]byte{parent}, SpanID: [8]byte{byte(ms), 7}, ParentID: [8]byte{parent}, Sampled: true, Evidence: EvidenceThread},
	}
	*position += m.Size
	s.Segment(m)
}

func answers(s *Conversations, ms int, position *uint64, bytes string) {
	s.Segment(&Segment{
		Connection: 1, PID: 1, Role: RoleClient, Time: at(ms), Position: *position, Size: uint64(len(bytes)), Head: []byte(bytes),
	})
	*position += uint64(len(bytes))
}

func collect(out *[]*Exchange) *Conversations {
	return New(Options{Emit: func(x *Exchange) {
		own := *x
		*out = append(*out, &own)
	}})
}

// TestBatch has tasks that share a connection: what each sends is its own.
func TestBatch(t *testing.T) {
	var out []*Exchange
	s := collect(&out)
	var sent, got uint64
	from(s, 1, 1, 0, &sent, array("GET", "a")+array("GET", "b"))
	from(s, 1, 1, 1, &sent, array("SET", "c", "1"))
	from(s, 2, 2, 2, &sent, array("GET", "d"))    // another task
	from(s, 2, 3, 3, &sent, array("GET", "e"))    // the same, for another request
	from(s, 2, 3, 4, &sent, array("SELECT", "1")) // changes the connection
	from(s, 2, 3, 5, &sent, array("GET", "f"))    // so this comes after it
	answers(s, 6, &got, "$1\r\n1\r\n$-1\r\n+OK\r\n$-1\r\n$-1\r\n")
	from(s, 2, 3, 7, &sent, array("GET", "g")) // there was an answer
	answers(s, 8, &got, "+OK\r\n$-1\r\n$-1\r\n")
	want := []string{
		"PIPELINE 0-6 parent 1", "GET 2-6 parent 2", "GET 3-6 parent 3", "SELECT 4-8 parent 3", "GET 5-8 parent 3", "GET 7-8 parent 3",
	}
	var list []string
	for _, x := range out {
		list = append(list, fmt.Sprintf("%s %d-%d parent %d", x.Operation, x.Start.Sub(at(0)).Milliseconds(), x.End.Sub(at(0)).Milliseconds(), x.Trace.ParentID[0]))
	}
	if !slices.Equal(list, want) {
		t.Errorf("%q, %s", list, count(s))
	}
	if a := attributeOf(out[0], "db.operation.batch.size"); a != "3" {
		t.Errorf("size %s", a)
	}
}

// TestBatchLong pipelines more than can wait one by one, in parts.
func TestBatchLong(t *testing.T) {
	var out []*Exchange
	s := collect(&out)
	var sent, got uint64
	for i := range 100 {
		from(s, 1, 1, i, &sent, strings.Repeat(array("SET", "key", "value"), 50))
	}
	from(s, 1, 1, 100, &sent, strings.Repeat(array("GET", "key"), 20)+array("INCR", "key"))
	answers(s, 101, &got, strings.Repeat("+OK\r\n", 5000)+strings.Repeat("$5\r\nvalue\r\n", 20))
	if len(out) != 0 {
		t.Fatal("over before its last answer")
	}
	answers(s, 102, &got, "-ERR value is not an integer\r\n")
	if len(out) != 1 || attributeOf(out[0], "db.operation.batch.size") != "5021" || out[0].Operation != "PIPELINE" {
		t.Fatalf("%d, %s", len(out), count(s))
	}
	if m := "1 of 5021 commands failed, the first: ERR value is not an integer"; out[0].Message != m {
		t.Error(out[0].Message)
	}
	text := attributeOf(out[0], "db.query.text")
	if !strings.HasPrefix(text, "SET ? ?; SET ? ?; ") || len(text) > maxBatchText+3 || !strings.HasSuffix(text, "...") {
		t.Errorf("%d: %s", len(text), text)
	}
}

// TestBatchGap loses bytes in the answer to several commands: the span ends
// with the last byte seen before the client goes on.
func TestBatchGap(t *testing.T) {
	var out []*Exchange
	s := collect(&out)
	var sent, got uint64
	from(s, 1, 1, 0, &sent, array("GET", "a")+array("GET", "b"))
	answers(s, 1, &got, "$100\r\nabc")
	got += 5000
	answers(s, 2, &got, "def\r\n")
	from(s, 1, 2, 3, &sent, array("GET", "c"))
	answers(s, 4, &got, "$1\r\n1\r\n")
	if len(out) != 2 || out[0].End != at(2) || out[0].Operation != "PIPELINE GET" || out[1].End != at(4) {
		t.Errorf("%q, %s", tellAll(out), count(s))
	}
}

// TestPatience has commands that wait for what is not there yet.
func TestPatience(t *testing.T) {
	var out []*Exchange
	s := collect(&out)
	var sent, got uint64
	from(s, 1, 1, 0, &sent, array("BLPOP", "jobs", "0"))
	s.Expire(at(0).Add(time.Hour))
	answers(s, 4_000_000, &got, "*2\r\n$4\r\njobs\r\n$1\r\n1\r\n")
	from(s, 1, 1, 4_000_001, &sent, array("GET", "a"))
	s.Expire(at(8_000_000))
	if len(out) != 2 || out[0].Failed || out[0].End != at(4_000_000) || attributeOf(out[1], "error.type") != "timeout" {
		t.Errorf("%q, %s", tellAll(out), count(s))
	}
}
