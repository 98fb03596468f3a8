package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
)

// systemCalls are ways to move bytes, and whether the tracepoints of this kernel
// see the head of a request that is sent so, of an answer that is sent so, and of
// either that is received so; if not, it must be counted. See docs/support.md.
var systemCalls = []struct {
	send, receive          string
	request, answer, heard bool
}{
	{send: "write", receive: "read", request: true, answer: true, heard: true},
	{send: "writev", receive: "readv", request: true, answer: true, heard: true},
	{send: "sendmmsg", receive: "read", request: true, heard: true},
	{send: "uring", receive: "read", request: true, heard: true},
	{send: "splice", receive: "read", heard: true},
	{send: "sendfile", receive: "read", heard: true},
	{send: "write", receive: "recvmmsg", request: true, answer: true},
	{send: "write", receive: "splice", request: true, answer: true},
	{send: "write", receive: "uring", request: true, answer: true},
}

// TestSystemCalls has a client and a server talk by every way to move bytes.
func TestSystemCalls(t *testing.T) {
	s := newStage(t)
	s.watch("CLEW_HOOKS=tracepoint")
	binary, err := theLab.workshop.Calls()
	if err != nil {
		t.Fatal(err)
	}
	counted := make([]float64, len(systemCalls))
	for i, c := range systemCalls {
		before := s.unseen()
		s.talk(binary, fmt.Sprintf("calls%d", i), c.send, c.receive)
		counted[i] = s.unseen() - before
	}
	spans := s.settle()
	for i, c := range systemCalls {
		t.Run(c.send+" "+c.receive, func(t *testing.T) {
			name := fmt.Sprintf("calls%d", i)
			served := spans.Where(rig.Service(name+"-server"), rig.Kind("server"), rig.Request(name+"-served"))
			called := spans.Where(rig.Service(name+"-client"), rig.Kind("client"), rig.Request(name+"-called"))
			if c.heard && c.answer {
				attributes(t, one(t, served, "served"), "http.response.status_code", "200")
			}
			if c.heard && c.request {
				attributes(t, one(t, called, "called"), "http.response.status_code", "200")
			}
			if all := c.heard && c.answer && c.request; all != (counted[i] == 0) {
				t.Errorf("%v heads are counted as not seen", counted[i])
			}
			for _, span := range append(served, called...) { // perhaps half of it was seen
				if code := span.Attributes["http.response.status_code"]; code != "" && code != "200" || span.Failed {
					t.Errorf("says what was not seen: %v", span)
				}
			}
		})
	}
	for _, span := range spans {
		if span.ParentID != "" && !strings.HasSuffix(span.Service, "-server") {
			t.Errorf("a parent out of nothing: %v", span)
		}
	}
}

// talk has a server and a client exchange one request each.
func (s *stage) talk(binary, name, send, receive string) {
	s.Helper()
	port, err := rig.FreePort()
	if err != nil {
		s.Fatal(err)
	}
	server, err := s.scene.Start(rig.Command{
		Name: name, Path: binary, Args: []string{"server", send, receive, fmt.Sprint(port)},
		Env: []string{"OTEL_SERVICE_NAME=" + name + "-server"},
	})
	if err != nil {
		s.Fatal(err)
	}
	defer server.Kill()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err := rig.Listening(s.Context(), server, "tcp", address); err != nil {
		s.Fatal(err)
	}
	w := dial(s.T, address) // from outside, so that only the server is watched
	w.send("%s", request("GET", "/", name+"-served"))
	w.receive("GET", 200)
	w.Close()
	s.call(fmt.Sprint(port), binary, name, send, receive)
}

// call runs the client once, in the scene.
func (s *stage) call(port, binary, name, send, receive string) {
	s.Helper()
	client, err := s.scene.Start(rig.Command{
		Name: name, Path: binary, Args: []string{"client", send, receive, port, "/?id=" + name + "-called"},
		Env: []string{"OTEL_SERVICE_NAME=" + name + "-client"},
	})
	if err != nil {
		s.Fatal(err)
	}
	if err := client.Wait(); err != nil {
		s.Fatalf("%v\n%s", err, client.Errors())
	}
	if !strings.HasSuffix(client.Output(), "\r\n\r\nhello\n") {
		s.Fatalf("the client got %q", client.Output())
	}
}

// unseen is how often the kernel side could not see bytes that it wanted to.
func (s *stage) unseen() float64 {
	s.Helper()
	metrics, err := s.agent.Metrics(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return metrics[`clew_probes_dropped_total{reason="no_buffer"}`]
}
