package test

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/segments"
)

// Networks beside the host: options are taken from and sent to the first only.
var (
	peers     = netip.MustParsePrefix("192.168.77.0/24")
	strangers = netip.MustParsePrefix("192.168.78.0/24")
	beside    = netip.MustParsePrefix("192.168.76.0/22") // both
)

// Kinds of the option, by its ExID.
const (
	unsampled = "c1e0"
	sampled   = "c1e1"
	hello     = "c1e2"
)

// option is an option with the ids in hex, padded to a multiple of four bytes. Its
// length is what it says it has, -1 for that which it has.
func option(exid, ids string, length int) []byte {
	content, err := hex.DecodeString(exid + ids)
	if err != nil {
		panic(err) // a mistake in a test
	}
	if length < 0 {
		length = len(content) + 2
	}
	all := append([]byte{254, byte(length)}, content...)
	for len(all)%4 != 0 {
		all = append(all, 1) // no operation
	}
	return all
}

// carrying is an option that is as it should be.
func carrying(trace, span string) []byte { return option(sampled, trace+span, -1) }

// beyond is a watched host, with an agent that sends and takes options, and a
// network of hosts beside it whose segments are made by hand.
type beyond struct {
	*testing.T
	scene *rig.Scene
	host  *rig.Host
	link  *segments.Link
	sink  *rig.Sink
	agent *rig.Agent
}

// openBeyond opens it with an agent that is told by which rungs context goes.
func openBeyond(t *testing.T, propagation string) *beyond {
	t.Helper()
	b := &beyond{T: t, scene: openScene(t)}
	hosts, err := b.scene.Hosts(1)
	if err != nil {
		t.Fatal(err)
	}
	b.host = hosts[0]
	if b.link, err = segments.Open(b.host, beside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.link.Close(); err != nil {
			t.Error(err)
		}
	})
	if b.sink, err = rig.OpenSink(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.sink.Close)
	binary, err := theLab.agent()
	if err != nil {
		t.Fatal(err)
	}
	b.agent, err = b.host.StartAgent(t.Context(), rig.AgentConfig{
		Binary: binary, Endpoint: b.sink.Endpoint,
		Env: []string{"CLEW_PROPAGATION=" + propagation, "CLEW_TCP_OPTION_PEERS=" + peers.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serve starts the server in Go on the host, and returns its address.
func (b *beyond) serve() netip.AddrPort {
	b.Helper()
	root, err := rig.Root()
	if err != nil {
		b.Fatal(err)
	}
	binary := filepath.Join(b.scene.Dir, "server")
	if err := rig.GoBuild(filepath.Join(root, "test", "programs", "gohttp"), binary, "."); err != nil {
		b.Fatal(err)
	}
	port, err := b.host.FreePort()
	if err != nil {
		b.Fatal(err)
	}
	at := netip.AddrPortFrom(b.host.Address, uint16(port))
	process, err := b.host.Start(rig.Command{
		Name: "server", Path: binary, Env: []string{"LISTEN=" + at.String(), "OTEL_SERVICE_NAME=server"},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := b.host.Listening(b.Context(), process, at.String()); err != nil {
		b.Fatal(err)
	}
	return at
}

// warm sends options to the server until the agent takes them.
func (b *beyond) warm(server netip.AddrPort) {
	b.Helper()
	port := uint16(5000)
	if err := rig.Until(b.Context(), "options to be taken", func(ctx context.Context) error {
		port++
		conn, err := b.link.Dial(ctx, netip.AddrPortFrom(address(peers, 2), port), server, nil)
		if err != nil {
			return err
		}
		b.request(b.T, conn, "warm", []part{{text: plainRequest, options: carrying(aTrace, aParent)}})
		if err := errors.Join(conn.Finish(), conn.Finished(ctx)); err != nil {
			return err
		}
		metrics, err := b.agent.Metrics(ctx)
		if err == nil && metrics[`clew_probes_seen_total{reason="option_received"}`] == 0 {
			err = errors.New("none is")
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
}

// patiently is a context that ends with the rig's patience.
func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	t.Cleanup(cancel)
	return ctx
}

// settle drains the agent and returns all spans.
func (b *beyond) settle() rig.Spans {
	b.Helper()
	if err := b.agent.Stop(); err != nil {
		b.Error(err)
	}
	spans := b.sink.Spans()
	if b.Failed() {
		b.Logf("the agent said:\n%s\n%d spans:\n%s", tail(b.agent.Errors(), 8<<10), len(spans), tail(spans.String(), 8<<10))
	}
	return spans
}

// begins finds the first segment that arrived and begins with the text.
func begins(t *testing.T, conn *segments.Conn, text string) segments.Segment {
	t.Helper()
	for _, s := range conn.Segments() {
		if strings.HasPrefix(string(s.Payload), text) {
			return s
		}
	}
	t.Fatalf("nothing that arrived begins with %q", text)
	return segments.Segment{}
}
