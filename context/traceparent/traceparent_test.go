package traceparent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// vector is one line of testdata/vectors.txt, its kind taken off.
type vector struct {
	line   int
	fields []string
}

// vectors returns the cases of one kind, each of exactly n fields, and fails if
// there are none: a test that lost its cases must not pass.
func vectors(tb testing.TB, kind string, n int) []vector {
	tb.Helper()
	file, err := os.Open("testdata/vectors.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var found []vector
	lines := bufio.NewScanner(file)
	for i := 1; lines.Scan(); i++ {
		fields := strings.SplitN(lines.Text(), "\t", n+1)
		if fields[0] != kind {
			continue
		}
		if len(fields) != n+1 {
			tb.Fatalf("line %d: want %d fields after %q", i, n, kind)
		}
		found = append(found, vector{line: i, fields: fields[1:]})
	}
	if err := lines.Err(); err != nil || len(found) == 0 {
		tb.Fatalf("no %s vectors read: %v", kind, err)
	}
	return found
}

// unescape turns \xNN into the byte NN.
func unescape(tb testing.TB, s string) []byte {
	tb.Helper()
	var b []byte
	for len(s) > 0 {
		if !strings.HasPrefix(s, `\x`) {
			b, s = append(b, s[0]), s[1:]
			continue
		}
		c, err := hex.DecodeString(s[2:4])
		if err != nil {
			tb.Fatal(err)
		}
		b, s = append(b, c...), s[4:]
	}
	return b
}

func traceID(tb testing.TB, s string) (id [16]byte) {
	tb.Helper()
	if n, err := hex.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		tb.Fatalf("trace id %q: %v", s, err)
	}
	return id
}

func TestParseVectors(t *testing.T) {
	for _, v := range vectors(t, "traceparent", 2) {
		want, value := v.fields[0], unescape(t, v.fields[1])
		got := "-"
		if c, ok := Parse(value); ok {
			got = fmt.Sprintf("%x %x %02x", c.TraceID, c.SpanID, c.Flags)
		}
		if got != want {
			t.Errorf("line %d: Parse(%q) = %s, want %s", v.line, value, got, want)
		}
	}
}

func TestStateVectors(t *testing.T) {
	for _, v := range vectors(t, "tracestate", 2) {
		value := unescape(t, v.fields[1])
		if got := ValidState(value); got != (v.fields[0] == "keep") {
			t.Errorf("line %d: ValidState(%q) = %v", v.line, value, got)
		}
	}
}

// TestSampleVectors holds the rows against both our function and the sampler of
// the OpenTelemetry SDK, so that neither the rows nor the function can drift.
func TestSampleVectors(t *testing.T) {
	for _, v := range vectors(t, "sample", 4) {
		want := v.fields[0] == "1"
		ratio, err := strconv.ParseFloat(v.fields[1], 64)
		if err != nil {
			t.Fatalf("line %d: %v", v.line, err)
		}
		bound, id := Bound(ratio), traceID(t, v.fields[3])
		if strconv.FormatUint(bound, 10) != v.fields[2] {
			t.Errorf("line %d: Bound(%v) = %d, want %s", v.line, ratio, bound, v.fields[2])
		}
		if got := Sample(id, bound); got != want {
			t.Errorf("line %d: Sample(%x, %d) = %v", v.line, id, bound, got)
		}
		theirs := sdk.TraceIDRatioBased(ratio).ShouldSample(sdk.SamplingParameters{TraceID: id})
		if got := theirs.Decision == sdk.RecordAndSample; got != want {
			t.Errorf("line %d: the SDK samples %x at %v: %v", v.line, id, ratio, got)
		}
	}
}

// standard returns the SDK's sampler of that name.
func standard(tb testing.TB, name, arg string) sdk.Sampler {
	tb.Helper()
	ratio := 1.0
	if arg != "-" {
		ratio, _ = strconv.ParseFloat(arg, 64)
	}
	root, parentBased := strings.CutPrefix(name, "parentbased_")
	s, ok := map[string]sdk.Sampler{
		"always_on":    sdk.AlwaysSample(),
		"always_off":   sdk.NeverSample(),
		"traceidratio": sdk.TraceIDRatioBased(ratio),
	}[root]
	if !ok {
		tb.Fatalf("no sampler %q", name)
	}
	if parentBased {
		return sdk.ParentBased(s)
	}
	return s
}

func TestDecideVectors(t *testing.T) {
	for _, v := range vectors(t, "decide", 5) {
		want, name, arg, flags := v.fields[0] == "1", v.fields[1], v.fields[2], v.fields[3]
		id := traceID(t, v.fields[4])
		s, err := ParseSampler(name, strings.TrimPrefix(arg, "-"))
		if err != nil {
			t.Fatalf("line %d: %v", v.line, err)
		}
		var parent *Context
		ctx := context.Background()
		if flags != "-" {
			b, _ := hex.DecodeString(flags)
			parent = &Context{TraceID: id, SpanID: [8]byte{1}, Flags: b[0]}
			ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: id, SpanID: parent.SpanID, TraceFlags: trace.TraceFlags(b[0]), Remote: true,
			}))
		}
		if got := s.Sample(id, parent); got != want {
			t.Errorf("line %d: %+v.Sample(%x, %v) = %v", v.line, s, id, parent, got)
		}
		theirs := standard(t, name, arg).ShouldSample(sdk.SamplingParameters{ParentContext: ctx, TraceID: id})
		if got := theirs.Decision == sdk.RecordAndSample; got != want {
			t.Errorf("line %d: the SDK's %s decides %v", v.line, name, got)
		}
	}
}

func TestParseSampler(t *testing.T) {
	good := map[[2]string]Sampler{
		{"", ""}:                                {KindParentBased, BoundAll},
		{" Always_On ", "ignored"}:              {KindRoot, BoundAll},
		{"always_off", ""}:                      {KindRoot, 0},
		{"traceidratio", ""}:                    {KindRoot, BoundAll},
		{"traceidratio", " 0.5 "}:               {KindRoot, 1 << 62},
		{"traceidratio", "0"}:                   {KindRoot, 0},
		{"traceidratio", "1"}:                   {KindRoot, BoundAll},
		{"parentbased_traceidratio", "2.5e-1"}:  {KindParentBased, 1 << 61},
		{"parentbased_always_off", "also fine"}: {KindParentBased, 0},
	}
	for in, want := range good {
		if got, err := ParseSampler(in[0], in[1]); err != nil || got != want {
			t.Errorf("ParseSampler(%q, %q) = %+v, %v, want %+v", in[0], in[1], got, err, want)
		}
	}
	bad := map[[2]string]string{
		{"sometimes", ""}:                     "OTEL_TRACES_SAMPLER ",
		{"parentbased_", ""}:                  "OTEL_TRACES_SAMPLER ",
		{"parentbased_parentbased_always_on"}: "OTEL_TRACES_SAMPLER ",
		{"jaeger_remote", ""}:                 "OTEL_TRACES_SAMPLER ",
		{"traceidratio", "x"}:                 "OTEL_TRACES_SAMPLER_ARG ",
		{"traceidratio", "1%"}:                "OTEL_TRACES_SAMPLER_ARG ",
		{"traceidratio", "-0.1"}:              "OTEL_TRACES_SAMPLER_ARG ",
		{"traceidratio", "1.1"}:               "OTEL_TRACES_SAMPLER_ARG ",
		{"traceidratio", "NaN"}:               "OTEL_TRACES_SAMPLER_ARG ",
		{"parentbased_traceidratio", "+Inf"}:  "OTEL_TRACES_SAMPLER_ARG ",
	}
	for in, variable := range bad {
		got, err := ParseSampler(in[0], in[1])
		if err == nil || !strings.Contains(err.Error(), variable) || got != (Sampler{}) {
			t.Errorf("ParseSampler(%q, %q) = %+v, %v, want an error about %s", in[0], in[1], got, err, variable)
		}
	}
	if Bound(math.NaN()) != 0 || Bound(math.Inf(1)) != BoundAll || Bound(math.Inf(-1)) != 0 {
		t.Error("Bound must survive numbers that are none")
	}
}

func TestFormatClearsUnknownFlags(t *testing.T) {
	c := Context{TraceID: [16]byte{15: 0xab}, SpanID: [8]byte{7: 0xcd}, Flags: 0xff}
	const want = "00-000000000000000000000000000000ab-00000000000000cd-03"
	if got := Format(c); got != want || len(got) != Size {
		t.Errorf("Format = %q, want %q", got, want)
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	value := []byte(Format(Context{TraceID: [16]byte{1}, SpanID: [8]byte{1}}))
	state := []byte("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	if n := testing.AllocsPerRun(100, func() { Parse(value); ValidState(state) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors(f, "traceparent", 2) {
		f.Add(unescape(f, v.fields[1]))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, ok := Parse(value)
		if !ok {
			return
		}
		if c.TraceID == [16]byte{} || c.SpanID == [8]byte{} {
			t.Fatalf("Parse(%q) let an id of zeros through", value)
		}
		again, ok := Parse(Append(nil, c))
		c.Flags &= FlagSampled | FlagRandom
		if !ok || again != c {
			t.Fatalf("%q: %+v became %+v", value, c, again)
		}
	})
}

// FuzzValidState holds us against the SDK's reader, which follows Level 1:
// whatever that takes within our bounds, Level 2 takes too.
func FuzzValidState(f *testing.F) {
	for _, v := range vectors(f, "tracestate", 2) {
		f.Add(unescape(f, v.fields[1]))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		ours := ValidState(value)
		state, err := trace.ParseTraceState(string(value))
		if err == nil && state.Len() > 0 && len(value) <= maxStateSize && !ours {
			t.Fatalf("%q is valid by Level 1, but refused", value)
		}
		if ours && (len(value) > maxStateSize || bytes.ContainsAny(value, "\x00\r\n")) {
			t.Fatalf("%q is not fit to be sent", value)
		}
	})
}
