package probes

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

// What makes parsers differ on a head is noticed, before its end only.
func TestOddHeads(t *testing.T) {
	p := loadPureReading(t, everyFormat)
	many := strings.Repeat("Cookie: a\r\n", 31)
	tests := []struct {
		name, head   string
		odd, lengths uint8
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 0, 1},
		{"body of lines", "GET / HTTP/1.1\r\nHost: a\r\n\r\nfolded\n line\n\tContent-Length: 1\nContent-Length: 1\n", 0, 0},
		{"nothing but a first line", "GET / HTTP/1.1\r\n\r\n", 0, 0},
		{"first line without CR", "GET / HTTP/1.1\nHost: a\r\n\r\n", 1, 0},
		{"a line without CR", "GET / HTTP/1.1\r\nHost: a\nAccept: b\r\n\r\n", 1, 0},
		{"last line without CR", "GET / HTTP/1.1\r\nHost: a\n\r\n", 1, 0},
		{"end without CR", "GET / HTTP/1.1\r\nHost: a\r\n\n", 1, 0},
		{"folded with a space", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 1, 0},
		{"folded with a tab", "GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", 1, 0},
		{"folded behind the first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 1, 0},
		{"line of one space", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", 1, 0},
		{"spaces inside", "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n", 0, 0},
		{"two lengths", "GET / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\n", 0, 2},
		{"lengths without digits", "GET / HTTP/1.1\r\nContent-Length:\r\ncontent-length: x\r\nCONTENT-LENGTH: -1\r\n\r\n", 0, 3},
		{"not a length", "GET / HTTP/1.1\r\nContent-Lengths: 3\r\nX-Content-Length: 3\r\n\r\n", 0, 0},
		{"as many lines as are kept", "GET / HTTP/1.1\r\n" + many + "Content-Length: 3\r\n\r\n", 0, 1},
		{"more lines than are kept", "GET / HTTP/1.1\r\n" + many + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 1, 1},
		{"many lines of no interest", "GET / HTTP/1.1\r\n" + strings.Repeat("X-Forwarded-For: a\r\nBaggage: b\r\n", 40) + "Content-Length: 3\r\n\r\n", 0, 1},
	}
	for _, test := range tests {
		r := p.read(t, test.head)
		if r.Head.End == 0 || r.Head.Odd != test.odd || r.Head.Lengths != test.lengths {
			t.Errorf("%s: end %d odd %d lengths %d, want odd %d lengths %d",
				test.name, r.Head.End, r.Head.Odd, r.Head.Lengths, test.odd, test.lengths)
		}
	}
	// Bytes of an older head stand behind: they fold nothing.
	p.read(t, strings.Repeat(" ", 4096))
	if r := p.read(t, "GET / HTTP/1.1\r\nHost: a\r\n"); r.Head.Odd != 0 || r.Head.End != 0 {
		t.Errorf("not complete: odd %d, end %d", r.Head.Odd, r.Head.End)
	}
}

// The places of tracestate values, white space left out.
func TestStates(t *testing.T) {
	p := loadPureHelpers(t)
	head := getLine + "tracestate: a=1\r\nTraceState:b=2 \t\r\ntracestate:\r\nTRACESTATE: \t \r\n" +
		"tracestates: x=1\r\ntracestate:  c=3,d=4\ntracestate: e=5\r\ntracestate: f=6\r\n\r\n"
	r := p.read(t, head)
	var got []string
	for i := range min(int(r.Head.States), len(r.Head.State)) {
		got = append(got, head[r.Head.State[i]:r.Head.StateEnd[i]])
	}
	if want := "5 [a=1 b=2 c=3,d=4 e=5]"; fmt.Sprint(r.Head.States, got) != want {
		t.Errorf("got %d %v, want %s", r.Head.States, got, want)
	}
	if r = p.read(t, getLine+"\r\n"); r.Head.States != 0 {
		t.Errorf("%d of an earlier head", r.Head.States)
	}
	p = loadPureReading(t, traceparent.B3)
	if r = p.read(t, head); r.Head.States != 0 {
		t.Errorf("%d, although tracestate is not read", r.Head.States)
	}
}

// keep has the kernel keep fields of tracestate, and returns what is there then.
func (p *pure) keep(t *testing.T, fields []string) string {
	t.Helper()
	head := "GET / HTTP/1.1\r\n" + ownW3C
	for _, field := range fields {
		head += "tracestate: " + field + "\r\n"
	}
	r := p.read(t, head+"\r\n")
	var s pureState
	err := p.objects.States.Lookup(uint64(1), &s)
	if (err == nil) != (r.Kept != 0) {
		t.Fatalf("%q: kept %d, looked up with %v", fields, r.Kept, err)
	}
	if err == nil && (s.Id != 1 || s.Len == 0) {
		t.Fatalf("%q: kept for request %d, %d bytes", fields, s.Id, s.Len)
	}
	return string(s.Bytes[:s.Len])
}

// joined is what of the fields is to be kept.
func joined(fields []string) string {
	all := strings.Join(fields[:min(len(fields), 4)], ",")
	fits := all[:min(len(all), 512)]
	if strings.ContainsFunc(fits, func(c rune) bool { return c < ' ' || c > '~' }) {
		return ""
	}
	if len(all) > 512 && all[512] != ',' {
		return fits[:max(strings.LastIndex(fits, ","), 0)]
	}
	return fits
}

func TestStateKept(t *testing.T) {
	p := loadPureHelpers(t)
	of := func(n int) string { return "k=" + strings.Repeat("v", n-2) }
	tests := []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{"a=1"}, "a=1"},
		{[]string{"a=1, b=2"}, "a=1, b=2"},
		{[]string{"a=1", "b=2,c=3", "d=4", "e=5"}, "a=1,b=2,c=3,d=4,e=5"},
		{[]string{"a=1", "b=2", "c=3", "d=4", "e=5"}, "a=1,b=2,c=3,d=4"},
		{[]string{of(512)}, of(512)},
		{[]string{of(513)}, ""},
		{[]string{of(508) + ",a=1"}, of(508) + ",a=1"},
		{[]string{of(508), "a=1"}, of(508) + ",a=1"},
		{[]string{of(509) + ",a=1"}, of(509)},
		{[]string{of(509), "a=1"}, of(509)},
		{[]string{of(511), "a=1"}, of(511)},
		{[]string{of(512), "a=1"}, of(512)},
		{[]string{of(512) + ",a=1", "b=2"}, of(512)},
		{[]string{"a=1,b=2", of(505), "c=3"}, "a=1,b=2"},
		{[]string{"a=1,b=2", of(504), "c=3"}, "a=1,b=2," + of(504)},
		{[]string{"a=1", of(600) + ",c=3"}, "a=1"},
		{[]string{"a=\x1f"}, ""},
		{[]string{"a=\x7f"}, ""},
		{[]string{"a= ~"}, "a= ~"},
		{[]string{"a=1", "b=\xc3\xa9"}, ""},
		{[]string{"a=\x00,b=2"}, ""},
		{[]string{"a=1\t,b=2"}, ""},
	}
	for _, test := range tests {
		if got := p.keep(t, test.fields); got != test.want {
			t.Errorf("%q\ngot  %q\nwant %q", test.fields, got, test.want)
		}
		if got := joined(test.fields); got != test.want {
			t.Errorf("the test itself joins %q to %q, want %q", test.fields, got, test.want)
		}
	}
}

// Any lists, near the bound and far, with a foreign byte now and then.
func TestStateKeptOfAny(t *testing.T) {
	p := loadPureHelpers(t)
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		fields := make([]string, 1+r.IntN(5))
		for i := range fields {
			b := make([]byte, 1+r.IntN(1300/len(fields)))
			for k := range b {
				b[k] = "abc=,,0~"[r.IntN(8)]
			}
			if r.IntN(20) == 0 {
				b[r.IntN(len(b))] = "\x01\x7f\x80\xff"[r.IntN(4)]
			}
			fields[i] = string(b)
		}
		if got, want := p.keep(t, fields), joined(fields); got != want {
			t.Fatalf("%q\ngot  %q\nwant %q", fields, got, want)
		}
	}
}

// The same method and target give the same number, others another one.
func TestLineHash(t *testing.T) {
	p := loadPureHelpers(t)
	seen := make(map[uint64]string)
	for n := range 40 {
		target := "/" + strings.Repeat("a", n)
		for _, line := range []string{"GET " + target, "PUT " + target, "GET " + target + "?", "GET " + target + "b", "GET  " + target} {
			hash := p.read(t, line+" HTTP/1.1\r\nHost: a\r\n\r\n").Line
			if other, ok := seen[hash]; (ok && other != line) || hash == 0 {
				t.Errorf("%q and %q: %#x", line, other, hash)
			}
			seen[hash] = line
			p.read(t, strings.Repeat("z", 2000)) // stays behind the next one
			for _, as := range []string{" HTTP/1.0\r\n\r\n", " HTTP/1.1\nX: y\r\n\r\n"} {
				if again := p.read(t, line+as).Line; again != hash {
					t.Errorf("%q: %#x, then %#x", line+as, hash, again)
				}
			}
		}
	}
	longest := "GET /" + strings.Repeat("a", 1024-5)
	for line, isNone := range map[string]bool{
		longest + " HTTP/1.1\r\n\r\n":                false,
		longest + "a HTTP/1.1\r\n\r\n":               true,
		"GET /" + strings.Repeat("a", 4091):          true,
		"HTTP/1.1 200 OK\r\n\r\n":                    true,
		"GET / HTTP/1.1":                             true, // its end is not seen
		" HTTP/1.1\r\n\r\n":                          true,
		"*1\r\n$4\r\nPING\r\n":                       true,
		"GET / HTTP/2.0\r\n\r\n":                     true,
		"GET /a\x00\xff HTTP/1.1\r\nHost: a\r\n\r\n": false,
	} {
		if hash := p.read(t, line).Line; (hash == 0) != isNone {
			t.Errorf("%.40q...: %#x", line, hash)
		}
	}
	other := loadPureWith(t, settings{"id_seed": [2]uint64{1, 2}})
	if hash := other.read(t, "GET / HTTP/1.1\r\n\r\n").Line; seen[hash] != "" || hash == 0 {
		t.Errorf("%#x with another seed too", hash)
	}
}

// Every part of a context counts for its number, the decision does not.
func TestContextHash(t *testing.T) {
	p := loadPureHelpers(t)
	of := func(value string) uint64 {
		r := p.read(t, getLine+"traceparent: "+value+"\r\n\r\n")
		if r.Parsed != 1 || r.Ids == 0 {
			t.Fatalf("%s: parsed %d, %#x", value, r.Parsed, r.Ids)
		}
		return r.Ids
	}
	const value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	first := of(value)
	if of(value[:53]+"00") != first {
		t.Error("the flags count")
	}
	for at := 3; at < 52; at++ {
		if at == 35 {
			continue
		}
		if of(value[:at]+string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", value[at])+1)%16])+value[at+1:]) == first {
			t.Errorf("the digit at %d does not count", at)
		}
	}
}
