package protocol

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/context/traceparent"
)

func FuzzHTTP(f *testing.F) {
	_, cases := readCases(f)
	for _, c := range cases {
		f.Add(c.request, c.response, true, uint16(len(c.request)))
		f.Add(c.request, c.response, false, uint16(2000))
	}
	f.Fuzz(func(t *testing.T, request, response []byte, truncated bool, bytes uint16) {
		for _, role := range []Role{RoleServer, RoleClient} {
			list := messages(role, request, response)
			list[0].Truncated, list[0].Bytes = truncated, uint64(bytes)
			out, _ := run(Options{Headers: []string{"host", "content-type"}, Sampler: traceparent.Sampler{Bound: traceparent.BoundAll}}, list...)
			for _, x := range out {
				checkText(t, x)
			}
		}
	})
}

// FuzzConversations plays any order of parts on two connections.
func FuzzConversations(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, []byte(get), []byte(ok))
	f.Add([]byte{0, 0x10, 0x21, 0x41, 0x82, 3, 0x60, 0x61}, []byte(get+get), []byte(ok))
	f.Fuzz(func(t *testing.T, script, request, response []byte) {
		s := New(Options{Emit: func(x *Exchange) { checkText(t, x) }, Limits: Limits{Connections: 2, Calls: 8}})
		var lost [2]uint32
		for i, b := range script {
			m := message(Part(b&3)+1, i, string(request))
			if m.Part != PartRequest {
				m.Head = response
			}
			c := b >> 2 & 1
			m.Connection, m.Complete, m.Rescued, m.Truncated = uint64(c), b&8 != 0, b&16 != 0, b&32 != 0
			if b&64 != 0 {
				lost[c]++
			}
			m.Lost = lost[c]
			s.Handle(m)
			if b&128 != 0 {
				s.Expire(at(i + 400_000))
			}
		}
		calls := 0
		for _, v := range s.table {
			n := 0
			for c := v.first; c != nil; c = c.next {
				n++
			}
			if n != v.depth || v.depth > maxDepth+64 {
				t.Fatalf("%d calls, depth %d", n, v.depth)
			}
			calls += n
		}
		if calls != s.calls {
			t.Fatalf("%d calls, %d counted", calls, s.calls)
		}
	})
}

// head returns the head of a message from testdata, with the line ends of the
// wire.
func head(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\n", "\r\n")
}

// cpuTime returns what the process has used of all processors, the garbage
// collector's share included.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkConversations(b *testing.B) {
	request := message(PartRequest, 0, head(b, "request.txt"))
	response := message(PartResponse, 1, head(b, "response.txt"))
	end := message(PartEnd, 2, "")
	n := 0
	s := New(Options{Emit: func(*Exchange) { n++ }})
	b.ReportAllocs()
	before := cpuTime(b)
	for i := range b.N {
		id := uint64(i % 1000)
		request.Connection, response.Connection, end.Connection = id, id, id
		s.Handle(request)
		s.Handle(response)
		s.Handle(end)
	}
	// On a machine that does other things, elapsed time says little.
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	if n != b.N {
		b.Fatal(count(s))
	}
}
