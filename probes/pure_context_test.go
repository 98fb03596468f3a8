package probes

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

const everyFormat = traceparent.TraceContext | traceparent.B3 | traceparent.B3Multi

func loadPureReading(t *testing.T, formats traceparent.Propagator) *pure {
	t.Helper()
	return loadPureWith(t, settings{"formats_read": uint8(formats)})
}

// The numbers of bpf/include/field.h and those of user space mean the same.
func TestFormatsAgree(t *testing.T) {
	for kernel, user := range map[pureFormat]traceparent.Propagator{
		pureFormatFORMAT_TRACECONTEXT: traceparent.TraceContext,
		pureFormatFORMAT_B3:           traceparent.B3,
		pureFormatFORMAT_B3MULTI:      traceparent.B3Multi,
	} {
		if uint8(kernel) != uint8(user) {
			t.Errorf("format %d of the kernel is %d in user space", kernel, user)
		}
	}
}

// parent writes what the kernel read as the vectors of B3 do.
func (r pureResult) parent() string {
	if r.Parsed == 0 {
		return "-"
	}
	return shownParent(r.Context.TraceId, r.Context.SpanId, r.Context.Sampled, r.Context.Deferred)
}

func shownParent(traceID [16]uint8, spanID [8]uint8, sampled, deferred uint8) string {
	decision := fmt.Sprint(sampled)
	if deferred != 0 {
		decision = "?"
	}
	return fmt.Sprintf("%x %x %s", traceID, spanID, decision)
}

// twin writes what Go read in the same way.
func twin(c traceparent.Context, d traceparent.Decision, ok bool) string {
	if !ok {
		return "-"
	}
	var sampled, deferred uint8
	switch d {
	case traceparent.Accept:
		sampled = 1
	case traceparent.Defer:
		deferred = 1
	}
	return shownParent(c.TraceID, c.SpanID, sampled, deferred)
}

// isValue tells whether a header can have the value.
func isValue(value string) bool {
	return strings.Trim(value, " \t") == value && !strings.ContainsAny(value, "\r\n")
}

const getLine = "GET / HTTP/1.1\r\nHost: a\r\n"

func TestB3(t *testing.T) {
	p := loadPureReading(t, everyFormat)
	for _, name := range []string{"b3", "B3"} {
		forVectors(t, "b3", func(t *testing.T, fields []string) {
			value := unescape(t, fields[1])
			if !isValue(value) {
				return
			}
			for _, space := range []string{"", " ", "\t  "} {
				head := getLine + name + ":" + space + value + space + "\r\nAccept: */*\r\n\r\n"
				if got := p.read(t, head).parent(); got != fields[0] {
					t.Errorf("%q: got %s, want %s", head, got, fields[0])
				}
			}
		})
	}
}

// multi makes the headers of a b3multi vector; an empty value is sent if it must be.
func multi(values [4]string, empty bool) string {
	var b strings.Builder
	for i, name := range [4]string{"X-B3-TraceId", "x-b3-spanid", "X-B3-SAMPLED", "X-B3-Flags"} {
		if values[i] != "" || empty {
			b.WriteString(name + ": " + values[i] + "\r\n")
		}
	}
	return b.String()
}

func TestB3Multi(t *testing.T) {
	p := loadPureReading(t, everyFormat)
	forVectors(t, "b3multi", func(t *testing.T, fields []string) {
		var values [4]string
		for i := range values {
			if fields[i+1] != "-" {
				values[i] = unescape(t, fields[i+1])
			}
		}
		for _, empty := range []bool{false, true} {
			head := getLine + "X-B3-ParentSpanId: 1\r\n" + multi(values, empty) + "\r\n"
			if got := p.read(t, head).parent(); got != fields[0] {
				t.Errorf("%q: got %s, want %s", head, got, fields[0])
			}
		}
	})
}

// mutate changes, drops or doubles a few bytes; what comes out may be a value.
func mutate(r *rand.Rand, value string) string {
	const bytes = "0123456789abcdefABg-- d1\t,\x00\x7f\xff"
	for range 1 + r.IntN(2) {
		at := r.IntN(len(value) + 1)
		with := string(bytes[r.IntN(len(bytes))])
		switch r.IntN(3) {
		case 0:
			value = value[:at] + with + value[at:]
		case 1:
			value = value[:at] + with + value[min(at+1, len(value)):]
		default:
			value = value[:at] + value[min(at+1, len(value)):]
		}
	}
	return strings.Trim(value, " \t")
}

// Kernel and user space read the same, also what is nearly right.
func TestB3AgreesWithItsTwin(t *testing.T) {
	p := loadPureReading(t, everyFormat)
	r := rand.New(rand.NewPCG(1, 2))
	forVectors(t, "b3", func(t *testing.T, fields []string) {
		for range 20 {
			value := mutate(r, unescape(t, fields[1]))
			got := p.read(t, getLine+"b3: "+value+"\r\n\r\n").parent()
			if want := twin(traceparent.ParseB3([]byte(value))); got != want {
				t.Errorf("b3: %q: the kernel reads %s, user space %s", value, got, want)
			}
		}
	})
	forVectors(t, "b3multi", func(t *testing.T, fields []string) {
		for i := range 4 {
			var values [4]string
			for k := range values {
				if fields[k+1] != "-" {
					values[k] = unescape(t, fields[k+1])
				}
			}
			values[i] = mutate(r, values[i])
			got := p.read(t, getLine+multi(values, false)+"\r\n").parent()
			if want := twin(traceparent.ParseB3Multi([]byte(values[0]), []byte(values[1]), []byte(values[2]), []byte(values[3]))); got != want {
				t.Errorf("%q: the kernel reads %s, user space %s", values, got, want)
			}
		}
	})
}

// The three formats with ids of their own, and the same with a mistake.
const (
	ownW3C   = "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-01\r\n"
	badW3C   = "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-0\r\n"
	ownB3    = "b3: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-bbbbbbbbbbbbbbbb-0\r\n"
	badB3    = "b3: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"
	ownMulti = "X-B3-TraceId: cccccccccccccccc\r\nX-B3-SpanId: cccccccccccccccc\r\n"
	badMulti = "X-B3-TraceId: cccccccccccccccc\r\n"
	anyState = "tracestate: a=1\r\n"
)

// Which header names the parent, what is counted, and whether tracestate counts.
func TestFormats(t *testing.T) {
	const all, w3c, b3, b3multi = everyFormat, traceparent.TraceContext, traceparent.B3, traceparent.B3Multi
	a, b, c := strings.Repeat("a", 32)+" "+strings.Repeat("a", 16)+" 1",
		strings.Repeat("b", 32)+" "+strings.Repeat("b", 16)+" 0",
		strings.Repeat("0", 16)+strings.Repeat("c", 16)+" "+strings.Repeat("c", 16)+" ?"
	tests := []struct {
		formats traceparent.Propagator
		head    string
		parent  string
		counted string // malformed traceparent, duplicate traceparent, malformed b3
		kept    bool   // tracestate
	}{
		{all, anyState + ownMulti + ownB3 + ownW3C, a, "0 0 0", true},
		{all, anyState + ownMulti + ownB3 + badW3C, b, "1 0 0", false},
		{all, anyState + ownMulti + ownB3 + ownW3C + ownW3C, b, "0 1 0", false},
		{all, ownMulti + badB3, c, "0 0 1", false},
		{all, badMulti + badB3 + badW3C, "-", "1 0 2", false},
		{all, badMulti + ownB3, b, "0 0 0", false},
		{all, ownB3 + badB3, b, "0 0 0", false}, // the first counts
		{all, badB3 + ownB3, "-", "0 0 1", false},
		{all, "b3:\r\n" + ownB3, b, "0 0 0", false},
		{all, "b3: 0\r\nX-B3-Sampled: 0\r\nX-B3-Flags: 1\r\n", "-", "0 0 0", false},
		{all, anyState, "-", "0 0 0", false},
		{all, "traceparent:\r\n", "-", "1 0 0", false},
		{all, "X-B3-TraceIds: " + strings.Repeat("c", 16) + "\r\nb33: 1\r\nx-b3-spanid : 1\r\n", "-", "0 0 0", false},
		{w3c, anyState + ownMulti + ownB3 + ownW3C, a, "0 0 0", true},
		{w3c, anyState + badMulti + badB3, "-", "0 0 0", false},
		{b3, anyState + badMulti + ownB3 + ownW3C + ownW3C, b, "0 0 0", false},
		{b3, ownMulti + badB3 + badW3C, "-", "0 0 1", false},
		{b3multi, ownMulti + badB3 + badW3C, c, "0 0 0", false},
		{b3multi, badMulti + ownB3 + ownW3C, "-", "0 0 1", false},
		{0, anyState + badMulti + badB3 + badW3C + badW3C, "-", "0 0 0", false},
	}
	for _, test := range tests {
		p := loadPureReading(t, test.formats)
		r := p.read(t, getLine+test.head+"\r\n")
		counted := fmt.Sprint(
			sumCPUs(p.objects.Stats, uint32(pureStatSTAT_MALFORMED_TRACEPARENT)),
			sumCPUs(p.objects.Stats, uint32(pureStatSTAT_DUPLICATE_TRACEPARENT)),
			sumCPUs(p.objects.Stats, uint32(pureStatSTAT_MALFORMED_B3)))
		if got := r.parent(); got != test.parent || counted != test.counted || (r.Kept != 0) != test.kept {
			t.Errorf("formats %03b: %q\ngot  %s counted %s kept %d\nwant %s counted %s kept %v", test.formats,
				test.head, got, counted, r.Kept, test.parent, test.counted, test.kept)
		}
		if want := strings.Count(test.head, "traceparent:"); int(r.Head.Traceparents) != want {
			t.Errorf("formats %03b: %q: %d traceparents seen, want %d whatever is read", test.formats, test.head, r.Head.Traceparents, want)
		}
		if seen := r.Head.B3 != 0; seen != (test.formats.Has(b3) && strings.Contains(test.head, "b3: ") && !strings.HasPrefix(test.head, "X-B3-TraceIds")) {
			t.Errorf("formats %03b: %q: b3 seen: %v", test.formats, test.head, seen)
		}
	}
}

// A decision that was deferred once does not stick to the next context.
func TestDeferredIsForgotten(t *testing.T) {
	p := loadPureReading(t, everyFormat)
	for _, test := range []struct {
		head     string
		deferred uint8
	}{{ownMulti, 1}, {ownW3C, 0}, {ownMulti, 1}, {ownB3, 0}} {
		if r := p.read(t, getLine+test.head+"\r\n"); r.Parsed != 1 || r.Context.Deferred != test.deferred {
			t.Errorf("%q: parsed %d, deferred %d", test.head, r.Parsed, r.Context.Deferred)
		}
	}
}
