package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// pause is how long slow peers make the other side wait. A span that does not
// last that long has missed what happened after it.
const pause = 300 * time.Millisecond

// bodies are transfers in which the client stops reading, or writing, half-way.
var bodies = []struct {
	name, server, path string
	size               int64
	upload             bool
}{
	{name: "5 MB", server: "go", path: "/big?bytes=5000000", size: 5e6},
	{name: "200 MB", server: "go", path: "/big?bytes=200000000", size: 200e6},
	{name: "200 MB chunked", server: "go", path: "/big?chunked=1&bytes=200000000", size: 200e6},
	{name: "sendfile", server: "nginx", path: "/file", size: programs.FileSize},
	{name: "5 MB up", server: "go", path: "/", size: 5e6, upload: true},
	{name: "200 MB up", server: "go", path: "/", size: 200e6, upload: true},
}

// TestBodies checks that a span ends with the last byte of the response, and
// that the time to its first byte is told apart.
func TestBodies(t *testing.T) {
	s := newStage(t)
	s.watch()
	servers := map[string]*programs.Server{
		"go": s.serve("go", programs.Config{}), "nginx": s.serve("nginx", programs.Config{}),
	}
	resumed := make([]time.Time, len(bodies))
	finished := make([]time.Time, len(bodies))
	for i, c := range bodies {
		w := dial(t, servers[c.server].Address)
		id := "b" + strconv.Itoa(i)
		if c.upload {
			w.send("%s", request("POST", c.path, id, fmt.Sprintf("Content-Length: %d", c.size)))
			piece := bytes.Repeat([]byte("GET / HTTP/1.1\r\n\r\n"), 1<<10)
			for left := c.size; left > 0; left -= int64(len(piece)) {
				if resumed[i].IsZero() && left < c.size/2 {
					time.Sleep(pause)
					resumed[i] = time.Now()
				}
				w.send("%s", piece[:min(int64(len(piece)), left)])
			}
			w.receive("POST", 200)
		} else {
			w.send("%s", request("GET", c.path, id))
			response := w.response("GET")
			time.Sleep(pause)
			resumed[i] = time.Now()
			if n, err := io.Copy(io.Discard, response.Body); n != c.size || err != nil {
				t.Fatalf("%s: read %d bytes: %v", c.name, n, err)
			}
		}
		finished[i] = time.Now()
		// The next request on the connection shows that the end was understood.
		w.send("%s", request("GET", "/", id+"-next"))
		w.receive("GET", 200)
		w.Close()
	}
	spans := s.settle()
	for i, c := range bodies {
		t.Run(c.name, func(t *testing.T) {
			id := "b" + strconv.Itoa(i)
			span := one(t, spans, id, rig.Request(id))
			attributes(t, span, "span.kind", "server", "http.response.status_code", "200")
			wait, err := strconv.ParseFloat(span.Attributes["clew.time_to_first_byte"], 64)
			if err != nil {
				t.Fatalf("time to first byte: %v", err)
			}
			first := span.Start.Add(time.Duration(wait * 1e9))
			if span.End.Before(resumed[i]) {
				t.Errorf("ends %v before the client read or wrote the second half", resumed[i].Sub(span.End))
			}
			if late := span.End.Sub(finished[i]); late > 100*time.Millisecond {
				t.Errorf("ends %v after the client had everything", late)
			}
			if c.upload && first.Before(resumed[i]) || !c.upload && first.After(resumed[i]) {
				t.Errorf("first byte after %v, of %v", wait, span.End.Sub(span.Start))
			}
			next := one(t, spans, id+"-next", rig.Request(id+"-next"))
			attributes(t, next, "http.response.status_code", "200")
		})
	}
}

// TestUpgrade checks that a span ends at 101, and that what follows is not HTTP
// however it looks.
func TestUpgrade(t *testing.T) {
	s := newStage(t)
	s.watch()
	server := s.serve("go", programs.Config{})
	w := dial(t, server.Address)
	w.send("%s", request("GET", "/upgrade", "up", "Connection: Upgrade", "Upgrade: websocket"))
	if response := w.response("GET"); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s", response.Status)
	}
	time.Sleep(pause)
	later := time.Now()
	fake := request("GET", "/", "fake") + "HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n"
	for range 3 {
		w.send("%s", fake)
		if _, err := io.ReadFull(w.in, make([]byte, len(fake))); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	s.get(server.URL+"/?id=after", 200)
	spans := s.settle()
	span := one(t, spans, "the upgrade", rig.Request("up"))
	attributes(t, span, "span.kind", "server", "http.response.status_code", "101")
	if !span.End.Before(later) || span.Failed {
		t.Errorf("the span must end at 101, unfailed: %v", span)
	}
	one(t, spans, "after it", rig.Request("after"))
	if len(spans) != 2 {
		t.Errorf("got %d spans, want 2", len(spans))
	}
}

// TestBrokenOff has clients that go away too early.
func TestBrokenOff(t *testing.T) {
	s := newStage(t)
	s.watch()
	server := s.serve("go", programs.Config{})

	w := dial(t, server.Address) // in the midst of the response
	w.send("%s", request("GET", "/big?bytes=200000000", "half"))
	if _, err := io.CopyN(io.Discard, w.response("GET").Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	w.Close()

	w = dial(t, server.Address) // in the midst of the request's head
	w.send("GET /?id=cut HTTP/1.1\r\nHost: loc")
	w.Close()

	w = dial(t, server.Address) // before any answer
	w.send("%s", request("GET", "/never", "never"))
	time.Sleep(pause)
	w.Close()

	if _, err := s.run("curl", "-sS", "--max-time", "0.5", server.URL+"/never?id=impatient"); err == nil {
		t.Fatal("curl got an answer from a server that never answers")
	}
	s.get(server.URL+"/?id=after", 200)
	// The spans must come because the connections are gone, not because the
	// agent stops.
	s.await(1, rig.Request("half"))
	s.await(1, rig.Request("never"))
	s.await(2, rig.Request("impatient"))
	spans := s.settle()

	half := one(t, spans, "half a response", rig.Request("half"))
	attributes(t, half, "span.kind", "server", "http.response.status_code", "200")
	never := one(t, spans, "no response", rig.Request("never"))
	unanswered(t, never)
	if never.End.Sub(never.Start) < pause {
		t.Errorf("the client waited %v, the span lasts %v", pause, never.End.Sub(never.Start))
	}
	client := one(t, spans, "curl", rig.Request("impatient"), rig.Kind("client"))
	unanswered(t, client)
	if !client.Failed {
		t.Errorf("a call without an answer has not failed: %v", client)
	}
	served := one(t, spans, "curl's server", rig.Request("impatient"), rig.Kind("server"))
	unanswered(t, served)
	childOf(t, served, client, "local")
	if n := len(spans.Where(rig.Request("cut"))); n > 1 {
		t.Errorf("half a request became %d spans", n)
	}
	attributes(t, one(t, spans, "after", rig.Request("after")), "http.response.status_code", "200")
}

// unanswered expects a span that says that no response came.
func unanswered(t *testing.T, span rig.Span) {
	t.Helper()
	attributes(t, span, "http.response.status_code", "", "clew.time_to_first_byte", "")
	if span.Attributes["error.type"] == "" {
		t.Errorf("%s span %q does not say what went wrong", span.Kind, span.Name)
	}
}

// TestOldConnections starts the agent when programs run and their pools are
// open. The next request on each has its spans, and before long its link, too:
// at first the agent cannot know what older requests a thread still serves.
func TestOldConnections(t *testing.T) {
	s := newStage(t)
	backend := s.serve("go", programs.Config{Service: "backend"})
	olds := []struct {
		name, evidence string
		client         *http.Client
		url            string
	}{
		{name: "go", evidence: "goroutine"}, {name: "python-http", evidence: "thread"}, {name: "gunicorn-sync", evidence: "thread"},
		{name: "node-http"}, {name: "java-urlconnection", evidence: "thread"},
	}
	for i := range olds {
		old := &olds[i]
		old.url = s.serve(old.name, programs.Config{}).URL + "/call?url=" + url.QueryEscape(backend.URL+"/") + "&id="
		old.client = &http.Client{Transport: &http.Transport{}} // keeps its connection
		t.Cleanup(old.client.CloseIdleConnections)
		fetch(t, old.client, old.url+"before", 200)
	}
	s.watch()
	for _, old := range olds {
		fetch(t, old.client, old.url+"next", 200)
	}
	for _, old := range olds {
		if old.evidence == "" {
			continue
		}
		if err := rig.Until(t.Context(), "a link in "+old.name, func(ctx context.Context) error {
			fetch(t, old.client, old.url+"later", 200)
			spans, err := s.jaeger.Spans(ctx)
			if err != nil {
				return err
			}
			for _, client := range spans.Where(rig.Service(old.name), rig.Kind("client")) {
				if client.Attributes["clew.parent.evidence"] == old.evidence {
					return nil
				}
			}
			return errors.New("there is none")
		}); err != nil {
			t.Error(err)
		}
	}
	spans := s.settle()
	if before := spans.Where(rig.Request("before")); len(before) != 0 {
		t.Errorf("spans of requests before the agent:\n%v", before)
	}
	for _, old := range olds {
		t.Run(old.name, func(t *testing.T) {
			own := spans.Where(rig.Service(old.name))
			served(t, own, "next", "/call", "200")
			calls, parents := own.Where(rig.Kind("client")), own.Where(rig.Kind("server"))
			if len(calls) != len(parents) {
				t.Fatalf("got %d calls in %d requests:\n%v", len(calls), len(parents), own)
			}
			for n, client := range calls { // one after the other
				server := one(t, spans, "called", rig.Service("backend"), rig.Request(client.RequestID()))
				linked(t, parents[n], client, server, "") // right, or absent
			}
		})
	}
}
