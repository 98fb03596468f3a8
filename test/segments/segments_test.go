package segments

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"testing"

	"github.com/clewtrace/clew/test/rig"
)

func TestPacket(t *testing.T) {
	there := ends{netip.MustParseAddrPort("192.168.1.2:40000"), netip.MustParseAddrPort("10.0.0.1:80")}
	here := ends{there.remote, there.local}
	for _, s := range []Segment{
		{Seq: 1, Flags: SYN, Window: 2, Options: mss, Payload: []byte{}},
		{Seq: 1 << 31, Ack: 7, Flags: PSH | ACK, Window: 65535, Options: []byte{}, Payload: []byte("odd")},
		{Seq: 1, Ack: 2, Flags: FIN | ACK, Options: make([]byte, 40), Payload: bytes.Repeat([]byte{255}, 1400)},
	} {
		packet := s.packet(there)
		between, got, err := parse(packet)
		if err != nil || between != here || !reflect.DeepEqual(got, s) {
			t.Errorf("got %v: %+v, %v, want %+v", between, got, err, s)
		}
		for i := range packet {
			packet[i] ^= 1
			if _, _, err := parse(packet); err == nil {
				t.Errorf("byte %d is another and nobody cares", i)
			}
			packet[i] ^= 1
		}
		for i := range packet {
			if _, _, err := parse(packet[:i]); err == nil {
				t.Errorf("cut after %d bytes and nobody cares", i)
			}
		}
	}
	if _, _, err := parse(append([]byte{0x60}, make([]byte, 60)...)); !errors.Is(err, errOther) {
		t.Errorf("IPv6: got %v", err)
	}
}

// TestSum adds the bytes of the example in RFC 1071, section 3.
func TestSum(t *testing.T) {
	example, err := hex.DecodeString("0001f203f4f5f6f7")
	if err != nil {
		t.Fatal(err)
	}
	if got := sum(0, example); got != 0xddf2 {
		t.Errorf("got %x, want ddf2", got)
	}
}

func TestOption(t *testing.T) {
	s := Segment{Options: []byte{1, 1, 2, 4, 5, 120, 254, 6, 0xc1, 0xe1, 7, 8, 254, 4, 0xc1, 0xe2, 0, 9}}
	if got, found := s.Option(254, 0xc1, 0xe1); !found || !bytes.Equal(got, []byte{0xc1, 0xe1, 7, 8}) {
		t.Errorf("got %v, %v", got, found)
	}
	if _, found := s.Option(254, 0xc1, 0xe2); !found {
		t.Error("the second of its kind is not found")
	}
	if _, found := s.Option(9); found {
		t.Error("found behind the end")
	}
	for _, bad := range [][]byte{{254}, {254, 0}, {254, 1}, {254, 3}} {
		if _, found := (Segment{Options: bad}).Option(254); found {
			t.Errorf("found in %v", bad)
		}
	}
}

// openLink makes a host with a network beside it.
func openLink(t *testing.T) (*rig.Host, *Link) {
	t.Helper()
	if obstacle := rig.Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	scene, err := rig.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := scene.Close(); err != nil {
			t.Error(err)
		}
	})
	hosts, err := scene.Hosts(1)
	if err != nil {
		t.Fatal(err)
	}
	link, err := Open(hosts[0], netip.MustParsePrefix("192.168.77.0/24"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := link.Close(); err != nil {
			t.Error(err)
		}
	})
	return hosts[0], link
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	t.Cleanup(cancel)
	return ctx
}

// TestDial talks to a server of the kernel's: in one segment, in two of which the
// later comes first, and to the end.
func TestDial(t *testing.T) {
	host, link := openLink(t)
	ctx := patient(t)
	listener, err := host.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // echoes lines
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintf(conn, "%s!\n", lines.Text())
				}
			}()
		}
	}()
	to := netip.MustParseAddrPort(listener.Addr().String())
	conn, err := link.Dial(ctx, netip.MustParseAddrPort("192.168.77.9:4000"), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		if got, err := conn.Read(ctx, len(want)); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	option := append([]byte{254, 28, 0xc1, 0xe1}, make([]byte, 24)...)
	for _, err := range []error{
		conn.Send([]byte("hello\n"), option), conn.Acknowledged(ctx),
		conn.SendAhead(3, []byte("there\n"), nil), conn.Send([]byte("you"), nil), conn.Send([]byte("there\n"), nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := conn.ReadTo(ctx, "lo!"); err != nil || string(got) != "hello!" {
		t.Fatalf("got %q, %v", got, err)
	}
	expect("\nyouthere!\n")
	if err := errors.Join(conn.Finish(), conn.Finished(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(ctx, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after the end: got %v", err)
	}
	if _, err := conn.ReadTo(ctx, "x"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after the end: got %v", err)
	}
}

// TestListen is called by a client of the kernel's, keeps it waiting by its
// window, and drops a segment, which must be sent again.
func TestListen(t *testing.T) {
	host, link := openLink(t)
	ctx := patient(t)
	at := netip.MustParseAddrPort("192.168.77.8:80")
	dropped := 0
	listener := link.Listen(at, func(c *Conn) {
		c.Drop = func(s Segment) bool {
			if len(s.Payload) == 0 || dropped > 0 {
				return false
			}
			dropped++
			return true
		}
	})
	client, err := host.DialContext(ctx, "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "again"); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.Read(ctx, 5); err != nil || string(got) != "again" {
		t.Fatalf("got %q, %v", got, err)
	}
	if dropped != 1 {
		t.Errorf("%d segments were dropped", dropped)
	}
	if err := conn.Say(0); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "wait"); err != nil {
		t.Fatal(err)
	}
	before := len(conn.Segments())
	if err := conn.Say(1000); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.Read(ctx, 4); err != nil || string(got) != "wait" {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, s := range conn.Segments()[:before] {
		if string(s.Payload) == "wait" {
			t.Error("the window was not respected")
		}
	}
	if err := conn.Send([]byte("answer"), nil); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 6)
	if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "answer" {
		t.Fatalf("got %q, %v", answer, err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Finished(ctx), conn.Finish()); err != nil {
		t.Fatal(err)
	}
}
