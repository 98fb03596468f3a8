package protocol

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/clewtrace/clew/context/traceparent"
)

var update = flag.Bool("update", false, "write what comes out into testdata/http.txt, to be read before it is committed")

// exchangeCase is one case of testdata/http.txt: lines of the request behind
// ">", of the response behind "<", and what must come out for either side.
type exchangeCase struct {
	name              string
	source            []string // its lines, without the results
	request, response []byte
	want              map[string]string // by side
}

func readCases(tb testing.TB) (preamble []string, cases []*exchangeCase) {
	tb.Helper()
	file, err := os.ReadFile("testdata/http.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var c *exchangeCase
	side := ""
	for _, line := range strings.Split(strings.TrimRight(string(file), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "=== "):
			c, side = &exchangeCase{name: line[4:], want: map[string]string{}}, ""
			cases = append(cases, c)
		case c == nil:
			preamble = append(preamble, line)
			continue
		case strings.HasPrefix(line, ">"):
			c.request = append(c.request, crlf(tb, line[1:])...)
		case strings.HasPrefix(line, "<"):
			c.response = append(c.response, crlf(tb, line[1:])...)
		case line == "server" || line == "client":
			side = line
			continue
		case side != "":
			c.want[side] += line + "\n"
			continue
		}
		c.source = append(c.source, line)
	}
	if len(cases) == 0 {
		tb.Fatal("no cases")
	}
	return preamble, cases
}

// wire turns a line of the file into bytes: CR LF at its end unless it ends in a
// backslash, \xNN for the byte NN.
func crlf(tb testing.TB, line string) []byte {
	tb.Helper()
	line, open := strings.CutSuffix(strings.TrimPrefix(line, " "), `\`)
	if !open {
		line += "\r\n"
	}
	var b []byte
	for len(line) > 0 {
		if !strings.HasPrefix(line, `\x`) {
			b, line = append(b, line[0]), line[1:]
			continue
		}
		c, err := hex.DecodeString(line[2:4])
		if err != nil {
			tb.Fatal(err)
		}
		b, line = append(b, c...), line[4:]
	}
	return b
}

var (
	here  = netip.MustParseAddrPort("10.0.0.1:8080")
	there = netip.MustParseAddrPort("[::ffff:192.0.2.7]:40000")
	epoch = time.Unix(1700000000, 0)
)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// serverSide and clientSide return the messages of one plain exchange.
func messages(role Role, request, response []byte) []*Message {
	m := &Message{
		Connection: 1, PID: 10, TID: 11, Part: PartRequest, Role: role,
		First: at(0), Last: at(1), Bytes: uint64(len(request)), Complete: true, Head: request,
		Trace:     Trace{TraceID: [16]byte{1}, SpanID: [8]byte{2}, ParentID: [8]byte{3}, Sampled: true, Evidence: EvidenceHeader},
		Endpoints: Endpoints{Local: here, Remote: there},
	}
	if role == RoleClient {
		m.Local, m.Remote = there, here
	}
	r := *m
	r.Part, r.Head, r.First, r.Last, r.Bytes, r.Trace = PartResponse, response, at(5), at(9), uint64(len(response)), Trace{}
	if response == nil {
		r.Part = PartClose
	}
	return []*Message{m, &r}
}

// show prints what the conventions say of an exchange.
func show(x *Exchange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", x.Operation)
	if x.Target != "" {
		fmt.Fprintf(&b, " %s [%s]", x.Target, x.TargetKey)
	}
	if x.Tentative {
		b.WriteString(" tentative")
	}
	if x.Failed {
		fmt.Fprintf(&b, " failed: %q", x.Message)
	}
	b.WriteString("\n")
	if x.TraceState != "" {
		fmt.Fprintf(&b, "  tracestate %s\n", x.TraceState)
	}
	for _, kv := range x.Attributes {
		fmt.Fprintf(&b, "    %s = %s\n", kv.Key, kv.Value.String())
	}
	return b.String()
}

func run(o Options, list ...*Message) (out []*Exchange, counts string) {
	o.Emit = func(x *Exchange) {
		own := *x
		out = append(out, &own)
	}
	s := New(o)
	for _, m := range list {
		s.Handle(m)
	}
	return out, count(s)
}

// count prints all counters that moved.
func count(s *Conversations) string {
	var b strings.Builder
	s.Counts(func(outcome, reason string, n uint64) {
		if n > 0 {
			fmt.Fprintf(&b, "%s %s=%d;", outcome, reason, n)
		}
	})
	return b.String()
}

func TestHTTPGolden(t *testing.T) {
	preamble, cases := readCases(t)
	var file strings.Builder
	fmt.Fprintln(&file, strings.Join(preamble, "\n"))
	for _, c := range cases {
		fmt.Fprintln(&file, strings.TrimRight(strings.Join(c.source, "\n"), "\n"))
		for _, side := range []struct {
			name string
			role Role
		}{{"server", RoleServer}, {"client", RoleClient}} {
			list := messages(side.role, c.request, c.response)
			list[0].Truncated = strings.Contains(c.name, "(cut)")
			if strings.Contains(c.name, "(unix)") {
				for _, m := range list {
					m.Unix, m.Local, m.Remote = true, netip.AddrPort{}, netip.AddrPort{}
				}
			}
			out, counts := run(Options{Headers: []string{"X-Tenant", "Cookie", "content-type"}}, list...)
			got := "  nothing: " + counts + "\n"
			if len(out) > 0 {
				got = ""
			}
			for _, x := range out {
				got += show(x)
			}
			fmt.Fprintf(&file, "%s\n%s", side.name, got)
			if want := c.want[side.name]; got != strings.TrimRight(want, "\n")+"\n" && !*update {
				t.Errorf("%s, %s:\n%swant:\n%s", c.name, side.name, got, want)
			}
		}
		fmt.Fprintln(&file)
	}
	if *update {
		if err := os.WriteFile("testdata/http.txt", []byte(file.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHTTPCutAnywhere cuts every request and response of the cases at every
// byte: whatever is then said must be text, and of the whole head's attributes
// only those of the start line may be shorter.
func TestHTTPCutAnywhere(t *testing.T) {
	_, cases := readCases(t)
	for _, c := range cases {
		for _, role := range []Role{RoleServer, RoleClient} {
			whole, _ := run(Options{}, messages(role, c.request, c.response)...)
			for i := range c.request {
				list := messages(role, c.request[:i], c.response)
				list[0].Truncated, list[0].Bytes = true, uint64(len(c.request))
				for _, x := range first(run(Options{}, list...)) {
					checkText(t, x)
					if len(whole) == 1 && bytes.IndexByte(c.request[:i], '\n') > 2 {
						checkSubset(t, c.name, x, whole[0])
					}
				}
			}
			for i := range c.response {
				for _, x := range first(run(Options{}, messages(role, c.request, c.response[:i])...)) {
					checkText(t, x)
				}
			}
		}
	}
}

func first(out []*Exchange, _ string) []*Exchange { return out }

func checkText(t *testing.T, x *Exchange) {
	t.Helper()
	texts := []string{x.Operation, x.Target, x.TraceState, x.Message}
	seen := map[string]bool{}
	for _, kv := range x.Attributes {
		if seen[string(kv.Key)] {
			t.Errorf("attribute %s twice", kv.Key)
		}
		seen[string(kv.Key)] = true
		texts = append(texts, kv.Value.String())
	}
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\r\n") {
			t.Errorf("%q is not fit to be exported", text)
		}
	}
}

// mayDiffer are attributes with a second source, which counts when the first was
// cut off.
var mayDiffer = map[string]bool{
	"server.address": true, "server.port": true, "client.address": true, "client.port": true,
	"url.scheme": true, "url.full": true, "http.request.header.x-tenant": true,
}

func checkSubset(t *testing.T, name string, cut, whole *Exchange) {
	t.Helper()
	all := map[string]string{}
	for _, kv := range whole.Attributes {
		all[string(kv.Key)] = kv.Value.String()
	}
	for _, kv := range cut.Attributes {
		if got := kv.Value.String(); !mayDiffer[string(kv.Key)] && all[string(kv.Key)] != got {
			t.Errorf("%s, cut: %s = %s, whole %s", name, kv.Key, got, all[string(kv.Key)])
		}
	}
	if cut.TraceState != "" && cut.TraceState != whole.TraceState {
		t.Errorf("%s, cut: tracestate %s", name, cut.TraceState)
	}
}

func TestSecretsNeverCaptured(t *testing.T) {
	request := []byte("GET / HTTP/1.1\r\nAuthorization: s3cr3t\r\nCookie: s3cr3t\r\nX-My-Token: s3cr3t\r\nX-Fine: yes\r\n\r\n")
	response := []byte("HTTP/1.1 200 OK\r\nSet-Cookie: s3cr3t\r\nX-Fine: yes\r\n\r\n")
	out, _ := run(Options{Headers: []string{"authorization", "COOKIE", "set-cookie", "x-my-token", "x-fine", "bad name"}},
		messages(RoleServer, request, response)...)
	got := show(out[0])
	if strings.Contains(got, "s3cr3t") || strings.Count(got, "x-fine = [\"yes\"]") != 2 {
		t.Error(got)
	}
}

func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		"q=1&token=abc&x=2":                            "q=1&token=REDACTED&x=2",
		"AWSAccessKeyId=A&Signature=b&e=1":             "AWSAccessKeyId=REDACTED&Signature=REDACTED&e=1",
		"X-Amz-Signature=1;X-Goog-Sig=2":               "X-Amz-Signature=REDACTED;X-Goog-Sig=REDACTED",
		"X-Amz-Security-Token=1&sig=&code":             "X-Amz-Security-Token=REDACTED&sig=&code",
		"API_KEY=1&api.key=2&user[pass]=3":             "API_KEY=REDACTED&api.key=REDACTED&user[pass]=REDACTED",
		"%74oken=1&to%6ben=2&t%6Fken=3":                "%74oken=REDACTED&to%6ben=REDACTED&t%6Fken=REDACTED",
		"next=http://u:p@h/&mail=a@b":                  "next=REDACTED&mail=a@b",
		"next=http%3A%2F%2Fu%3Ap%40h":                  "next=REDACTED",
		"j=eyJhbGciOi.eyJzdWIi.x&author=me":            "j=REDACTED&author=me",
		"session=1&PHPSESSID=2&sid=3&side=4&keyword=5": "session=REDACTED&PHPSESSID=REDACTED&sid=REDACTED&side=4&keyword=5",
		"a=\xff\x00 \"&b=ü":                            "a=%FF%00%20\"&b=%C3%BC",
		strings.Repeat("k", 65) + "=1":                 strings.Repeat("k", 65) + "=REDACTED",
		"&&=&=x&%=%":                                   "&&=&=x&%=%",
	} {
		if got := string(appendQuery(nil, []byte(in))); got != want {
			t.Errorf("query %q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"/a;jsessionid=1/b;v=2/c":  "/a;jsessionid=REDACTED/b;v=2/c",
		"/a;token=1;v=2;pwd=3/x=1": "/a;token=REDACTED;v=2;pwd=REDACTED/x=1",
		"/a b\x7f":                 "/a%20b%7F",
	} {
		if got := string(appendPath(nil, []byte(in))); got != want {
			t.Errorf("path %q: %q, want %q", in, got, want)
		}
	}
}

func TestRoute(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "": "", "*": "", "//": "//", "/a/": "/a/",
		"/users/123/orders/9":                         "/users/{id}/orders/{id}",
		"/users/550e8400-e29b-41d4-a716-446655440000": "/users/{uuid}",
		"/a/2024-05-01/b":                             "/a/{date}/b",
		"/c/3f2a9c1b0d/x":                             "/c/{hash}/x",
		"/static/app.3f2a9c1b.js":                     "/static/{hash}.js",
		"/img/1234.png":                               "/img/{id}.png",
		"/favicon.ico":                                "/favicon.ico",
		"/api/v1/pods":                                "/api/v1/pods",
		"/api/v2beta1/x":                              "/api/v2beta1/x",
		"/apis/v1.27/x":                               "/apis/v1.27/x",
		"/u/a@b.example":                              "/u/{email}",
		"/s/hello%20world":                            "/s/{value}",
		"/s/\xd0\x9f":                                 "/s/{value}",
		"/item/user-17":                               "/item/{id}",
		"/item/abc1234":                               "/item/{id}",
		"/oauth2/s3/h2o/base64":                       "/oauth2/s3/h2o/base64",
		"/t/x8KqZ0aLmN3pRs7TuVwY":                     "/t/{token}",
		"/t/" + strings.Repeat("x", 41):               "/t/{token}",
		"/blog/how-to-bake-a-cake":                    "/blog/{slug}",
		"/user-profile/edit_all":                      "/user-profile/edit_all",
		"/deadbeef/facade":                            "/deadbeef/facade",
		"/a/b/c/d/e/f/g/h/i/j":                        "/a/b/c/d/e/f/g/h/{path}",
		"/a;jsessionid=3/b":                           "/a/b",
		"/10.0.0.1/x":                                 "/{id}/x",
		"/.well-known/x":                              "/.well-known/x",
		"/cgi-bin/..%2f..%2fetc":                      "/cgi-bin/{value}",
		"/" + strings.Repeat("9", 5000):               "/{id}",
		"/pkg/@scope/name":                            "/pkg/@scope/name",
		"/d/4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba9": "/d/{hash}/{hash}",
	} {
		if got := string(appendRoute(nil, []byte(in))); got != want {
			t.Errorf("route of %q: %q, want %q", in, got, want)
		}
	}
}

// TestContext holds the reading of traceparent in a head to the rules of W3C
// for names and repetition; values have the vectors.
func TestContext(t *testing.T) {
	const value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for head, want := range map[string]bool{
		"traceparent: " + value + "\r\n\r\n":                         true,
		"TraceParent:\t" + value + " \r\nA":                          true,
		"A: b\nTRACEPARENT:" + value + "\n\n":                        true,
		"traceparent: " + value + "\r\n":                             false, // may be folded
		"traceparent: " + value:                                      false, // cut
		"traceparent : " + value + "\r\n":                            false,
		"traceparent: " + value + "\r\nTraceparent: " + value + "\r": false, // the second is cut off
		"traceparent: " + value + "\r\nTraceparent: x\r\n\r\n":       false,
		"traceparent: " + value + "\r\n\t-x\r\n":                     false, // folded
		"\r\ntraceparent: " + value + "\r\n":                         false, // in the body
		"x-traceparent: " + value + "\r\n":                           false,
	} {
		_, ok := contextHTTP([]byte("GET / HTTP/1.1\r\n" + head))
		if strings.HasSuffix(head, "\r") {
			want = true // nothing says yet that there are two
		}
		if ok != want {
			t.Errorf("%q: %v", head, ok)
		}
	}
	c, _ := contextHTTP([]byte("GET / HTTP/1.1\r\ntraceparent: " + value + "\r\n\r\n"))
	if traceparent.Format(c) != value {
		t.Errorf("%+v", c)
	}
}
