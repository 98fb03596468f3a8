package probes

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// wireFiles are the protocols of the recorded connections, by the first word of
// their names.
var wireFiles = map[string]pureWire{
	"amqp":      pureWireWIRE_AMQP,
	"dns":       pureWireWIRE_DNS,
	"kafka":     pureWireWIRE_KAFKA,
	"memcached": pureWireWIRE_MEMCACHED,
	"mongodb":   pureWireWIRE_MONGODB,
	"mysql":     pureWireWIRE_MYSQL,
	"nats":      pureWireWIRE_NATS,
	"postgres":  pureWireWIRE_POSTGRESQL,
	"redis":     pureWireWIRE_REDIS,
}

// The turns of connections of real programs are recognised as what they are, with
// the right side as the client, and never as anything else.
func TestWires(t *testing.T) {
	p := loadPureHelpers(t)
	files, _ := filepath.Glob("protocol/testdata/*.talk")
	if len(files) == 0 {
		t.Fatal("no recorded connections")
	}
	for _, file := range files {
		name := filepath.Base(file)
		word, _, _ := strings.Cut(strings.TrimSuffix(name, ".talk"), "-")
		want, ok := wireFiles[word]
		if !ok {
			t.Errorf("%s: whose is it?", name)
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		recognised, turns := 0, 0
		before := byte(0)
		lines := bufio.NewScanner(bytes.NewReader(content))
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimSpace(lines.Text())
			if line == "" || line[0] == '#' {
				continue
			}
			side, turned := line[0], line[0] != before
			before = side
			segment, err := strconv.Unquote(strings.TrimSpace(line[1:]))
			if err != nil {
				t.Fatalf("%s:%d: %v", name, n, err)
			}
			if !turned && side != ']' && side != '[' {
				continue
			}
			turns++
			r := p.readOf(t, segment[:min(len(segment), 64)], len(segment))
			if side == ']' || side == '[' { // datagrams, of one protocol
				r.Wire, r.WireStart = pureWireWIRE_DNS, r.Datagram
			}
			switch {
			case r.WireStart != pureStartSTART_REQUEST && r.WireStart != pureStartSTART_RESPONSE:
			case r.Wire != want:
				t.Errorf("%s:%d: taken for wire %d: %.60q", name, n, r.Wire, segment)
			case (r.WireStart == pureStartSTART_REQUEST) == (side == '>' || side == ']'):
				recognised++
			case want != pureWireWIRE_REDIS && want != pureWireWIRE_KAFKA:
				// Answers of those look like requests: ports tell.
				t.Errorf("%s:%d: the wrong side of it: %.60q", name, n, segment)
			}
		}
		// Commands in a line, as people type them, could be anything.
		if recognised == 0 && name != "redis-inline.talk" {
			t.Errorf("%s: none of %d turns is recognised", name, turns)
		}
		t.Logf("%s: %d of %d turns", name, recognised, turns)
	}
}
