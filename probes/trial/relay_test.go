package trial

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is what a relay does to the requests of one check and to their answers.
// The zero value does nothing.
type fault struct {
	check       string                            // the requests to /check
	delay       time.Duration                     // before each of them
	head        func(head []byte) []byte          // instead of what the relay does
	body        func(body []byte) []byte          // before it is passed on
	answer      func(n int, answer []byte) []byte // the nth of the connection, as it is received
	keepOpen    bool                              // the client's end of stream is swallowed
	lost        bool                              // of what is waited for, something never comes
	answerStays bool                              // the server's is
}

// relay stands between client and server and does in user space, without any BPF,
// what is under trial: its head rewrites that of each request.
type relay struct {
	t     *testing.T
	head  func(head []byte) []byte
	fault fault
	wait  sync.WaitGroup
}

// newRelay ends with the test, and its connections with it.
func newRelay(t *testing.T, head func([]byte) []byte, f fault) *relay {
	r := &relay{t: t, head: head, fault: f}
	t.Cleanup(r.wait.Wait)
	return r
}

// through is a way to the server over a new port of the same family.
func (r *relay) through(server netip.AddrPort) (netip.AddrPort, error) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0)))
	if err != nil {
		return netip.AddrPort{}, err
	}
	r.t.Cleanup(func() { listener.Close() })
	r.wait.Go(func() {
		for first := true; ; first = false {
			client, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			upstream, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(server))
			if err != nil {
				client.Close()
				continue
			}
			l := &link{relay: r, client: client, server: upstream, taught: !first}
			r.t.Cleanup(l.close)
			r.wait.Go(l.requests)
			r.wait.Go(l.answers)
		}
	})
	return netip.AddrPortFrom(server.Addr(), listener.Addr().(*net.TCPAddr).AddrPort().Port()), nil
}

// link is one connection through a relay.
type link struct {
	*relay
	client, server *net.TCPConn
	taught         bool        // not the first connection
	struck         atomic.Bool // the last request is one that the fault is for
}

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// requests passes on what the client sends, request by request.
func (l *link) requests() {
	for in := bufio.NewReader(l.client); ; {
		err := l.request(in)
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) && !(l.struck.Load() && l.fault.keepOpen) {
			_ = l.server.CloseWrite()
		}
		return
	}
}

func (l *link) request(in *bufio.Reader) error {
	var head []byte
	length := 0
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		head = append(head, line...)
		if value, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return err
			}
		}
	}
	target := bytes.Fields(head)[1]
	struck := string(target) == "/"+l.fault.check
	l.struck.Store(struck)
	if struck {
		time.Sleep(l.fault.delay)
	}
	switch {
	case !l.taught:
	case struck && l.fault.head != nil:
		head = l.fault.head(head)
	default:
		head = l.head(head)
	}
	if _, err := l.server.Write(head); err != nil || length == 0 {
		return err
	}
	if !struck || l.fault.body == nil {
		_, err := io.CopyN(l.server, in, int64(length))
		return err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	_, err := l.server.Write(l.fault.body(body))
	return err
}

// answers passes on what the server sends.
func (l *link) answers() {
	buf := make([]byte, 64<<10)
	for n := 1; ; n++ {
		size, err := l.server.Read(buf)
		if err != nil {
			if !(l.struck.Load() && l.fault.answerStays) {
				_ = l.client.CloseWrite()
			}
			return
		}
		chunk := buf[:size]
		if l.struck.Load() && l.fault.answer != nil {
			chunk = l.fault.answer(n, chunk)
		}
		if _, err := l.client.Write(chunk); err != nil {
			return
		}
	}
}

// What relays do to heads.

const exampleField = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"

func leave(head []byte) []byte { return head }

// inject does what rung 1 should.
func inject(head []byte) []byte {
	if bytes.Contains(bytes.ToLower(head), []byte("\r\ntraceparent:")) {
		return head
	}
	return insert(exampleField)(head)
}

// insert writes a text behind the request line, whatever stands there.
func insert(text string) func([]byte) []byte {
	return func(head []byte) []byte {
		line := bytes.IndexByte(head, '\n') + 1
		return bytes.Join([][]byte{head[:line], []byte(text), head[line:]}, nil)
	}
}

// What relays do to bodies and answers.

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 0x20
	return b
}

func shorten(b []byte) []byte { return b[:len(b)-1] }

func lengthen(b []byte) []byte { return append(bytes.Clone(b), 'x') }

// only does it to the nth answer of a connection.
func only(nth int, do func([]byte) []byte) func(int, []byte) []byte {
	return func(n int, b []byte) []byte {
		if n == nth {
			return do(b)
		}
		return b
	}
}

func drop([]byte) []byte { return nil }
