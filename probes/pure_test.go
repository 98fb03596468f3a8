package probes

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf/rlimit"
)

// pure runs the helpers of bpf/test/pure.bpf.c in the kernel.
type pure struct {
	objects pureObjects
}

func loadPureHelpers(t *testing.T) *pure {
	t.Helper()
	return loadPureWith(t, nil)
}

// loadPureWith does with constants of bpf/include/settings.h.
func loadPureWith(t *testing.T, set settings) *pure {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: BPF programs are loaded")
	}
	_ = rlimit.RemoveMemlock()
	spec, err := loadPure()
	if err != nil {
		t.Fatal(err)
	}
	if err := set.apply(spec); err != nil {
		t.Fatal(err)
	}
	p := &pure{}
	if err := spec.LoadAndAssign(&p.objects, nil); err != nil {
		t.Fatalf("load helpers: %+v", err)
	}
	t.Cleanup(func() { _ = p.objects.Close() })
	return p
}

// read has the kernel look at the head of a message.
func (p *pure) read(t *testing.T, head string) pureResult {
	t.Helper()
	return p.readOf(t, head, len(head))
}

// readOf does with the first bytes of a segment of that size.
func (p *pure) readOf(t *testing.T, head string, size int) pureResult {
	t.Helper()
	in := pureInput{Len: uint32(len(head)), Size: uint32(size)}
	copy(in.Bytes[:], head)
	if err := p.objects.Inputs.Put(uint32(0), in); err != nil {
		t.Fatal(err)
	}
	code, _, err := p.objects.ReadHead.Test(make([]byte, 14)) // the smallest packet there is
	if err != nil || code != 0 {
		t.Fatalf("read %q: code %d, error %v", head, int32(code), err)
	}
	var r pureResult
	if err := p.objects.Results.Lookup(uint32(0), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHead(t *testing.T) {
	p := loadPureHelpers(t)
	pad := strings.Repeat("X-Padding: 0123456789abcdef\r\n", 100)
	tests := []struct {
		name, head string
		start      pureStart
		end        int // of the head; 0: not complete
		length     int // Content-Length; -1: none
		chunked    bool
		line       bool // ends as a request line
	}{
		{"get", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", pureStartSTART_REQUEST, 27, -1, false, true},
		{"get with body bytes", "POST /a HTTP/1.1\r\ncontent-length: 42\r\n\r\nGET / HTTP/1.1\r\n", pureStartSTART_REQUEST, 40, 42, false, true},
		{"upper case", "PUT /a HTTP/1.1\r\nCONTENT-LENGTH:\t 7\r\n\r\n", pureStartSTART_REQUEST, 39, 7, false, true},
		{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", pureStartSTART_REQUEST, 47, -1, true, true},
		{"gzip, chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n", pureStartSTART_REQUEST, 53, -1, true, true},
		{"gzip alone", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", pureStartSTART_REQUEST, 44, -1, false, true},
		{"line feeds only", "GET /x HTTP/1.0\nHost: a\nContent-Length: 3\n\nabc", pureStartSTART_REQUEST, 43, 3, false, true},
		{"adjacent line feeds", "GET /y HTTP/1.0\n\n", pureStartSTART_REQUEST, 17, -1, false, true},
		{"not complete", "GET / HTTP/1.1\r\nHost: a\r\n", pureStartSTART_REQUEST, 0, -1, false, true},
		{"unknown method", "PROPFIND /dav HTTP/1.1\r\nHost: a\r\n\r\n", pureStartSTART_REQUEST, 35, -1, false, true},
		{"longest method", "BASELINE-CONTROL /d HTTP/1.1\r\nHost: a\r\n\r\n", pureStartSTART_REQUEST, 41, -1, false, true},
		{"response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", pureStartSTART_RESPONSE, 38, 0, false, false},
		{"long head", "GET / HTTP/1.1\r\n" + pad + "Content-Length: 9\r\n\r\n", pureStartSTART_REQUEST, 16 + len(pad) + 21, 9, false, true},
		{"length without digits", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", pureStartSTART_REQUEST, 37, -1, false, true},
		{"name with a prefix", "GET / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n", pureStartSTART_REQUEST, 39, -1, false, true},
		{"redis inline", "GET some-key\r\n...", pureStartSTART_REQUEST, 0, -1, false, false},
		{"redis", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", pureStartSTART_NOTHING, 0, -1, false, false},
		{"tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaa", pureStartSTART_NOTHING, 0, -1, false, false},
		{"http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", pureStartSTART_REQUEST, 18, -1, false, false},
		{"lower case", "get / HTTP/1.1\r\n\r\n", pureStartSTART_NOTHING, 18, -1, false, true},
		{"NULs", strings.Repeat("\x00", 40), pureStartSTART_NOTHING, 0, -1, false, false},
		{"SMTP", "EHLO mail.example.com\r\n", pureStartSTART_REQUEST, 0, -1, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := p.read(t, test.head)
			length := -1
			if r.Head.HasLength != 0 {
				length = int(r.Head.ContentLength)
			}
			got := fmt.Sprintln(r.Start, r.Head.End, length, r.Head.Chunked != 0, r.RequestLine != 0)
			want := fmt.Sprintln(test.start, test.end, length, test.chunked, test.line)
			if got != want || length != test.length {
				t.Errorf("got  %s length %d\nwant %s length %d", got, length, want, test.length)
			}
		})
	}
}

// The start of every message must be recognised, or waited for, at every length.
func TestHeadPrefixes(t *testing.T) {
	p := loadPureHelpers(t)
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
	} {
		for n := 1; n < len(head); n++ {
			r := p.read(t, head[:n])
			if r.Start == pureStartSTART_NOTHING || r.Head.End != 0 {
				t.Errorf("%q: start %d, end %d", head[:n], r.Start, r.Head.End)
			}
		}
	}
}

// forVectors calls each for the lines of one kind in the file that the Go twin
// is tested with.
func forVectors(t *testing.T, kind string, each func(t *testing.T, fields []string)) {
	t.Helper()
	file, err := os.Open("../context/traceparent/testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if fields[0] == kind {
			n++
			each(t, fields[1:])
		}
	}
	if n < 20 {
		t.Fatalf("only %d vectors of kind %s", n, kind)
	}
}

func TestTraceparent(t *testing.T) {
	p := loadPureHelpers(t)
	for _, name := range []string{"traceparent", "Traceparent", "TRACEPARENT"} {
		forVectors(t, "traceparent", func(t *testing.T, fields []string) {
			value := unescape(t, strings.Join(fields[1:], "\t"))
			if strings.Trim(value, " \t") != value || strings.ContainsAny(value, "\r\n") {
				return // no header has such a value: white space around it is not part of it
			}
			if len(value) > 4000 {
				return // longer than the head that the kernel looks at
			}
			r := p.read(t, "GET / HTTP/1.1\r\nHost: a\r\n"+name+": "+value+"\r\nAccept: */*\r\n\r\n")
			got := "-"
			if r.Parsed != 0 {
				got = fmt.Sprintf("%x %x sampled %d", r.Context.TraceId, r.Context.SpanId, r.Context.Sampled)
			}
			want := fields[0]
			if want != "-" {
				flags, err := strconv.ParseUint(want[len(want)-2:], 16, 8)
				if err != nil {
					t.Fatal(err)
				}
				want = fmt.Sprintf("%s sampled %d", want[:len(want)-3], flags&1)
			}
			if got != want {
				t.Errorf("%s: %q\ngot  %s\nwant %s", name, value, got, want)
			}
		})
	}
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			v, err := hex.DecodeString(s[i+2 : i+4])
			if err != nil {
				t.Fatalf("vector %q: %v", s, err)
			}
			b.Write(v)
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// The header may stand anywhere in the first 4 KiB.
func TestTraceparentAnywhere(t *testing.T) {
	p := loadPureHelpers(t)
	const header = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
	for n := 0; n < 4096-len(header)-30; n += 13 {
		head := "GET / HTTP/1.1\r\n"
		if n > 3 {
			head += "X:" + strings.Repeat("a", n-3) + "\r\n"
		}
		head += header + "\r\n"
		if r := p.read(t, head); r.Parsed != 1 {
			t.Fatalf("not found behind %d bytes", len(head)-len(header)-2)
		}
	}
	if r := p.read(t, "GET / HTTP/1.1\r\n"+header+header+"\r\n"); r.Head.Traceparents != 2 {
		t.Errorf("two headers counted as %d", r.Head.Traceparents)
	}
}

func TestSample(t *testing.T) {
	p := loadPureHelpers(t)
	forVectors(t, "sample", func(t *testing.T, fields []string) {
		bound, err := strconv.ParseUint(fields[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		id, err := hex.DecodeString(fields[3])
		if err != nil {
			t.Fatal(err)
		}
		code, _, err := p.objects.Sample.Test(binary.NativeEndian.AppendUint64(id, bound))
		if err != nil {
			t.Fatal(err)
		}
		if got := strconv.Itoa(int(code)); got != fields[0] {
			t.Errorf("sample %v: got %s", fields, got)
		}
	})
}
