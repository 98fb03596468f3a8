package test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// garbage is what no server wants to read. Each item is sent on a connection of
// its own, in pieces of the given size.
var garbage = []struct {
	name  string
	bytes func() []byte
	piece int
}{
	{"random bytes", func() []byte { return noise(100_000) }, 1000},
	{"random bytes after a method", func() []byte { return append([]byte("GET "), noise(100_000)...) }, 1000},
	{"random bytes after a request line", func() []byte { return append([]byte("GET /?id=noise HTTP/1.1\r\n"), noise(50_000)...) }, 4096},
	{"TLS ClientHello", clientHello, 1 << 20},
	{"HTTP/2 preface", func() []byte { return []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") }, 1 << 20},
	{"zeros", func() []byte { return make([]byte, 70_000) }, 4096},
	{"NULs in the head", func() []byte { return []byte("GET /\x00?id=nul HTTP/1.1\r\nHo\x00st: \x00\r\n\r\n") }, 1 << 20},
	{"request line of 64 KiB", func() []byte { return []byte(request("GET", "/"+strings.Repeat("a", 64<<10), "long")) }, 16 << 10},
	{"method of 64 KiB", func() []byte { return []byte(request(strings.Repeat("G", 64<<10), "/", "method")) }, 16 << 10},
	{"header of 1 MiB", func() []byte { return []byte(request("GET", "/", "wide", "X: "+strings.Repeat("x", 1<<20))) }, 64 << 10},
	{"only a response", func() []byte { return []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") }, 1 << 20},
	{"lengths that differ", func() []byte {
		return []byte(request("POST", "/", "two", "Content-Length: 5", "Content-Length: 50") + "hello")
	}, 1 << 20},
	{"length that is none", func() []byte { return []byte(request("POST", "/", "minus", "Content-Length: -5") + "hello") }, 1 << 20},
	{"length beyond 64 bits", func() []byte {
		return []byte(request("POST", "/", "huge", "Content-Length: 99999999999999999999999") + "hello")
	}, 1 << 20},
	{"chunk beyond 64 bits", func() []byte {
		return []byte(request("POST", "/", "chunk", "Transfer-Encoding: chunked") + "fffffffffffffffffffff\r\nhello\r\n")
	}, 1 << 20},
	{"byte by byte", func() []byte { return []byte(request("GET", "/", "slowly", "Connection: close")) }, 1},
	{"empty lines", func() []byte { return bytes.Repeat([]byte("\r\n"), 5000) }, 100},
}

// noise is bytes without meaning, the same in every run.
func noise(n int) []byte {
	source := rand.NewChaCha8([32]byte{1})
	out := make([]byte, n)
	_, _ = source.Read(out) // never fails, by its documentation
	return out
}

// clientHello is what a TLS client says first.
func clientHello() []byte {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() { _ = tls.Client(client, &tls.Config{ServerName: "localhost"}).Handshake() }() // fails when the pipe closes
	hello := make([]byte, 4096)
	n, err := server.Read(hello)
	if err != nil {
		panic(err) // a pipe of our own
	}
	return hello[:n]
}

// TestGarbage throws garbage at servers, with good requests in between.
func TestGarbage(t *testing.T) {
	s := newStage(t)
	s.watch()
	names := []string{"go", "nginx", "python-http", "node-http"}
	servers := make(map[string]*programs.Server)
	for _, name := range names {
		servers[name] = s.serve(name, programs.Config{})
		for i, c := range garbage {
			throw(t, servers[name].Address, c.bytes(), c.piece)
			s.get(fmt.Sprintf("%s/?id=good%d-%s", servers[name].URL, i, name), 200)
		}
	}
	// Ten thousand headers are allowed where a server allows them.
	w := dial(t, servers["go"].Address)
	w.send("%s", request("GET", "/", "many", strings.TrimSuffix(strings.Repeat("X-H: 1\r\n", 10_000), "\r\n")))
	w.receive("GET", 200)
	w.Close()
	if !s.agent.Running() {
		t.Fatal("the agent is gone")
	}
	spans := s.settle()
	one(t, spans, "request with 10,000 headers", rig.Request("many"))
	for _, span := range spans {
		root(t, span) // nothing here has a parent
	}
	for _, name := range names {
		for i, c := range garbage {
			id := fmt.Sprintf("good%d-%s", i, name)
			span := one(t, spans, "request after "+c.name, rig.Request(id))
			attributes(t, span, "http.response.status_code", "200", "url.path", "/")
		}
		// Whatever garbage became, it is no more than one span an item, apart
		// from that which is just slow.
		if n := len(spans.Where(rig.Service(name))); n > 2*len(garbage)+1 {
			t.Errorf("%s has %d spans", name, n)
		}
	}
	if n := len(spans.Where(rig.Request("slowly"))); n != len(names) {
		t.Errorf("%d of %d requests that came byte by byte have a span", n, len(names))
	}
}

// throw sends bytes until the server has had enough, and hears it out.
func throw(t *testing.T, address string, all []byte, piece int) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_, _ = io.Copy(io.Discard, conn) // whatever it answers, until it closes or the deadline
	}()
	for len(all) > 0 {
		n := min(piece, len(all))
		if _, err := conn.Write(all[:n]); err != nil {
			break // the server has closed, as it may
		}
		all = all[n:]
	}
	_ = conn.(*net.TCPConn).CloseWrite() // fails where the server has closed
	<-heard
}
