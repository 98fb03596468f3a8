package test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// answer is what a span must say of a request.
type answer struct {
	method, path string
	code         int
}

// exchanges are the ways to talk HTTP/1.1. Each drives one connection; its n-th
// request has the id that it is given, a dot and n, and must become exactly one
// span.
var exchanges = []struct {
	name    string
	servers []string
	drive   func(w *wire, id string)
	want    []answer
}{
	{
		name: "keep-alive", servers: []string{"go", "python-http", "node-http", "nginx", "gunicorn-gthread", "java-httpclient", "ruby-puma"},
		drive: func(w *wire, id string) {
			for i := range 5 {
				w.send("%s", request("GET", "/", dot(id, i)))
				w.receive("GET", 200)
			}
		},
		want: []answer{{"GET", "/", 200}, {"GET", "/", 200}, {"GET", "/", 200}, {"GET", "/", 200}, {"GET", "/", 200}},
	},
	{
		name: "keep-alive after an error", servers: []string{"go", "node-http", "nginx", "python-http"},
		drive: func(w *wire, id string) {
			w.send("%s", request("GET", "/error", dot(id, 0)))
			w.receive("GET", 500)
			w.send("%s", request("GET", "/", dot(id, 1)))
			w.receive("GET", 200)
		},
		want: []answer{{"GET", "/error", 500}, {"GET", "/", 200}},
	},
	{
		name: "pipelined", servers: []string{"go", "python-http", "node-http", "nginx"},
		drive: func(w *wire, id string) {
			var all strings.Builder
			for i, path := range []string{"/", "/error", "/", "/nothing", "/"} {
				all.WriteString(request("GET", path, dot(id, i)))
			}
			w.send("%s", all.String())
			for _, code := range []int{200, 500, 200, 404, 200} {
				w.receive("GET", code)
			}
		},
		want: []answer{{"GET", "/", 200}, {"GET", "/error", 500}, {"GET", "/", 200}, {"GET", "/nothing", 404}, {"GET", "/", 200}},
	},
	{
		name: "head split over writes", servers: []string{"go", "python-http", "node-http", "nginx"},
		drive: func(w *wire, id string) {
			text := request("GET", "/", dot(id, 0), "User-Agent: split/1.0", "Accept: */*")
			w.sendSplit("G", text[1:6], text[6:20], text[20:len(text)-3], text[len(text)-3:])
			w.receive("GET", 200)
		},
		want: []answer{{"GET", "/", 200}},
	},
	{
		name: "body with length", servers: []string{"go", "node-http", "gunicorn-gthread", "python-http"},
		drive: func(w *wire, id string) {
			for i := range 2 {
				w.send("%s%s", request("POST", "/", dot(id, i), "Content-Length: 40000"), strings.Repeat("GET / HTTP/1.1\r\n\r\nab", 2000))
				w.receive("POST", 200)
			}
		},
		want: []answer{{"POST", "/", 200}, {"POST", "/", 200}},
	},
	{
		name: "body in a write of its own that looks like a request", servers: []string{"go", "node-http", "gunicorn-gthread", "python-http"},
		drive: func(w *wire, id string) {
			const fake = "GET /fake?id=fake HTTP/1.1\r\nHost: x\r\n\r\n"
			w.sendSplit(request("POST", "/", dot(id, 0), fmt.Sprintf("Content-Length: %d", len(fake))), fake)
			w.receive("POST", 200)
		},
		want: []answer{{"POST", "/", 200}},
	},
	{
		name: "chunked body", servers: []string{"go", "node-http", "gunicorn-gthread"},
		drive: func(w *wire, id string) {
			w.sendSplit(request("POST", "/", dot(id, 0), "Transfer-Encoding: chunked"), "5\r\nhello\r\n", "3;x=y\r\n, w\r\n4\r\norld\r\n", "0\r\n\r\n")
			w.receive("POST", 200)
			w.send("%s", request("GET", "/", dot(id, 1)))
			w.receive("GET", 200)
		},
		want: []answer{{"POST", "/", 200}, {"GET", "/", 200}},
	},
	{
		name: "chunked response", servers: []string{"go"},
		drive: func(w *wire, id string) {
			for i := range 2 {
				w.send("%s", request("GET", "/big?chunked=1&bytes=300000", dot(id, i)))
				w.receive("GET", 200)
			}
		},
		want: []answer{{"GET", "/big", 200}, {"GET", "/big", 200}},
	},
	{
		name: "no body by rule", servers: []string{"go"},
		drive: func(w *wire, id string) {
			for i, want := range []answer{{"HEAD", "/", 200}, {"GET", "/status/204", 204}, {"GET", "/status/304", 304}, {"GET", "/", 200}} {
				w.send("%s", request(want.method, want.path, dot(id, i)))
				w.receive(want.method, want.code)
			}
		},
		want: []answer{{"HEAD", "/", 200}, {"GET", "/status/204", 204}, {"GET", "/status/304", 304}, {"GET", "/", 200}},
	},
	{
		name: "HEAD of a file", servers: []string{"nginx"},
		drive: func(w *wire, id string) {
			w.send("%s", request("HEAD", "/file", dot(id, 0)))
			w.receive("HEAD", 200)
			w.send("%s", request("GET", "/", dot(id, 1)))
			w.receive("GET", 200)
		},
		want: []answer{{"HEAD", "/file", 200}, {"GET", "/", 200}},
	},
	{
		name: "HTTP/1.0", servers: []string{"go", "nginx"},
		drive: func(w *wire, id string) {
			w.send("GET /?id=%s HTTP/1.0\r\n\r\n", dot(id, 0))
			w.receive("GET", 200)
		},
		want: []answer{{"GET", "/", 200}},
	},
	{
		name: "half-closed by the client", servers: []string{"go", "nginx", "python-http"},
		drive: func(w *wire, id string) {
			w.send("%s", request("GET", "/", dot(id, 0), "Connection: close"))
			if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				w.Fatal(err)
			}
			w.receive("GET", 200)
		},
		want: []answer{{"GET", "/", 200}},
	},
	{
		name: "half-closed by the client after a split head", servers: []string{"go", "nginx", "python-http"},
		drive: func(w *wire, id string) {
			text := request("GET", "/", dot(id, 0), "Connection: close")
			w.sendSplit(text[:10])
			w.send("%s", text[10:])
			if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				w.Fatal(err)
			}
			w.receive("GET", 200)
		},
		want: []answer{{"GET", "/", 200}},
	},
	{
		name: "unknown method", servers: []string{"go", "nginx"},
		drive: func(w *wire, id string) {
			w.send("%s", request("BREW", "/pot", dot(id, 0), "Connection: close"))
			w.response("BREW")
		},
		want: []answer{{"_OTHER", "/pot", 0}}, // whatever the server thinks of it
	},
}

func dot(id string, n int) string { return fmt.Sprintf("%s.%d", id, n) }

// TestExchanges talks HTTP/1.1 in every way to every server that can.
func TestExchanges(t *testing.T) {
	s := newStage(t)
	s.watch()
	servers := make(map[string]*programs.Server)
	for i, c := range exchanges {
		for _, name := range c.servers {
			if servers[name] == nil {
				servers[name] = s.serve(name, programs.Config{})
			}
			w := dial(t, servers[name].Address)
			c.drive(w, fmt.Sprintf("x%d-%s", i, name))
			w.Close()
		}
	}
	spans := s.settle()
	for i, c := range exchanges {
		for _, name := range c.servers {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				answered(t, spans.Where(hasPrefix(fmt.Sprintf("x%d-%s.", i, name))), fmt.Sprintf("x%d-%s", i, name), c.want)
			})
		}
	}
	if fakes := spans.Where(rig.Request("fake")); len(fakes) != 0 {
		t.Errorf("bodies were taken for requests:\n%v", fakes)
	}
}

// answered expects one server span for each request, in their order.
func answered(t *testing.T, spans rig.Spans, id string, want []answer) {
	t.Helper()
	for n, w := range want {
		span := one(t, spans, dot(id, n), rig.Request(dot(id, n)))
		attributes(t, span, "span.kind", "server", "http.request.method", w.method, "url.path", w.path)
		if w.code != 0 {
			attributes(t, span, "http.response.status_code", fmt.Sprint(w.code))
		}
		if span.End.Before(span.Start) {
			t.Errorf("%s ends before it starts: %v", dot(id, n), span)
		}
		root(t, span)
	}
	if len(spans) != len(want) {
		t.Errorf("got %d spans, want %d:\n%v", len(spans), len(want), spans)
	}
}

// TestCurl lets curl talk: a short-lived process that nobody has named, with
// Expect: 100-continue, over IPv4 and IPv6, and over a unix socket.
func TestCurl(t *testing.T) {
	s := newStage(t)
	s.watch()
	four := s.serve("go", programs.Config{Service: "four"})
	port, err := rig.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	six := s.serve("go", programs.Config{Service: "six", Address: fmt.Sprintf("[::1]:%d", port)})
	socket := "unix:" + s.scene.Dir + "/go.sock"
	s.serve("go", programs.Config{Service: "local", Address: socket})
	gunicorn := "unix:" + s.scene.Dir + "/gunicorn.sock"
	s.serve("gunicorn-sync", programs.Config{Service: "gunicorn-local", Address: gunicorn})

	const curls = 20
	curl := func(arguments ...string) {
		t.Helper()
		if output, err := s.run("curl", append([]string{"-sS", "--fail", "--max-time", "60"}, arguments...)...); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	for i := range curls {
		curl(four.URL + "/?id=" + dot("curl", i))
	}
	curl("-H", "Expect: 100-continue", "-d", strings.Repeat("x", 3000), four.URL+"/?id=expect")
	upload := filepath.Join(s.scene.Dir, "upload")
	if err := os.WriteFile(upload, make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	curl("--data-binary", "@"+upload, four.URL+"/?id=upload") // expects by itself
	curl(six.URL + "/?id=six")
	curl("--unix-socket", socket[len("unix:"):], "http://localhost/?id=local")
	curl("--unix-socket", gunicorn[len("unix:"):], "http://localhost/?id=gunicorn-local")
	spans := s.settle()

	pair := func(t *testing.T, service, id, method, evidence string) (client, server rig.Span) {
		t.Helper()
		client = one(t, spans, id, rig.Service("curl"), rig.Request(id))
		server = one(t, spans, id, rig.Service(service), rig.Request(id))
		attributes(t, client, "span.kind", "client", "http.request.method", method, "http.response.status_code", "200")
		attributes(t, server, "span.kind", "server", "http.request.method", method, "http.response.status_code", "200")
		if !strings.HasPrefix(server.Attributes["user_agent.original"], "curl/") {
			t.Errorf("user agent %q", server.Attributes["user_agent.original"])
		}
		root(t, client)
		if evidence != "" {
			childOf(t, server, client, evidence)
		} else if server.ParentID != "" && server.ParentID != client.SpanID {
			t.Errorf("wrong parent: %v of %v", server, client)
		}
		return client, server
	}
	t.Run("short-lived", func(t *testing.T) {
		for i := range curls {
			client, _ := pair(t, "four", dot("curl", i), "GET", "local")
			if client.Resource["process.executable.name"] != "curl" || client.Resource["process.pid"] == "" {
				t.Errorf("the process is not named: %v", client.Resource)
			}
		}
	})
	t.Run("expect", func(t *testing.T) { pair(t, "four", "expect", http.MethodPost, "local") })
	t.Run("upload", func(t *testing.T) { pair(t, "four", "upload", http.MethodPost, "local") })
	t.Run("IPv6", func(t *testing.T) {
		client, server := pair(t, "six", "six", "GET", "local")
		attributes(t, client, "server.address", "::1", "server.port", fmt.Sprint(port))
		attributes(t, server, "client.address", "::1")
	})
	for _, service := range []string{"local", "gunicorn-local"} {
		t.Run("unix socket of "+service, func(t *testing.T) {
			// Sequence numbers are TCP's: there may be no link, but no wrong one.
			client, server := pair(t, service, service, "GET", "")
			attributes(t, client, "network.transport", "unix")
			attributes(t, server, "network.transport", "unix")
		})
	}
}
