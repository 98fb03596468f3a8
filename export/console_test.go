package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/assemble"
	"github.com/clewtrace/clew/context/workload"
)

var update = flag.Bool("update", false, "write the golden files anew")

// story builds the spans of one trace.
type story struct {
	id    byte
	next  byte
	spans []*assemble.Span
	who   map[string]*workload.Process
}

func newStory(id byte) *story {
	return &story{id: id, who: make(map[string]*workload.Process)}
}

func (s *story) add(parent *assemble.Span, kind assemble.Kind, service, name string, from, to int) *assemble.Span {
	if s.who[service] == nil {
		s.who[service] = testProcess(uint32(100+len(s.who)), service)
	}
	s.next++
	span := &assemble.Span{
		TraceID: [16]byte{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 15: s.id},
		SpanID:  [8]byte{s.id, 7: s.next},
		Sampled: true,
		Process: s.who[service],
		Name:    name,
		Kind:    kind,
		Start:   testStart.Add(time.Duration(from) * 100 * time.Microsecond),
		End:     testStart.Add(time.Duration(to) * 100 * time.Microsecond),
	}
	span.FirstByte = span.End
	if parent != nil {
		span.ParentID = parent.SpanID
	}
	s.spans = append(s.spans, span)
	return span
}

// server and client add spans; times are in tenths of a millisecond.
func (s *story) server(parent *assemble.Span, service, name string, from, to, status int) *assemble.Span {
	span := s.add(parent, assemble.KindServer, service, name, from, to)
	span.Attributes = []attribute.KeyValue{attribute.Int("http.response.status_code", status)}
	if status >= 500 {
		span.Failed = true
	}
	return span
}

func (s *story) client(parent *assemble.Span, name, peer string, from, to, status int) *assemble.Span {
	span := s.add(parent, assemble.KindClient, parent.Process.Service, name, from, to)
	host, port, _ := strings.Cut(peer, ":")
	span.Attributes = []attribute.KeyValue{
		attribute.Int("http.response.status_code", status),
		attribute.String("server.address", host),
	}
	if port != "" {
		var n int
		fmt.Sscan(port, &n)
		span.Attributes = append(span.Attributes, attribute.Int("server.port", n))
	}
	span.Failed = status >= 400
	return span
}

func slowStory() *story {
	s := newStory(1)
	shop := s.server(nil, "frontend", "GET /checkout/{id}", 0, 12400, 200)
	c := s.client(shop, "GET", "cart:8080", 110, 1350, 200)
	cart := s.server(c, "cart", "GET /cart/{id}", 130, 1290, 200)
	s.client(cart, "GET", "prices:9000", 300, 900, 200)
	c = s.client(shop, "POST", "payments:8443", 1400, 12100, 201)
	pay := s.server(c, "payments", "POST /charge", 1450, 12080, 201)
	c = s.client(pay, "GET", "fraud:7070", 1500, 3700, 200)
	s.server(c, "fraud", "GET /score/{card}", 1540, 3680, 200)
	s.client(pay, "POST", "bank.example.com:443", 3750, 11990, 200)
	return s
}

func failingStory() *story {
	s := newStory(2)
	shop := s.server(nil, "frontend", "POST /orders", 0, 950, 502)
	c := s.client(shop, "POST", "orders:8080", 10, 940, 502)
	orders := s.server(c, "orders", "POST /orders", 20, 930, 502)
	c = s.client(orders, "GET", "stock:8080", 50, 120, 404) // handled, but first
	s.server(c, "stock", "GET /stock/{sku}", 60, 110, 404)
	c = s.client(orders, "PUT", "stock:8080", 200, 900, 500)
	stock := s.server(c, "stock", "PUT /stock/{sku}", 210, 890, 500)
	stock.Message = "500 Internal Server Error"
	return s
}

func deepStory() *story {
	s := newStory(3)
	span := s.server(nil, "hop-00", "GET /chain", 0, 2000, 200)
	for i := 1; i <= 14; i++ {
		c := s.client(span, "GET", fmt.Sprintf("hop-%02d:8080", i), 50*i, 2000-30*i, 200)
		span = s.server(c, fmt.Sprintf("hop-%02d", i), "GET /chain", 50*i+10, 2000-30*i-10, 200)
	}
	return s
}

func wideStory() *story {
	s := newStory(4)
	root := s.server(nil, "search", "GET /search", 0, 800, 200)
	for i := range 12 {
		c := s.client(root, "GET", fmt.Sprintf("shard-%d:9200", i), 20+5*i, 300+40*(i*7%11), 200)
		s.server(c, "shard", "GET /query", 24+5*i, 296+40*(i*7%11), 200)
	}
	return s
}

func orphanStory() *story {
	s := newStory(5)
	elsewhere := &assemble.Span{SpanID: [8]byte{0xee}, Process: testProcess(1, "elsewhere")}
	one := s.server(elsewhere, "inventory", "GET /stock/{sku}", 100, 400, 200)
	s.client(one, "GET", "warehouse:8080", 120, 380, 200)
	s.server(elsewhere, "inventory", "GET /stock/{sku}", 450, 500, 200)
	return s
}

func hostileStory() *story {
	s := newStory(6)
	root := s.server(nil, "\x1b]0;owned\x07shop", "GET /\x1b[2J\r\n\x00clear\u202egnp.exe", 0, 100, 200)
	s.client(root, "GET", "\x1b[31mhost\xff", 10, 40, 200)
	c := s.client(root, "GET", "結果.example:80", 50, 90, 500)
	c.Message = "bad\nline\x9b31m"
	s.server(c, "検索サービス", "GET /検索/{言葉}/🦀é", 55, 85, 200)
	s.server(c, "long", "GET /"+strings.Repeat("very-long-path/", 40), 56, 60, 200)
	return s
}

// streamStory has a body that takes its time, and an answer that never came.
func streamStory() *story {
	s := newStory(7)
	root := s.server(nil, "files", "GET /download/{name}", 0, 20000, 200)
	root.FirstByte = root.Start.Add(300 * time.Millisecond)
	c := s.client(root, "HEAD", "store:80", 0, 2800, 0)
	c.FirstByte = time.Time{}
	c.Failed, c.Message = true, "connection closed before a response"
	c.Attributes = append(c.Attributes[1:], attribute.String("error.type", "connection_closed_early"))
	return s
}

func TestRenderGolden(t *testing.T) {
	one := newStory(8)
	one.server(nil, "hello", "GET /", 0, 3, 200)
	instant := newStory(9)
	instant.server(nil, "hello", "GET /", 0, 0, 200)
	instant.client(instant.spans[0], "GET", "x", 0, 0, 200)
	tests := []struct {
		name  string
		trace trace
		r     renderer
	}{
		{"slow", trace{spans: slowStory().spans}, renderer{width: 110}},
		{"slow_colour", trace{spans: slowStory().spans}, renderer{width: 110, color: true}},
		{"slow_narrow", trace{spans: slowStory().spans}, renderer{width: 60}},
		{"slow_too_narrow", trace{spans: slowStory().spans}, renderer{width: 1}},
		{"slow_wide", trace{spans: slowStory().spans}, renderer{width: 180}},
		{"failing", trace{spans: failingStory().spans}, renderer{width: 110}},
		{"failing_colour", trace{spans: failingStory().spans}, renderer{width: 110, color: true}},
		{"deep", trace{spans: deepStory().spans}, renderer{width: 110}},
		{"wide", trace{spans: wideStory().spans}, renderer{width: 110}},
		{"orphan", trace{spans: orphanStory().spans}, renderer{width: 110}},
		{"unfinished", trace{spans: slowStory().spans[1:4], incomplete: true}, renderer{width: 110}},
		{"late", trace{spans: slowStory().spans[7:], late: true}, renderer{width: 110}},
		{"hostile", trace{spans: hostileStory().spans}, renderer{width: 110, color: true}},
		{"stream", trace{spans: streamStory().spans}, renderer{width: 110}},
		{"single", trace{spans: one.spans}, renderer{width: 110}},
		{"instant", trace{spans: instant.spans}, renderer{width: 110}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.trace.id = test.trace.spans[0].TraceID
			var out bytes.Buffer
			test.r.render(&out, &test.trace)
			file := filepath.Join("testdata", test.name+".txt")
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
			}
			checkBlock(t, out.String(), max(leastWidth, test.r.width), test.r.color)
		})
	}
}

// checkBlock checks what must hold for any block: nothing but colours can act
// on the terminal, and no row is wider than it.
func checkBlock(t *testing.T, block string, width int, color bool) {
	t.Helper()
	for _, style := range append([]string{styleBold, styleDim, styleError, styleMark, "0"}, serviceStyles[:]...) {
		if color {
			block = strings.ReplaceAll(block, "\x1b["+style+"m", "")
		}
	}
	for i, line := range strings.Split(block, "\n") {
		if line != printable(line) && len(line) < maxText {
			t.Errorf("line %d holds control characters: %q", i+1, line)
		}
		if n := columns(line); n > width && !strings.Contains(line, "trace ") {
			t.Errorf("line %d is %d columns wide, the terminal %d: %q", i+1, n, width, line)
		}
	}
}

func TestForestTakesAnything(t *testing.T) {
	s := newStory(1)
	a := s.server(nil, "a", "GET", 0, 10, 200)
	b := s.server(a, "b", "GET", 1, 9, 200)
	a.ParentID = b.SpanID // each the other's parent
	self := s.server(nil, "self", "GET", 2, 3, 200)
	self.ParentID = self.SpanID
	twin := s.server(a, "twin", "GET", 4, 5, 200)
	twin.SpanID = b.SpanID
	backwards := s.server(a, "backwards", "GET", 9, 1, 200)
	zero := s.server(a, "zero", "GET", 0, 0, 200)
	zero.Start, zero.End = time.Time{}, time.Time{}
	_, order := forest(s.spans)
	seen := make(map[*assemble.Span]int)
	for _, n := range order {
		seen[n.span]++
		if n.self < 0 {
			t.Errorf("%s has a negative time of its own", n.span.Process.Service)
		}
	}
	for _, span := range s.spans {
		if seen[span] != 1 {
			t.Errorf("%s is drawn %d times", span.Process.Service, seen[span])
		}
	}
	var out bytes.Buffer
	renderer{width: 100}.render(&out, &trace{spans: append(s.spans, backwards)})
}

func TestSelfTimeOfOverlappingChildren(t *testing.T) {
	s := newStory(1)
	root := s.server(nil, "a", "GET", 0, 100, 200)
	s.client(root, "GET", "b", 10, 40, 200)
	s.client(root, "GET", "c", 20, 30, 200)  // inside the first
	s.client(root, "GET", "d", 35, 50, 200)  // overlaps it
	s.client(root, "GET", "e", 90, 150, 200) // outlives the parent
	_, order := forest(s.spans)
	if got, want := order[0].self, 5*time.Millisecond; got != want { // 0-10 and 50-90
		t.Errorf("own time %v, want %v", got, want)
	}
}

func TestOffender(t *testing.T) {
	s := failingStory()
	_, order := forest(s.spans)
	if got := offender(order); got.span != s.spans[6] {
		t.Errorf("blamed %s %s, want the failure that reached the top", got.span.Process.Service, got.span.Name)
	}
	s.spans[0].Failed = false // the top coped with it: now both were dealt with
	again := s.client(s.spans[6], "GET", "disk:1", 230, 240, 500)
	s.client(s.spans[6], "GET", "disk:2", 250, 260, 500)
	_, order = forest(s.spans)
	if got := offender(order); got.span != again {
		t.Errorf("blamed %s %s, want the first of the deepest", got.span.Process.Service, got.span.Name)
	}
}

func testGatherer() *gatherer {
	return newGatherer(limits{settle: time.Second, maxAge: time.Minute, maxTraces: 3, maxSpans: 12})
}

func TestGatherWaitsForTheTop(t *testing.T) {
	g, now := testGatherer(), testStart
	spans := slowStory().spans
	ended := slices.Clone(spans)
	slices.SortFunc(ended, func(a, b *assemble.Span) int { return a.End.Compare(b.End) })
	for _, span := range ended[:len(ended)-1] { // all but the root
		g.add(now, span)
		if span.Kind == assemble.KindServer {
			continue // whoever called it ends at the same time
		}
		now = now.Add(5 * time.Second)
		if due := g.take(now, false); len(due) != 0 {
			t.Fatalf("printed %d spans while the root still ran", len(due[0].spans))
		}
	}
	g.add(now, spans[0])
	if due := g.take(now.Add(999*time.Millisecond), false); len(due) != 0 {
		t.Fatal("printed before it was quiet")
	}
	due := g.take(now.Add(time.Second), false)
	if len(due) != 1 || len(due[0].spans) != 9 || due[0].late || due[0].incomplete {
		t.Fatalf("got %+v, want one complete trace of 9 spans", due)
	}
	if due := g.take(now.Add(time.Hour), false); len(due) != 0 {
		t.Error("printed twice")
	}
}

func TestGatherLateAndOld(t *testing.T) {
	g, now := testGatherer(), testStart
	spans := slowStory().spans
	g.add(now, spans[2]) // server, called from outside
	now = now.Add(time.Second)
	if due := g.take(now, false); len(due) != 1 {
		t.Fatal("a server span with an unseen parent was not taken for the top")
	}
	g.add(now, spans[3])
	now = now.Add(time.Second)
	if due := g.take(now, false); len(due) != 1 || !due[0].late {
		t.Fatalf("got %+v, want a late block", due)
	}
	other := failingStory().spans
	for range 61 { // never quiet, never complete
		g.add(now, other[1])
		now = now.Add(time.Second - 1)
		if due := g.take(now, false); len(due) > 0 {
			if !due[0].incomplete {
				t.Error("an unfinished trace is not marked")
			}
			return
		}
		g.open[other[1].TraceID].spans = nil // stay below the limit of spans
	}
	t.Error("an old trace is kept for ever")
}

func TestGatherIsBounded(t *testing.T) {
	g := testGatherer()
	refused := make(map[string]int)
	for i := range byte(10) {
		span := newStory(i).server(nil, "a", "GET", 0, 1, 200)
		for range 20 {
			refused[g.add(testStart, span)]++
		}
	}
	want := map[string]int{"": 3 * 12, reasonTraceFull: 3 * 8, reasonTraces: 7 * 20}
	for reason, n := range want {
		if refused[reason] != n {
			t.Errorf("%q: %d spans, want %d", reason, refused[reason], n)
		}
	}
	for i := range 3 * rememberPrinted {
		span := newStory(0).server(nil, "a", "GET", 0, 1, 200)
		span.TraceID = [16]byte{byte(i), byte(i >> 8)}
		g.take(testStart, true)
		g.add(testStart, span)
	}
	if n := len(g.printed); n != rememberPrinted || len(g.ring) != n {
		t.Errorf("%d printed traces are remembered, want %d", n, rememberPrinted)
	}
}

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
		`"end":"2026-03-01T12:00:00.212Z","duration_ns":68000000,"first_byte_ns":68000000,` +
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
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if o := (ConsoleOptions{}).ForTerminal(file, func(string) string { return "" }); o.Color || o.Width != nil {
		t.Errorf("a file is taken for a terminal: %+v", o)
	}
}
