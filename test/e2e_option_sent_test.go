package test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/segments"
)

// outbound is a watched client on a host and servers beside it.
type outbound struct {
	*beyond
	talker  *talker
	servers int
	sent    map[string]string // trace and span id in the option of a request, by the request's id
}

func openOutbound(t *testing.T) *outbound {
	t.Helper()
	c := &outbound{beyond: openBeyond(t, "tcp!"), sent: make(map[string]string)}
	c.talker = startTalker(t, c.scene.Dir, c.host.Start)
	if err := rig.Until(t.Context(), "options to be sent", func(context.Context) error {
		listener, at := c.listen(peers, nil)
		on, conn := c.open(t, listener, at)
		c.exchange(t, on, conn, "warm", nil)
		c.talker.close(on)
		if c.sent["warm"] == "" {
			return errors.New("none is")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// listen makes a server at an address of its own.
func (c *outbound) listen(network netip.Prefix, configure func(*segments.Conn)) (*segments.Listener, string) {
	c.servers++
	at := netip.AddrPortFrom(address(network, 1+c.servers%250), 80)
	return c.link.Listen(at, configure), at.String()
}

// open connects the client to a server.
func (c *outbound) open(t *testing.T, listener *segments.Listener, at string) (int, *segments.Conn) {
	t.Helper()
	c.talker.T = t
	on := c.talker.connect(at, 0)
	conn, err := listener.Accept(patiently(t))
	if err != nil {
		t.Fatal(err)
	}
	return on, conn
}

// exchange sends a request and answers it, with options, and keeps what its own
// option said.
func (c *outbound) exchange(t *testing.T, on int, conn *segments.Conn, id string, options []byte) {
	t.Helper()
	c.talker.send(on, strings.Replace(plainRequest, "ID", id, 1))
	c.arrive(t, conn, id)
	if err := conn.Send([]byte(answerOK), options); err != nil {
		t.Fatal(err)
	}
	c.talker.hear(on, answerOK)
}

// arrive waits for a request and keeps what its option said.
func (c *outbound) arrive(t *testing.T, conn *segments.Conn, id string) {
	t.Helper()
	want := strings.Replace(plainRequest, "ID", id, 1)
	if got, err := conn.ReadTo(patiently(t), "\r\n\r\n"); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	delete(c.sent, id)
	for _, s := range conn.Segments() {
		content, found := s.Option(254)
		if !strings.HasPrefix(string(s.Payload), want[:strings.Index(want, " HTTP")]) || !found {
			continue
		}
		text := hex.EncodeToString(content)
		if len(text) != 2*26 || text[:4] != sampled || c.sent[id] != "" {
			t.Errorf("the option is %q", text)
		}
		c.sent[id] = text[4:]
	}
}

// carries expects that these requests had an option, or that they had none.
func (c *outbound) carries(t *testing.T, want bool, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if got := c.sent[id] != ""; got != want {
			t.Errorf("request %s has an option: %v, want %v", id, got, want)
		}
	}
}

// counted expects by how much a counter has grown since.
func (c *outbound) counted(t *testing.T, before map[string]float64, reason string, want float64) {
	t.Helper()
	if got := reasons(t, c.agent)[reason] - before[reason]; got != want {
		t.Errorf("%s was counted %v times, want %v", reason, got, want)
	}
}

// optionsSent are what may happen to the options that a client sends.
var optionsSent = []struct {
	name string
	do   func(t *testing.T, c *outbound)
}{
	{"each request", func(t *testing.T, c *outbound) { c.each(t, nil) }},
	{"each request, beside timestamps", func(t *testing.T, c *outbound) {
		c.each(t, append([]byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0}, 2, 4, 5, 120))
	}},
	{"to a stranger", func(t *testing.T, c *outbound) {
		listener, at := c.listen(strangers, nil)
		on, conn := c.open(t, listener, at)
		c.exchange(t, on, conn, "stranger", nil)
		c.carries(t, false, "stranger")
	}},
	{"body", func(t *testing.T, c *outbound) {
		listener, at := c.listen(peers, nil)
		on, conn := c.open(t, listener, at)
		for _, text := range []string{"POST /?id=body HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n", "GET /false HTTP/1.1\r\nHost: x\r\n\r\n"} {
			c.talker.send(on, text)
			if _, err := conn.Read(patiently(t), len(text)); err != nil {
				t.Fatal(err)
			}
		}
		if _, found := begins(t, conn, "POST").Option(254); !found {
			t.Error("the request has no option")
		}
		if _, found := begins(t, conn, "GET /false").Option(254); found {
			t.Error("the body has an option")
		}
	}},
	{"no room", noRoom},
	{"overtaken", overtaken},
	{"peer that says nothing", silent},
	{"peer that says it is there", func(t *testing.T, c *outbound) {
		listener, at := c.listen(peers, nil)
		on, conn := c.open(t, listener, at)
		for n := range 300 {
			id := fmt.Sprintf("there%d", n)
			c.exchange(t, on, conn, id, map[bool][]byte{true: option(hello, "", -1)}[n == 0])
			if c.carries(t, true, id); t.Failed() {
				return // one tells as much as all
			}
		}
		on, conn = c.open(t, listener, at) // its silence since means nothing
		c.exchange(t, on, conn, "there-again", nil)
		c.carries(t, true, "there-again")
	}},
	{"peer that drops them", dropping},
}

// each sends requests on one connection and expects an option with each.
func (c *outbound) each(t *testing.T, syn []byte) {
	listener, at := c.listen(peers, func(conn *segments.Conn) {
		if syn != nil {
			conn.SynOptions = syn
		}
	})
	on, conn := c.open(t, listener, at)
	for n := range 5 {
		id := fmt.Sprintf("each%d-%d", len(syn), n)
		c.exchange(t, on, conn, id, nil)
		c.carries(t, true, id)
	}
	_, found := begins(t, conn, "GET").Option(8)
	if found != (syn != nil) {
		t.Errorf("there is a timestamp beside it: %v", found)
	}
}

// noRoom has the client acknowledge pieces that came ahead: with three of them
// there is no room beside.
func noRoom(t *testing.T, c *outbound) {
	listener, at := c.listen(peers, func(conn *segments.Conn) {
		conn.SynOptions = append(conn.SynOptions, 1, 1, 4, 2) // allows selective acknowledgements
	})
	on, conn := c.open(t, listener, at)
	c.exchange(t, on, conn, "room", nil)
	before := reasons(t, c.agent)
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
	answer := head + strings.Repeat("x", 5000)
	for _, ahead := range []int{1000, 2000, 3000} {
		if err := conn.SendAhead(uint32(ahead), []byte(answer[ahead:ahead+100]), nil); err != nil {
			t.Fatal(err)
		}
	}
	c.talker.send(on, strings.Replace(plainRequest, "ID", "crowded", 1))
	c.arrive(t, conn, "crowded")
	for rest := answer; rest != ""; rest = rest[min(len(rest), 1000):] {
		if err := conn.Send([]byte(rest[:min(len(rest), 1000)]), nil); err != nil {
			t.Fatal(err)
		}
	}
	c.talker.hear(on, answer)
	c.counted(t, before, "option_no_room", 1)
	c.exchange(t, on, conn, "roomy", nil)
	if blocks, _ := begins(t, conn, "GET /?id=crowded").Option(5); len(blocks) != 24 {
		t.Errorf("the request has %d bytes of selective acknowledgements", len(blocks))
	}
	c.carries(t, true, "room", "roomy")
	c.carries(t, false, "crowded")
}

// overtaken keeps a request waiting by the window until the next one has come.
func overtaken(t *testing.T, c *outbound) {
	listener, at := c.listen(peers, nil)
	on, conn := c.open(t, listener, at)
	c.exchange(t, on, conn, "first", nil)
	before := reasons(t, c.agent)
	if err := conn.Say(0); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"second", "third"} {
		c.talker.send(on, strings.Replace(plainRequest, "ID", id, 1))
	}
	if err := conn.Say(65535); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"second", "third"} {
		c.arrive(t, conn, id)
		if err := conn.Send([]byte(answerOK), nil); err != nil {
			t.Fatal(err)
		}
	}
	c.talker.hear(on, answerOK+answerOK)
	c.counted(t, before, "option_overtaken", 1)
	c.carries(t, true, "first")
	c.carries(t, false, "second")
}

// silent never says that it reads options.
func silent(t *testing.T, c *outbound) {
	listener, at := c.listen(peers, nil)
	on, conn := c.open(t, listener, at)
	const enough = 128 // PEER_SILENT of bpf/include/option.h
	for n := range enough {
		id := fmt.Sprintf("silent%d", n)
		c.exchange(t, on, conn, id, nil)
		c.carries(t, true, id)
	}
	off(t, c, listener, at)
}

// off expects that the peer is left alone.
func off(t *testing.T, c *outbound, listener *segments.Listener, at string) {
	t.Helper()
	before := reasons(t, c.agent)
	on, conn := c.open(t, listener, at)
	for n := range 3 {
		id := fmt.Sprintf("off-%s-%d", at, n)
		c.exchange(t, on, conn, id, nil)
		c.carries(t, false, id)
	}
	if reasons(t, c.agent)["option_peer_off"] == before["option_peer_off"] {
		t.Error("nobody has counted that the peer is left alone")
	}
}

// dropping does not let segments with an option through: they must arrive without.
func dropping(t *testing.T, c *outbound) {
	dropped := 0
	listener, at := c.listen(peers, func(conn *segments.Conn) {
		conn.Drop = func(s segments.Segment) bool {
			_, found := s.Option(254)
			if found {
				dropped++
			}
			return found
		}
	})
	before := reasons(t, c.agent)
	const enough = 3 // PEER_LOST of bpf/include/option.h
	for n := range enough {
		on, conn := c.open(t, listener, at)
		id := fmt.Sprintf("dropped%d", n)
		c.exchange(t, on, conn, id, nil)
		c.carries(t, false, id)
		c.talker.close(on)
	}
	if dropped != enough {
		t.Errorf("%d segments with an option were dropped, want %d", dropped, enough)
	}
	c.counted(t, before, "option_lost", enough)
	off(t, c, listener, at)
}

// TestOptionsSent has a client send requests to servers that do as they like.
// Whatever they do, the client is served.
func TestOptionsSent(t *testing.T) {
	c := openOutbound(t)
	for _, part := range optionsSent {
		t.Run(part.name, func(t *testing.T) { part.do(t, c) })
	}
	spans := c.settle()
	delete(c.sent, "warm")
	if len(c.sent) < 400 {
		t.Errorf("only %d requests had an option", len(c.sent))
	}
	for id, ids := range c.sent {
		span := one(t, spans, id, rig.Request(id))
		if span.TraceID+span.SpanID != ids {
			t.Errorf("request %s was sent with the context %s, and is the span %v", id, ids, span)
		}
	}
}
