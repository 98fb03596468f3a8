package traceparent

import (
	"bytes"
	"fmt"
	"testing"
)

// shown writes a result as the vectors do.
func shown(c Context, d Decision, ok bool) string {
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%x %x %c", c.TraceID, c.SpanID, "01?"[d])
}

// headers returns the fields of a b3multi vector behind the first, "-" as none.
func headers(tb testing.TB, fields []string) (values [4][]byte) {
	tb.Helper()
	for i, field := range fields[1:] {
		if field != "-" {
			values[i] = unescape(tb, field)
		}
	}
	return values
}

func TestB3Vectors(t *testing.T) {
	for _, v := range vectors(t, "b3", 2) {
		value := unescape(t, v.fields[1])
		c, d, ok := ParseB3(value)
		if got := shown(c, d, ok); got != v.fields[0] {
			t.Errorf("line %d: ParseB3(%q) = %s, want %s", v.line, value, got, v.fields[0])
		}
		if c.Sampled() != (ok && d == Accept) {
			t.Errorf("line %d: ParseB3(%q): flags %02x at decision %d", v.line, value, c.Flags, d)
		}
	}
}

func TestB3MultiVectors(t *testing.T) {
	for _, v := range vectors(t, "b3multi", 5) {
		h := headers(t, v.fields)
		c, d, ok := ParseB3Multi(h[0], h[1], h[2], h[3])
		if got := shown(c, d, ok); got != v.fields[0] {
			t.Errorf("line %d: ParseB3Multi(%q) = %s, want %s", v.line, h, got, v.fields[0])
		}
	}
}

func TestParseB3DoesNotAllocate(t *testing.T) {
	value := []byte("463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1-0020000000000001")
	yes := []byte("true")
	if n := testing.AllocsPerRun(100, func() { ParseB3(value); ParseB3Multi(value[:32], value[33:49], yes, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseB3 says again what was read, as one header and as several.
func FuzzParseB3(f *testing.F) {
	for _, v := range vectors(f, "b3", 2) {
		f.Add(unescape(f, v.fields[1]))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, d, ok := ParseB3(value)
		if !ok {
			if c != (Context{}) {
				t.Fatalf("ParseB3(%q) refuses, and gives %+v", value, c)
			}
			return
		}
		trace, span := fmt.Appendf(nil, "%x", c.TraceID), fmt.Appendf(nil, "%x", c.SpanID)
		single := bytes.Join([][]byte{trace, span}, []byte("-"))
		sampled := []byte{}
		if d != Defer {
			sampled = []byte{"01"[d]}
			single = append(append(single, '-'), sampled...)
		}
		want := shown(c, d, true)
		if got := shown(ParseB3(single)); got != want {
			t.Fatalf("%q: %s became %s", value, want, got)
		}
		if got := shown(ParseB3Multi(trace, span, sampled, nil)); got != want {
			t.Fatalf("%q: %s became %s as several headers", value, want, got)
		}
	})
}

func FuzzParseB3Multi(f *testing.F) {
	for _, v := range vectors(f, "b3multi", 5) {
		h := headers(f, v.fields)
		f.Add(h[0], h[1], h[2], h[3])
	}
	f.Fuzz(func(t *testing.T, traceID, spanID, sampled, flags []byte) {
		c, d, ok := ParseB3Multi(traceID, spanID, sampled, flags)
		if !ok {
			if c != (Context{}) {
				t.Fatalf("refused, and gives %+v", c)
			}
			return
		}
		if c.TraceID == [16]byte{} || c.SpanID == [8]byte{} || c.Sampled() != (d == Accept) {
			t.Fatalf("%q %q %q %q: %+v, decision %d", traceID, spanID, sampled, flags, c, d)
		}
		if d == Deny && string(flags) == "1" {
			t.Fatal("debug is denied")
		}
	})
}
