package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// proxies are the proxies there are, each with its configuration in
// programs/NAME/proxy.conf.
var proxies = []string{"nginx", "haproxy"}

// proxied is a proxy in front of an application, both watched, with clients that
// are not. Every request has an id of its own in a header that the proxy passes
// on and the agent records, so that what was sent for what is known although the
// targets may not tell.
type proxied struct {
	*testing.T
	scene *rig.Scene
	name  string // of the proxy, which is its service
	app   *programs.Server
	ports map[string]string // by the configuration's words: host:port

	asks []ask
	old  *http.Client // whose connections are older than the agent
}

// ask is one request of a client.
type ask struct {
	port, target string
	trace        string   // traceparent, "" for none
	body         []string // pieces of a POST, nil for a GET
	encrypted    bool     // unseen by the agent
	client       *http.Client

	id string // given when it is asked
}

// openProxied opens a scene with an application, and a proxy in front of it.
func openProxied(t *testing.T, name string) *proxied {
	t.Helper()
	p := &proxied{T: t, scene: openScene(t), name: name, ports: make(map[string]string)}
	var err error
	if p.app, err = theLab.workshop.Start(t.Context(), p.scene, programs.Named("go"), programs.Config{Service: "app"}); err != nil {
		t.Fatal(err)
	}
	if err := certificate(filepath.Join(p.scene.Dir, "certificate.pem")); err != nil {
		t.Fatal(err)
	}
	words := []string{"DIRECTORY", p.scene.Dir, "BACKEND", p.app.Address, "BROKEN", brokenBackend(t)}
	// What begins like another comes first.
	for _, port := range []string{"FRESHTLS", "FRESH", "POOLEDTLS", "POOLED", "FAILING", "CHECKED", "DELAYED"} {
		number, err := rig.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		p.ports[port] = fmt.Sprintf("127.0.0.1:%d", number)
		words = append(words, port, p.ports[port])
	}
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join(root, "test", "programs", name, "proxy.conf"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(p.scene.Dir, name+".conf")
	if err := os.WriteFile(config, []byte(strings.NewReplacer(words...).Replace(string(template))), 0o644); err != nil {
		t.Fatal(err)
	}
	arguments := map[string][]string{"nginx": {"-e", p.scene.Dir + "/error.log", "-c", config}, "haproxy": {"-db", "-f", config}}
	process, err := p.scene.Start(rig.Command{Name: name, Path: name, Args: arguments[name]})
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"FRESH", "POOLED", "FAILING"} {
		if err := rig.Listening(t.Context(), process, "tcp", p.ports[port]); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// watch starts the agent.
func (p *proxied) watch() (*rig.Sink, *rig.Agent) {
	p.Helper()
	return startScoring(p.T, p.scene, "CLEW_PROPAGATION=local", "CLEW_CAPTURE_HEADERS=x-request-id")
}

// brokenBackend is the address of a server, not watched, that answers every other
// request with an error and the rest not at all.
func brokenBackend(t *testing.T) string {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1)%2 == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// certificate writes a key and a certificate that it signs itself.
func certificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	plan := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&text, block); err != nil {
			return fmt.Errorf("encode a certificate: %w", err)
		}
	}
	return os.WriteFile(file, text.Bytes(), 0o600)
}

// newTraceparent is the context of a caller that nobody watches.
func newTraceparent() string {
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // never fails, by its documentation
	ids[0], ids[16] = ids[0]|1, ids[16]|1
	return fmt.Sprintf("00-%x-%x-01", ids[:16], ids[16:])
}

// newClient is a client with that many pooled connections, which trusts anybody.
func newClient(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// load asks, as many at a time as flight says, and keeps what was asked.
func (p *proxied) load(flight int, asks []ask) {
	p.Helper()
	client := newClient(flight)
	defer client.CloseIdleConnections()
	next := make(chan ask)
	var all sync.WaitGroup
	for range flight {
		all.Go(func() {
			for a := range next {
				if err := p.ask(client, a); err != nil {
					p.Errorf("request %s for %s: %v", a.id, a.target, err)
				}
			}
		})
	}
	for _, a := range asks {
		a.id = fmt.Sprintf("ask-%d", len(p.asks))
		p.asks = append(p.asks, a)
		next <- a
	}
	close(next)
	all.Wait()
}

func (p *proxied) ask(client *http.Client, a ask) error {
	scheme, method := "http://", http.MethodGet
	if a.encrypted {
		scheme = "https://"
	}
	var body io.Reader
	if a.body != nil {
		method = http.MethodPost
		body = &pieces{rest: a.body}
	}
	request, err := http.NewRequestWithContext(p.Context(), method, scheme+p.ports[a.port]+a.target, body)
	if err != nil {
		return err
	}
	if a.body != nil {
		request.ContentLength = int64(len(strings.Join(a.body, "")))
	}
	request.Header.Set("X-Request-Id", a.id)
	if a.trace != "" {
		request.Header.Set("traceparent", a.trace)
	}
	if a.client != nil {
		client = a.client
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, tail(string(text), 200))
	}
	return err
}

// warm opens encrypted connections of a client, many at once.
func (p *proxied) warm(client *http.Client) {
	p.Helper()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if err := p.ask(client, ask{port: "POOLEDTLS", target: "/slow?ms=100", encrypted: true, id: "warm"}); err != nil {
				p.Error(err)
			}
		})
	}
	all.Wait()
}

// pieces is a body whose pieces leave apart from each other.
type pieces struct {
	rest []string
	sent bool
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	if p.sent {
		time.Sleep(3 * time.Millisecond) // so that others are served in between
	}
	n := copy(into, p.rest[0])
	if p.rest[0] = p.rest[0][n:]; p.rest[0] == "" {
		p.rest = p.rest[1:]
	}
	p.sent = true
	return n, nil
}

// quoted is where the text of a recorded header stands in its attribute.
var quoted = regexp.MustCompile(`"([^"]*)"`)

// asked is the id of the request that a span is about, "" for none.
func asked(span rig.Span) string {
	if match := quoted.FindStringSubmatch(span.Attributes["http.request.header.x-request-id"]); match != nil {
		return match[1]
	}
	return ""
}

// TestProxyVerdicts feeds the judge with stories whose truth is known.
func TestProxyVerdicts(t *testing.T) {
	span := func(service, kind, id, parent string) rig.Span {
		return rig.Span{
			TraceID: aTrace, SpanID: id, ParentID: parent, Service: service, Kind: kind,
			Attributes: map[string]string{"http.request.header.x-request-id": `values:{string_value:"x"}`, "clew.parent.evidence": "e"},
		}
	}
	in, out, app := span("nginx", "server", "in", ""), span("nginx", "client", "out", "in"), span("app", "server", "app", "out")
	given := span("nginx", "server", "in", aParent)
	plain, traced, sealed := ask{id: "x"}, ask{id: "x", trace: aHeader}, ask{id: "x", encrypted: true}
	another := out
	another.TraceID = otherTrace
	for name, c := range map[string]struct {
		ask            ask
		spans          rig.Spans
		sent, received verdict
	}{
		"right":                      {plain, rig.Spans{in, out, app}, right, right},
		"right, with a context":      {traced, rig.Spans{given, out, app}, right, right},
		"context not taken":          {traced, rig.Spans{in, out, app}, wrong, wrong},
		"context from nowhere":       {plain, rig.Spans{given, out, app}, wrong, wrong},
		"absent":                     {plain, rig.Spans{in, span("nginx", "client", "out", ""), app}, absent, right},
		"proxy left out":             {traced, rig.Spans{given, span("nginx", "client", "out", aParent), span("app", "server", "app", aParent)}, absent, absent},
		"another's":                  {plain, rig.Spans{in, span("nginx", "client", "out", "other"), app}, wrong, right},
		"another's trace":            {plain, rig.Spans{in, another, app}, wrong, wrong},
		"sent twice":                 {plain, rig.Spans{in, out, span("nginx", "client", "again", "in"), span("app", "server", "app", "again")}, right, right},
		"sent twice, once absent":    {plain, rig.Spans{in, out, span("nginx", "client", "again", ""), app}, absent, right},
		"sent twice, once wrong":     {plain, rig.Spans{in, span("nginx", "client", "again", "other"), out, app}, wrong, right},
		"application's parent":       {plain, rig.Spans{in, out, span("app", "server", "app", "in")}, right, wrong},
		"nothing sent":               {plain, rig.Spans{in, app}, lost, lost},
		"nothing received":           {plain, rig.Spans{in, out}, lost, lost},
		"encrypted":                  {sealed, rig.Spans{span("nginx", "client", "out", ""), app}, absent, right},
		"encrypted, and has another": {sealed, rig.Spans{out, app}, wrong, right},
	} {
		sent, received, _ := (&proxied{}).story(c.spans).verdicts(c.ask)
		if sent != c.sent || received != c.received {
			t.Errorf("%s: got %d and %d, want %d and %d", name, sent, received, c.sent, c.received)
		}
	}
}
