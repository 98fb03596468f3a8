package test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	links "github.com/clewtrace/clew/test/programs/chain"
	"github.com/clewtrace/clew/test/rig"
)

// crossings are ways to let context cross from one host to another, and the
// evidence by which it does, "" if it is not to. CGROUP is that of the calling
// host, ALL that of both.
var crossings = []struct{ propagation, peers, evidence string }{
	{propagation: "none"},
	{propagation: "headers!", evidence: "header"},
	{propagation: "tcp", evidence: "tcp-option"},
	{propagation: "local,headers!,tcp", evidence: "header"},
	{propagation: "tcp", peers: "192.0.2.0/24"},
	{propagation: "headers!; CGROUP -> none"},
	{propagation: "tcp; CGROUP -> none"},
	{propagation: "headers!; CGROUP -> local,tcp", evidence: "tcp-option"},
	{propagation: "none; exe=nothing -> none; ALL -> tcp", evidence: "tcp-option"},
}

// TestTwoHosts calls from one host to another, on a connection for each call, in
// a trace that begins elsewhere.
func TestTwoHosts(t *testing.T) {
	if obstacle := rig.Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	kit, err := links.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range crossings {
		t.Run(strings.TrimSpace(c.propagation+" "+c.peers), func(t *testing.T) {
			s := newHosted(t, 3)
			env := []string{"CLEW_PROPAGATION=" + strings.NewReplacer(
				"CGROUP", s.hosts[0].Target(), "ALL", s.scene.Target()+"/*").Replace(c.propagation)}
			if c.peers != "" {
				env = append(env, "CLEW_TCP_OPTION_PEERS="+c.peers)
			}
			s.watchEach(s.hosts[:2], env...)
			called := s.link(kit, s.hosts[1], links.Link{Language: "go", Service: "called"})
			caller := s.link(kit, s.hosts[0], links.Link{Language: "python", Service: "caller", Next: called})
			// The first connection teaches what is spoken there: so some go
			// before, as many as it takes, and are not judged.
			client := clientOn(s.hosts[2], 1)
			defer client.CloseIdleConnections()
			s.callUntil(client, caller, c.evidence)
			for n := range crossingCalls {
				s.continued(client, fmt.Sprintf("%s?id=%d", caller, n))
			}
			spans := s.settle()
			for n := range crossingCalls {
				s.crossed(spans, fmt.Sprint(n), c.evidence)
			}
		})
	}
}

// TestConnectionOlderThanTheAgents calls from one host to another on a connection
// that both programs had before anybody watched them.
func TestConnectionOlderThanTheAgents(t *testing.T) {
	if obstacle := rig.Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	kit, err := links.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ propagation, evidence string }{{"headers!", "header"}, {"tcp", "tcp-option"}} {
		t.Run(c.propagation, func(t *testing.T) {
			s := newHosted(t, 3)
			called := s.link(kit, s.hosts[1], links.Link{Language: "go", Service: "called"})
			caller := s.link(kit, s.hosts[0], links.Link{Language: "go", Service: "caller", Next: called})
			client := clientOn(s.hosts[2], 1)
			defer client.CloseIdleConnections()
			for range 3 {
				if err := drain(client, caller+"?id=before"); err != nil {
					t.Fatal(err)
				}
			}
			s.watchEach(s.hosts[:2], "CLEW_PROPAGATION="+c.propagation)
			s.callUntil(client, caller, c.evidence)
			spans := s.settle()
			ports := make(map[string]int)
			for _, span := range spans.Where(rig.Service("called")) {
				ports[span.Attributes["client.port"]]++
			}
			if len(ports) != 1 {
				t.Errorf("the calls came from the ports %v, want one that all came from", ports)
			}
		})
	}
}

// callUntil makes requests until one of the calls has crossed by that evidence, or
// one only if it is "".
func (h *hosted) callUntil(client *http.Client, caller, evidence string) {
	h.Helper()
	if err := rig.Until(h.Context(), "a call to cross", func(ctx context.Context) error {
		if err := drain(client, caller+"?id=warm"); err != nil || evidence == "" {
			return err
		}
		spans, err := h.jaeger.Spans(ctx)
		if err == nil && len(spans.Where(rig.Service("called"), evident(evidence))) == 0 {
			err = errors.New("none has")
		}
		return err
	}); err != nil {
		h.Fatal(err)
	}
}

// crossingCalls is how many calls cross in each way.
const crossingCalls = 30

// link starts a link of a chain and returns its URL.
func (h *hosted) link(kit *links.Kit, host *rig.Host, l links.Link) string {
	h.Helper()
	url, err := kit.Start(h.Context(), host, l)
	if err != nil {
		h.Fatal(err)
	}
	return url
}

// continued makes a request in the trace of aHeader.
func (h *hosted) continued(client *http.Client, target string) {
	h.Helper()
	request, err := http.NewRequestWithContext(h.Context(), http.MethodGet, target, nil)
	if err != nil {
		h.Fatal(err)
	}
	request.Header.Set("traceparent", aHeader)
	response, err := client.Do(request)
	if err != nil {
		h.Fatal(err)
	}
	defer response.Body.Close()
	// Read to its end, or the connection is not used again.
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		h.Fatal(err)
	}
}

// crossed checks the spans of one call.
func (h *hosted) crossed(spans rig.Spans, request, evidence string) {
	h.Helper()
	served := one(h.T, spans, "served by the caller", rig.Service("caller"), rig.Kind("server"), rig.Request(request))
	childOf(h.T, served, rig.Span{TraceID: aTrace, SpanID: aParent}, "header")
	parented := func(s rig.Span) bool { return s.ParentID == served.SpanID }
	call := one(h.T, spans, "called", rig.Service("caller"), rig.Kind("client"), parented)
	childOf(h.T, call, served, "thread")
	got := one(h.T, spans, "got", rig.Service("called"), rig.Kind("server"), rig.Request(call.RequestID()))
	if evidence == "" {
		root(h.T, got)
		return
	}
	childOf(h.T, got, call, evidence)
}

// evident is the condition that a span's parent is known by that evidence.
func evident(evidence string) func(rig.Span) bool {
	return func(s rig.Span) bool { return s.Attributes["clew.parent.evidence"] == evidence }
}

// hosted is a stage with hosts, and an agent on each or one for all.
type hosted struct {
	*stage
	hosts  []*rig.Host
	agents []*rig.Agent
}

// newHosted opens a scene with hosts and a Jaeger, but no agent yet.
func newHosted(t *testing.T, n int) *hosted {
	t.Helper()
	h := &hosted{stage: newStage(t)}
	var err error
	if h.hosts, err = h.scene.Hosts(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for i, agent := range h.agents {
			if t.Failed() {
				t.Logf("agent %d said:\n%s", i, tail(agent.Errors(), 8<<10))
			}
		}
	})
	return h
}

// watchEach starts an agent on each of the hosts.
func (h *hosted) watchEach(hosts []*rig.Host, env ...string) {
	h.Helper()
	binary, err := theLab.agent()
	if err != nil {
		h.Fatal(err)
	}
	for _, host := range hosts {
		agent, err := host.StartAgent(h.Context(), rig.AgentConfig{Binary: binary, Endpoint: h.jaeger.Endpoint, Env: env})
		if err != nil {
			h.Fatal(err)
		}
		h.agents = append(h.agents, agent)
	}
}

// watchTogether starts one agent for all the hosts.
func (h *hosted) watchTogether(hosts []*rig.Host, env ...string) {
	h.Helper()
	var targets []string
	for _, host := range hosts {
		targets = append(targets, host.Target())
	}
	h.watch(append(env, "CLEW_TARGETS="+strings.Join(targets, ","))...)
	h.agents = append(h.agents, h.agent)
}

// settle drains the agents and returns all spans.
func (h *hosted) settle() rig.Spans {
	h.Helper()
	for i, agent := range h.agents {
		if err := agent.Stop(); err != nil {
			h.Errorf("agent %d: %v\n%s", i, err, agent.Errors())
		}
	}
	var err error
	if h.spans, err = h.jaeger.Spans(h.Context()); err != nil {
		h.Fatal(err)
	}
	return h.spans
}

// clientOn is an HTTP client on a host, with that many pooled connections.
func clientOn(h *rig.Host, connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: h.DialContext, MaxIdleConnsPerHost: connections}}
}

// recorder is an HTTP server that keeps the heads of requests as they came.
type recorder struct {
	url string

	mu    sync.Mutex
	heads []string
}

// record starts a recorder on a host.
func record(t *testing.T, h *rig.Host) *recorder {
	t.Helper()
	listener, err := h.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	r := &recorder{url: "http://" + listener.Addr().String() + "/"}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *recorder) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewReader(conn); ; {
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
		}
		r.mu.Lock()
		r.heads = append(r.heads, head.String())
		r.mu.Unlock()
		if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
			return
		}
	}
}

// take returns the heads that came since the last call.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	heads := r.heads
	r.heads = nil
	return heads
}

// headers are the values of all headers of that name, in order.
func headers(head, name string) []string {
	var values []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// requested is the id in the request line of a head.
func requested(head string) string {
	fields := strings.Fields(head)
	if len(fields) < 2 {
		return ""
	}
	target, err := url.Parse(fields[1])
	if err != nil {
		return ""
	}
	return target.Query().Get("id")
}

// wireContext is a context as it went over the wire.
type wireContext struct{ trace, span, flags string }

// contextOf is the context in a head, which must be the only one.
func contextOf(head string) (wireContext, error) {
	values := headers(head, "traceparent")
	if len(values) != 1 {
		return wireContext{}, fmt.Errorf("there are %d traceparents in %q", len(values), head)
	}
	fields := strings.Split(values[0], "-")
	if len(fields) != 4 || fields[0] != "00" || len(fields[1]) != 32 || len(fields[2]) != 16 {
		return wireContext{}, fmt.Errorf("no context is %q", values[0])
	}
	return wireContext{fields[1], fields[2], fields[3]}, nil
}
