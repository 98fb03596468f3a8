package integrity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// relay passes bytes between clients and a server, and spoils what the clients
// send.
type relay struct {
	net.Listener
	server string
	spoil  func(piece []byte) []byte // of what a client sends; nil spoils nothing
	answer func(piece []byte) []byte // of what the server sends
}

func (r *relay) serve() {
	for {
		client, err := r.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.server)
		if err != nil {
			client.Close()
			return
		}
		go pass(server, client, r.spoil)
		go pass(client, server, r.answer)
	}
}

// pass copies until the end of one side, and closes the other.
func pass(to, from net.Conn, spoil func([]byte) []byte) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		piece := buffer[:n]
		if spoil != nil && n > 0 {
			piece = spoil(piece)
		}
		if _, failed := to.Write(piece); failed != nil || err != nil {
			return
		}
	}
}

const injected = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"

// once spoils what has the mark, the first time.
func once(mark string, spoil func([]byte) []byte) func([]byte) []byte {
	var mu sync.Mutex
	done := false
	return func(piece []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		if done || !bytes.Contains(piece, []byte(mark)) {
			return piece
		}
		done = true
		return spoil(slices.Clone(piece))
	}
}

func replace(from, to string) func([]byte) []byte {
	return func(piece []byte) []byte { return bytes.Replace(piece, []byte(from), []byte(to), 1) }
}

// write puts text behind the request line.
func write(text string) func([]byte) []byte {
	return func(piece []byte) []byte { return bytes.Replace(piece, []byte("\r\n"), []byte("\r\n"+text), 1) }
}

// TestJudge has a relay between client and server spoil bytes in every way that
// the judge must see.
func TestJudge(t *testing.T) {
	const victim = "/judge-25/"
	flip := func(at int) func([]byte) []byte {
		return func(piece []byte) []byte {
			piece[(at+len(piece))%len(piece)] ^= 1
			return piece
		}
	}
	baseline := play(t, nil, nil, time.Minute)
	if v := Judge(baseline); !v.Clean() {
		t.Fatalf("nothing was spoilt: %+v", v)
	}
	for _, c := range []struct {
		name          string
		spoil, answer func([]byte) []byte
		want          string // in the fault; "" if there is none
		with          int
	}{
		{name: "nothing"},
		{name: "the header", spoil: once(victim, write(injected)), with: 1},
		{name: "two headers", spoil: once(victim, write(injected+injected)), want: "trace context"},
		{name: "the header at the end", spoil: once(victim, replace("\r\n\r\n", "\r\n"+injected+"\r\n")), want: "trace context"},
		{name: "malformed", spoil: once(victim, write("traceparent: 00-0-0-01\r\n")), want: "trace context"},
		{name: "an empty line behind the header", spoil: once(victim, write(injected+"\r\n")), want: "judge-25: "},
		{name: "another header", spoil: once(victim, write("X-Trace: 1\r\n")), want: "judge-25: head: "},
		{name: "a byte of the head", spoil: once(victim, replace("Host: ", "host: ")), want: "judge-25: head: "},
		{name: "a byte of the target", spoil: once(victim, replace(victim, "/judge-25.")), want: "judge-25"},
		{name: "a byte of a body", spoil: once("the end of a body", flip(-1)), want: "body: "},
		{name: "a byte lost", spoil: once("the end of a body", func(p []byte) []byte { return p[:len(p)-1] }), want: "judge-31: "},
		{name: "a byte more", spoil: once("the end of a body", func(p []byte) []byte { return append(p, 'x') }), want: "judge-32: request line: x"},
		{name: "all lost", spoil: once(victim, func([]byte) []byte { return nil }), want: "judge-25: "},
		{name: "the request twice", spoil: once(victim, func(p []byte) []byte { return append(p, p...) }), want: "arrived 2 times"},
		{name: "its own header rewritten", spoil: once("00-11112222333344445555666677778888-1111222233334444-00", replace("444-00", "445-00")), want: "trace context"},
		{name: "a byte of an answer", answer: once("X-Id: judge-25\r\n", flip(-1)), want: "judge-25: "},
		{name: "an answer's status", answer: once("X-Id: judge-25\r\n", replace("HTTP/1.1 ", "HTTP/1.1 3")), want: "judge-25: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			deadline := time.Minute
			if c.want != "" {
				deadline = 300 * time.Millisecond // what hangs, hangs for ever
			}
			run := play(t, c.spoil, c.answer, deadline)
			run.Baseline = baseline.Records
			v := Judge(run)
			faults := strings.Join(slices.Concat(v.Differences, v.Hung, v.Errors), "\n")
			if !strings.Contains(faults, c.want) || c.want == "" && faults != "" {
				t.Errorf("the judge says %q, want %q", faults, c.want)
			}
			if c.want == "" && v.With != c.with {
				t.Errorf("%d requests carry the header, want %d", v.With, c.with)
			}
		})
	}
}

// play makes 40 requests through a relay.
func play(t *testing.T, spoil, answer func([]byte) []byte, deadline time.Duration) Run {
	t.Helper()
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	var records bytes.Buffer
	server, listener := NewServer("judge", &records), listen()
	go func() { _ = server.Serve(listener) }()
	defer listener.Close()
	r := &relay{Listener: listen(), server: listener.Addr().String(), spoil: spoil, answer: answer}
	go r.serve()
	defer r.Close()

	pool := Pool("judge")
	plan := Plan("judge", "judge", 40, Traits{})
	plan[25] = Request{ID: "judge-25", Method: "GET", Target: "/judge-25/x", Framing: None}
	plan[28] = Request{ID: "judge-28", Method: "GET", Target: "/judge-28/x", Framing: None,
		Headers: [][2]string{{"traceparent", "00-11112222333344445555666677778888-1111222233334444-00"}}}
	plan[31] = Request{ID: "judge-31", Method: "POST", Target: "/judge-31/x", Framing: Counted, Body: Part{100, 300}}
	copy(pool[383:], "the end of a body")
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, r.Addr().String())
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: dial}}
	defer client.CloseIdleConnections()
	run := Run{Wants: Wants(plan, pool)}
	for _, q := range plan {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		run.Outcomes = append(run.Outcomes, Make(ctx, client, "http://judge.invalid", q, q.Body.Of(pool)))
		cancel()
	}
	client.CloseIdleConnections()
	idle, err := http.Get("http://" + listener.Addr().String() + "/idle")
	if err != nil {
		t.Fatal(err)
	}
	idle.Body.Close()
	decoder := json.NewDecoder(&records)
	for {
		var record Record
		if err := decoder.Decode(&record); errors.Is(err, io.EOF) {
			return run
		} else if err != nil {
			t.Fatal(err)
		}
		run.Records = append(run.Records, record)
	}
}
