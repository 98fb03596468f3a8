package export

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

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
