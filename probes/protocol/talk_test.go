package protocol

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

// A talk is a recorded connection: what each side sent, a segment at a time, in
// the order of time. In testdata, a line of a file *.talk is a segment as a Go
// string, with > before a client's and < before a server's, or ] and [ when it is
// a datagram; # begins a comment.
type talk []piece

type piece struct {
	d     direction
	bytes []byte
	after int // bytes lost before it
	// datagram says that it is one.
	datagram bool
	// more says that it is of the same send as the piece before it.
	more bool
}

func readTalk(tb testing.TB, name string) talk {
	tb.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var out talk
	lines := bufio.NewScanner(bytes.NewReader(file))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		text, err := strconv.Unquote(strings.TrimSpace(line[1:]))
		if err != nil || strings.IndexByte("><][", line[0]) < 0 {
			tb.Fatalf("%s:%d: not a segment", name, n)
		}
		p := piece{d: toServer, bytes: []byte(text), datagram: line[0] == ']' || line[0] == '['}
		if line[0] == '<' || line[0] == '[' {
			p.d = toClient
		}
		out = append(out, p)
	}
	return out
}

// play gives the talk to fresh Conversations, closes the connection, and returns
// the exchanges. Of each piece at most head bytes from the front are captured,
// and tail from the back.
func (k talk) play(role Role, head, tail int) (out []*Exchange, counts string) {
	s := New(Options{
		SlowLookup: -1,
		Sampler:    traceparent.Sampler{Kind: traceparent.KindParentBased, Bound: traceparent.BoundAll},
		Emit: func(x *Exchange) {
			own := *x
			out = append(out, &own)
		},
	})
	var position [2]uint64
	sends := 0
	for i, p := range k {
		position[p.d] += uint64(p.after)
		m := &Segment{
			Connection: 1, PID: 10, TID: 11, Role: role, ToServer: p.d == toServer,
			Time: at(i), Position: position[p.d], Size: uint64(len(p.bytes)), Datagram: p.datagram,
			Endpoints: Endpoints{Local: here, Remote: there},
			Head:      slices.Clone(p.bytes[:min(head, len(p.bytes))]),
		}
		if rest := p.bytes[len(m.Head):]; len(rest) > 0 {
			m.Tail = slices.Clone(rest[len(rest)-min(tail, len(rest)):])
		}
		if m.ToServer {
			if !p.more {
				sends++
			}
			m.Trace = Trace{TraceID: [16]byte{1}, SpanID: [8]byte{byte(sends), byte(sends >> 8), 1}, ParentID: [8]byte{9}, Sampled: true, Evidence: EvidenceThread}
		}
		position[p.d] += uint64(len(p.bytes))
		s.Segment(m)
		for _, b := range [][]byte{m.Head, m.Tail} { // nothing of it may be kept
			for i := range b {
				b[i] = 0xaa
			}
		}
	}
	s.Handle(&Message{Connection: 1, Part: PartClose, First: at(len(k)), Last: at(len(k))})
	var list []string
	s.Counts(func(outcome, reason string, n uint64) {
		if n > 0 && outcome != "seen" {
			list = append(list, fmt.Sprintf("%s %s %d", outcome, reason, n))
		}
	})
	return out, strings.Join(list, ", ")
}

const whole = 1 << 30 // no limit of capture

// tell prints an exchange without its times and ids: name, kind, status,
// attributes but the addresses.
func tell(x *Exchange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", x.Protocol, strings.TrimSpace(x.Operation+" "+x.Target))
	if x.Kind != KindOfRole {
		fmt.Fprintf(&b, " kind=%d", x.Kind)
	}
	if x.Failed {
		fmt.Fprintf(&b, " FAILED %q", x.Message)
	}
	for _, a := range x.Attributes {
		switch a.Key {
		case "server.address", "server.port", "network.peer.address", "network.peer.port", "client.address", "client.port":
			continue
		}
		fmt.Fprintf(&b, " %s=%q", a.Key, a.Value.String())
	}
	return b.String()
}

func tellAll(list []*Exchange) (out []string) {
	for _, x := range list {
		out = append(out, tell(x))
	}
	return out
}

// checkTalk compares what a recorded talk gives with what it should, one line an
// exchange, and then damages it in every way: exchanges may go missing, but none
// may come that is not in the whole.
func checkTalk(t *testing.T, name string, want ...string) {
	t.Helper()
	k := readTalk(t, name)
	got, counts := k.play(RoleClient, whole, 0)
	if !slices.Equal(tellAll(got), want) {
		t.Errorf("%s: got\n\t%s\nwant\n\t%s\ncounts: %s", name, strings.Join(tellAll(got), "\n\t"), strings.Join(want, "\n\t"), counts)
		return
	}
	server, _ := k.play(RoleServer, whole, 0)
	if len(server) != len(want) {
		t.Errorf("%s: the server has %d exchanges, the client %d", name, len(server), len(want))
	}
	for _, x := range append(got, server...) {
		checkText(t, x)
		if x.Trace.SpanID == [8]byte{} || x.Trace.TraceID == [16]byte{} || x.End.Before(x.Start) {
			t.Errorf("%s: %s has no identity or goes backwards", name, tell(x))
		}
	}
	k.checkPieces(t, name, want)
	k.checkCuts(t, name, want)
	k.checkLosses(t, name, want)
}

// checkPieces has every send of a client come in three pieces with the same ids,
// as long ones do: nothing may change, and no two exchanges may have one id.
func (k talk) checkPieces(t *testing.T, name string, want []string) {
	t.Helper()
	var pieces talk
	for _, p := range k {
		third := (len(p.bytes) + 2) / 3
		if p.d == toClient || p.datagram || third < 2 || len(pieces) == 0 {
			pieces = append(pieces, p)
			continue
		}
		for n, part := range slices.Collect(slices.Chunk(p.bytes, third)) {
			piece := piece{d: p.d, bytes: part, more: n > 0}
			if n == 0 {
				piece.after = p.after
			}
			pieces = append(pieces, piece)
		}
	}
	got, counts := pieces.play(RoleClient, whole, 0)
	if !slices.Equal(tellAll(got), want) {
		t.Errorf("%s, in pieces: got\n\t%s\ncounts: %s", name, strings.Join(tellAll(got), "\n\t"), counts)
	}
	ids := map[[8]byte]bool{}
	for _, x := range got {
		if ids[x.Trace.SpanID] {
			t.Errorf("%s, in pieces: two exchanges have the id %x", name, x.Trace.SpanID)
		}
		ids[x.Trace.SpanID] = true
	}
}

// checkCuts cuts every segment at every byte: nothing may change.
func (k talk) checkCuts(t *testing.T, name string, want []string) {
	t.Helper()
	for i, p := range k {
		for at := 1; at < len(p.bytes) && !p.datagram; at++ {
			if at > 600 && at < len(p.bytes)-100 && at%61 != 0 {
				continue // the inside of long ones, here and there
			}
			if testing.Short() && at > 24 && at%19 != i%19 {
				continue
			}
			cut := slices.Clone(k[:i])
			cut = append(cut, piece{d: p.d, bytes: p.bytes[:at], after: p.after}, piece{d: p.d, bytes: p.bytes[at:]})
			cut = append(cut, k[i+1:]...)
			got, counts := cut.play(RoleClient, whole, 0)
			if i == 0 { // what a connection begins with says more of the rest
				subset(t, fmt.Sprintf("%s, first segment cut at %d", name, at), tellAll(got), want)
			} else if !slices.Equal(tellAll(got), want) {
				t.Errorf("%s, segment %d cut at %d: got\n\t%s\ncounts: %s", name, i, at, strings.Join(tellAll(got), "\n\t"), counts)
				return
			}
		}
	}
}

// checkLosses loses every segment, and turns the halves around.
func (k talk) checkLosses(t *testing.T, name string, want []string) {
	t.Helper()
	for i, p := range k {
		lost := slices.Clone(k)
		for j := i + 1; j < len(k); j++ {
			if k[j].d == p.d {
				lost[j].after += len(p.bytes)
				break
			}
		}
		lost = slices.Delete(lost, i, i+1)
		got, _ := lost.play(RoleClient, whole, 0)
		subset(t, fmt.Sprintf("%s, segment %d lost", name, i), tellAll(got), want)
	}
	for at := 1; at < len(k); at++ {
		turned := append(slices.Clone(k[at:]), k[:at]...)
		got, _ := turned.play(RoleClient, whole, 0)
		told := tellAll(got)
		for i, text := range told { // what is selected last is so at the begin now
			told[i] = toldNamespace.ReplaceAllString(text, "")
		}
		subset(t, fmt.Sprintf("%s, turned around at %d", name, at), told, want)
	}
	for _, head := range []int{16, 64, 200} { // texts may be cut short: only no panic, and no more of them
		got, _ := k.play(RoleClient, head, 32)
		if len(got) > len(want) {
			t.Errorf("%s, heads of %d: %d exchanges, more than %d", name, head, len(got), len(want))
		}
	}
}

// subset fails for exchanges that are not wanted, but for those that say
// themselves that they are incomplete. What was learnt from bytes that are
// damaged now may be left out.
func subset(t *testing.T, what string, got, want []string) {
	t.Helper()
	left, got := slices.Clone(want), slices.Clone(got)
	slices.SortStableFunc(got, func(a, b string) int { return len(b) - len(a) }) // the most telling first
	for _, same := range []func(g, w string) bool{                               // those that tell most choose first
		func(g, w string) bool { return g == w },
		func(g, w string) bool { return !strings.Contains(g, textPrepared) && tellsLess(g, w) },
		tellsLess,
		messagingLess,
	} {
		got = slices.DeleteFunc(got, func(g string) bool {
			i := slices.IndexFunc(left, func(w string) bool { return same(g, w) })
			if i >= 0 {
				left = slices.Delete(left, i, i+1)
			}
			return i >= 0
		})
	}
	for _, g := range got {
		if !strings.Contains(g, `error.type="connection_closed"`) && !strings.Contains(g, `error.type="response_incomplete"`) && !brokerSays(g, want) {
			t.Errorf("%s: this is none of the exchanges that were:\n\t%s", what, g)
		}
	}
}

var toldNamespace = regexp.MustCompile(` db\.namespace="[^"]*"`)

// toldAttribute is one of those that tell prints.
var toldAttribute = regexp.MustCompile(` [a-z._]+="(?:[^"\\]|\\.)*"`)

// tellsLess says whether got is want but for attributes that it leaves out, or
// for the statement, if it says that it does not know it. An unknown server of
// MySQL's protocol is called that.
func tellsLess(got, want string) bool {
	prepared := fmt.Sprintf(` db.query.text="%s"`, textPrepared)
	unknown := []string{prepared, ` db.operation.name="EXECUTE"`, ` db.system.name="mysql"`}
	name := func(told string) string {
		told = toldAttribute.ReplaceAllString(told, "")
		if strings.Contains(got, prepared) {
			_, told, _ = strings.Cut(told, " FAILED ")
		}
		return told
	}
	has := toldAttribute.FindAllString(want, -1)
	for _, a := range toldAttribute.FindAllString(got, -1) {
		if !slices.Contains(has, a) && !slices.Contains(unknown, a) {
			return false
		}
	}
	return name(got) == name(want)
}

// FuzzWires plays any bytes in any order as segments, mixed with real ones.
func FuzzWires(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.talk")
	for _, file := range files {
		k := readTalk(f, filepath.Base(file))
		var sent [2][]byte
		for _, p := range k {
			if len(sent[p.d]) < 4096 {
				sent[p.d] = append(sent[p.d], p.bytes...)
			}
		}
		f.Add(sent[0], sent[1], []byte{20, 0x80 + 30, 255, 0x80 + 90})
	}
	f.Fuzz(func(t *testing.T, request, response, script []byte) {
		sent := [2][]byte{request, response}
		var k talk
		for _, b := range script {
			d := direction(b >> 7)
			n := min(int(b&0x7f)+1, len(sent[d]))
			p := piece{d: d, bytes: sent[d][:n], datagram: len(script)%4 == 3}
			if b&0x7f == 0x7f {
				p.after = 5
			}
			sent[d] = sent[d][n:]
			if n > 0 {
				k = append(k, p)
			}
		}
		k = append(k, piece{d: toServer, bytes: sent[0]}, piece{d: toClient, bytes: sent[1]})
		for _, head := range []int{whole, 48} {
			out, _ := k.play(RoleClient, head, 16)
			for _, x := range out {
				checkText(t, x)
			}
		}
	})
}
