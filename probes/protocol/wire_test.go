package protocol

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoConfusion shows every turn of every recorded talk, and of HTTP, to the
// protocols that it is not.
func TestNoConfusion(t *testing.T) {
	files, err := filepath.Glob("testdata/*.talk")
	if err != nil || len(files) == 0 {
		t.Fatalf("no talks, %v", err)
	}
	shown := 0
	for _, file := range files {
		name := filepath.Base(file)
		own, _, _ := strings.Cut(name, "-")
		last := direction(99)
		for n, p := range readTalk(t, name) {
			if p.d != last {
				shown++
				notDetected(t, own, name, n, p)
			}
			last = p.d
		}
	}
	for _, name := range []string{"http.txt", "request.txt", "response.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n, part := range strings.Split(string(text), "\n\n") {
			notDetected(t, "http", name, n, piece{d: toServer, bytes: []byte(part + "\n\n")})
			notDetected(t, "http", name, n, piece{d: toClient, bytes: []byte(part + "\n\n")})
		}
	}
	if shown < 100 {
		t.Errorf("only %d turns", shown)
	}
}

// notDetected fails if a protocol other than own recognises p, the whole of it or
// as much as a capture shows.
func notDetected(t *testing.T, own, name string, n int, p piece) {
	t.Helper()
	for i := range wires {
		w := &wires[i]
		if strings.HasPrefix(w.name, own) || len(p.bytes) == 0 {
			continue
		}
		for _, head := range []int{len(p.bytes), 4096, 512, 64} {
			if w.detect(p.d, p.bytes[:min(head, len(p.bytes))], uint64(len(p.bytes))) {
				t.Errorf("%s, segment %d (%.60q): taken for %s when %d bytes are shown", name, n, p.bytes, w.name, head)
				break
			}
		}
	}
}
