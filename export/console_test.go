package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/context/assemble"
)

// runConsole exports spans through a running console and returns what it wrote.
func runConsole(t *testing.T, options ConsoleOptions, spans ...*assemble.Span) (string, map[string]uint64) {
	t.Helper()
	var out bytes.Buffer
	c := NewConsole(&out, options)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background()) }()
	for _, s := range spans {
		c.Export(s)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c.Export(spans[0]) // too late
	got := counts(c)
	checkSum(t, got)
	if got["dropped shutdown"] != 1 {
		t.Error("a span after Close was not counted")
	}
	return out.String(), got
}

func TestConsolePrintsAllOnClose(t *testing.T) {
	spans := append(slowStory().spans, failingStory().spans...)
	out, got := runConsole(t, ConsoleOptions{}, spans...)
	if strings.Count(out, "trace 4bf9") != 2 || strings.Count(out, "▶ ") != 4 {
		t.Errorf("want two marked blocks, got:\n%s", out)
	}
	if got["kept"] != uint64(len(spans)) {
		t.Errorf("%d spans kept, want %d", got["kept"], len(spans))
	}
}

func TestConsoleRunAfterClose(t *testing.T) {
	c := NewConsole(io.Discard, ConsoleOptions{})
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil { // hangs for ever if it waits for Close
		t.Fatal(err)
	}
}

func TestConsolePrintsWhenQuiet(t *testing.T) {
	read, write := io.Pipe()
	c := NewConsole(write, ConsoleOptions{Settle: time.Millisecond})
	go c.Run(t.Context()) //nolint:errcheck // the test is about what it writes
	for _, s := range failingStory().spans {
		c.Export(s)
	}
	block := make([]byte, 4096)
	n, err := read.Read(block)
	if err != nil || !strings.Contains(string(block[:n]), "POST /orders") {
		t.Errorf("read %q, %v", block[:n], err)
	}
}

func TestConsoleTellsOfDrops(t *testing.T) {
	span := failingStory().spans[0]
	out, got := runConsole(t, ConsoleOptions{MaxSpans: 2}, span, span, span, span, span)
	if got["dropped trace_too_large"] != 3 || !strings.Contains(out, "… 3 spans not shown") {
		t.Errorf("counts %v, output:\n%s", got, out)
	}
}

func TestConsoleJSON(t *testing.T) {
	span := failingStory().spans[6]
	span.TraceState = "a=b"
	span.Attributes = append(span.Attributes,
		attribute.String("url.path", "/<a>&\x1b\xff\n"), attribute.Float64("nan", math.NaN()),
		attribute.StringSlice("list", []string{"x"}))
	root := slowStory().spans[0]
	root.FirstByte = time.Time{}
	out, _ := runConsole(t, ConsoleOptions{JSON: true}, span, root)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines for 2 spans:\n%s", len(lines), out)
	}
	const want = `{"trace_id":"4bf92f3577b34da60000000000000002","span_id":"0200000000000007",` +
		`"parent_span_id":"0200000000000006","trace_state":"a=b","sampled":true,"service":"stock",` +
		`"name":"PUT /stock/{sku}","kind":"server","start":"2026-03-01T12:00:00.144Z",` +
		`"duration_ns":68000000,"first_byte_ns":68000000,` +
		`"status":"error","status_message":"500 Internal Server Error",` +
		`"attributes":{"http.response.status_code":500,"list":["x"],"nan":"NaN","url.path":"/<a>&\u001b\ufffd\n"},` +
		`"resource":{"process.pid":102,"service.name":"stock"}}`
	if lines[0] != want {
		t.Errorf("got:\n%s\nwant:\n%s", lines[0], want)
	}
	var second map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &second); err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"parent_span_id", "first_byte_ns", "status_message", "trace_state"} {
		if _, ok := second[absent]; ok {
			t.Errorf("%s is there without a value", absent)
		}
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestConsoleWriterFails(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		c := NewConsole(brokenPipe{}, ConsoleOptions{JSON: asJSON, Settle: time.Millisecond})
		for _, s := range failingStory().spans {
			c.Export(s)
		}
		if err := c.Run(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("Run: %v, want the writer's error", err)
		}
		if got := counts(c); got["dropped write_failed"] != 7 {
			t.Errorf("counts %v, want 7 spans lost by the writer", got)
		}
	}
}

func TestConsoleStuckReader(t *testing.T) {
	_, write := io.Pipe() // nobody reads
	c := NewConsole(write, ConsoleOptions{JSON: true})
	go c.Run(t.Context()) //nolint:errcheck // ends with the test's process
	p := testProcess(1, "a")
	for i := range uint64(3 * streamLimit) { // hangs for ever if Export waits
		c.Export(testSpan(p, i))
	}
	if n := counts(c)["dropped queue_full"]; n < streamLimit {
		t.Errorf("%d spans dropped, want at least %d", n, streamLimit)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v, want its deadline", err)
	}
}

func TestForTerminal(t *testing.T) {
	env := map[string]string{"TERM": "xterm"}
	getenv := func(name string) string { return env[name] }

	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if o := (ConsoleOptions{}).ForTerminal(file, getenv); o.Color || o.Width != nil {
		t.Errorf("a file is taken for a terminal: %+v", o)
	}

	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	defer terminal.Close()
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 97}); err != nil {
		t.Fatal(err)
	}
	o := (ConsoleOptions{}).ForTerminal(terminal, getenv)
	if !o.Color || o.Width == nil || o.Width() != 97 {
		t.Errorf("a terminal of 97 columns is not recognised: %+v", o)
	}
	env["NO_COLOR"] = "1"
	if o := (ConsoleOptions{}).ForTerminal(terminal, getenv); o.Color {
		t.Error("colours in spite of NO_COLOR")
	}
	env["NO_COLOR"], env["TERM"] = "", "dumb"
	if o := (ConsoleOptions{}).ForTerminal(terminal, getenv); o.Color {
		t.Error("colours on a dumb terminal")
	}
}

func TestConsoleFitsTheTerminal(t *testing.T) {
	width := 60
	out, _ := runConsole(t, ConsoleOptions{Width: func() int { return width }}, slowStory().spans...)
	checkBlock(t, out, 60, false)
	width = 0 // unknown
	out, _ = runConsole(t, ConsoleOptions{Width: func() int { return width }}, slowStory().spans...)
	checkBlock(t, out, 110, false)
}
