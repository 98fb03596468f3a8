package test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// runtimes are the programs of the first page, and by what evidence each links
// a call to the only request it is serving. Where a runtime may hand a request
// from thread to thread, or is known to serve several on one, none is named:
// then the right parent is as good as none, and a wrong one still is an error.
var runtimes = []struct {
	program  string
	evidence string
	query    string // added to /call
	path     string // instead of /call
}{
	{program: "go", evidence: "goroutine"},
	{program: "go", evidence: "goroutine", query: "&via=goroutine"},
	{program: "go", evidence: "goroutine", query: "&via=fresh"},
	{program: "python-http", evidence: "thread"},
	{program: "gunicorn-sync", evidence: "thread"},
	{program: "gunicorn-gthread", evidence: "thread"},
	{program: "uvicorn"},
	{program: "node-http"},
	{program: "node-express"},
	{program: "java-httpclient"},
	{program: "java-urlconnection", evidence: "thread"},
	{program: "ruby-puma"},
	{program: "php-cli", evidence: "thread"},
	{program: "php-cli", evidence: "thread", query: "&client=stream"},
	{program: "php-fpm"},
	{program: "nginx", evidence: "thread", path: "/proxy/"},
}

// TestRuntimes is the first page: each runtime serves a plain request, a slow
// one, one that fails and one that calls another service.
func TestRuntimes(t *testing.T) {
	s := newStage(t)
	s.watch()
	backend := s.serve("go", programs.Config{Service: "backend"})
	for i, c := range runtimes {
		id := "r" + strconv.Itoa(i)
		server := s.serve(c.program, programs.Config{Service: id + "-" + c.program, Backend: backend.Address})
		s.get(server.URL+"/?id="+id+"-plain", 200)
		s.get(server.URL+"/error?id="+id+"-error", 500)
		if c.path != "" {
			s.get(server.URL+c.path+"?id="+id+"-call", 200)
			continue
		}
		s.get(server.URL+"/slow?ms=50&id="+id+"-slow", 200)
		s.get(server.URL+"/call?id="+id+"-call"+c.query+"&url="+url.QueryEscape(backend.URL+"/?from="+id), 200)
	}
	spans := s.settle()
	for i, c := range runtimes {
		t.Run(c.program+c.query, func(t *testing.T) {
			id := "r" + strconv.Itoa(i)
			own := spans.Where(func(span rig.Span) bool {
				return span.Service != "backend" &&
					(strings.HasPrefix(span.RequestID(), id+"-") || strings.Contains(span.Attributes["url.full"], "?from="+id+"&"))
			})
			names := programs.Named(c.program).Named
			if names == nil {
				names = []string{id + "-" + c.program}
			}
			for _, span := range own {
				if !slices.Contains(names, span.Service) {
					t.Errorf("service %q, want one of %q: %v", span.Service, names, span)
				}
			}
			served(t, own, id+"-plain", "/", "200")
			served(t, own, id+"-error", "/error", "500")
			path := c.path
			if path == "" {
				path = "/call"
				if slow := served(t, own, id+"-slow", "/slow", "200"); slow.End.Sub(slow.Start) < 50e6 {
					t.Errorf("the slow request took %v", slow.End.Sub(slow.Start))
				}
			}
			parent := served(t, own, id+"-call", path, "200")
			client := one(t, own, "call", rig.Kind("client"))
			server := one(t, spans, "called", rig.Service("backend"), rig.Kind("server"), rig.Request(client.RequestID()))
			linked(t, parent, client, server, c.evidence)
			if n := len(own); n != len(own.Where(rig.Kind("server")))+1 {
				t.Errorf("got %d spans of the service:\n%v", n, own)
			}
		})
	}
	if extra := spans.Where(rig.Service("backend")); len(extra) != len(runtimes) {
		t.Errorf("the backend has %d spans, want one for each of %d calls", len(extra), len(runtimes))
	}
}

// served returns the span of a request that came in, and checks it.
func served(t *testing.T, spans rig.Spans, id, path, code string) rig.Span {
	t.Helper()
	span := one(t, spans, id, rig.Request(id), rig.Kind("server"))
	attributes(t, span,
		"http.request.method", "GET", "url.path", path, "url.scheme", "http",
		"http.response.status_code", code, "network.protocol.version", "1.1")
	if span.Failed != (code == "500") {
		t.Errorf("status of %q with %s: failed is %v", span.Name, code, span.Failed)
	}
	root(t, span)
	return span
}

// linked checks the chain of a request, the call made for it, and the request
// which that is in the service called.
func linked(t *testing.T, parent, client, server rig.Span, evidence string) {
	t.Helper()
	switch {
	case evidence != "":
		childOf(t, client, parent, evidence)
	case client.ParentID == "":
		root(t, client)
	default:
		childOf(t, client, parent, client.Attributes["clew.parent.evidence"])
	}
	childOf(t, server, client, "local")
	attributes(t, client, "http.request.method", "GET", "http.response.status_code", "200", "server.address", "127.0.0.1")
	// Jaeger keeps microseconds, of the start and of the duration: ends may be
	// two of them too early.
	const rounding = 2e3
	for _, pair := range []struct{ outer, inner rig.Span }{{parent, client}, {client, server}} {
		if pair.inner.Start.Before(pair.outer.Start) {
			t.Errorf("%s span of %s starts %v before the %s span around it", pair.inner.Kind, pair.inner.Service,
				pair.outer.Start.Sub(pair.inner.Start), pair.outer.Kind)
		}
		if late := pair.inner.End.Sub(pair.outer.End); late > rounding {
			t.Errorf("%s span of %s ends %v after the %s span around it", pair.inner.Kind, pair.inner.Service, late, pair.outer.Kind)
		}
	}
}
