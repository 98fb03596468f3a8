package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// levels are the numbers of requests in flight that are scored.
var levels = [...]int{1, 8, 64}

// scored are the programs whose parents are compared with what they know
// themselves, and the least share of right ones, in percent, at each level.
// Nothing may ever be wrong; 0 means that a link may be absent, because the
// runtime gives no evidence of it.
var scored = []struct {
	program string
	query   string // added to /call
	least   [len(levels)]int
}{
	{program: "go", least: [...]int{90, 90, 90}},
	{program: "go", query: "&via=goroutine", least: [...]int{90, 90, 90}},
	{program: "go", query: "&via=fresh", least: [...]int{90, 90, 90}},
	{program: "python-http", least: [...]int{90, 90, 90}},
	{program: "gunicorn-sync", least: [...]int{90, 90, 90}},
	{program: "gunicorn-gthread", least: [...]int{90, 0, 0}},
	{program: "uvicorn"},      // an event loop: what a thread sends may be for any of its requests, or none
	{program: "node-http"},    // an event loop
	{program: "node-express"}, // an event loop
	{program: "java-httpclient"},
	{program: "java-urlconnection", least: [...]int{90, 90, 90}},
	{program: "ruby-puma"},
	{program: "php-cli", least: [...]int{90, 90, 90}},
	{program: "php-cli", query: "&client=stream", least: [...]int{90, 90, 90}},
	{program: "php-fpm"}, // what comes in is FastCGI
	{program: "nginx", least: [...]int{90, 0, 0}},
}

// scoredRequests is how many requests each program serves at each level.
const scoredRequests = 320

// score is what became of the calls of one program at one level.
type score struct {
	right, absent, wrong int
	lost                 int // calls without a span
}

// startScoring starts an agent that exports to a sink.
func startScoring(t *testing.T, scene *rig.Scene, env ...string) (*rig.Sink, *rig.Agent) {
	t.Helper()
	sink, err := rig.OpenSink(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	binary, err := theLab.agent()
	if err != nil {
		t.Fatal(err)
	}
	agent, err := rig.StartAgent(t.Context(), scene, rig.AgentConfig{Binary: binary, Endpoint: sink.Endpoint, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return sink, agent
}

// TestScore lets every program serve requests which each make a call, one, 8
// and 64 at a time, and compares the exported parents with the ground truth.
func TestScore(t *testing.T) {
	scene := openScene(t)
	sink, agent := startScoring(t, scene)
	backend := slowBackend(t)
	truths := make([]programs.Truth, len(scored))
	for i, c := range scored {
		truths[i] = exercise(t, scene, i, c.program, c.query, backend)
	}
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	judged := judge(sink.Spans(), truths)
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "program\tin flight\tright\tabsent\twrong\tno span\t")
	for i, c := range scored {
		for l, level := range levels {
			got := judged[[2]int{i, l}]
			fmt.Fprintf(table, "%s%s\t%d\t%d\t%d\t%d\t%d\t\n", c.program, c.query, level, got.right, got.absent, got.wrong, got.lost)
			total := got.right + got.absent + got.wrong + got.lost
			switch {
			case got.wrong > 0:
				t.Errorf("%s%s with %d in flight: %d wrong parents", c.program, c.query, level, got.wrong)
			case total < scoredRequests:
				t.Errorf("%s%s with %d in flight: only %d calls were judged", c.program, c.query, level, total)
			case got.right*100 < c.least[l]*total:
				t.Errorf("%s%s with %d in flight: %d of %d parents are right, want %d %%", c.program, c.query, level, got.right, total, c.least[l])
			}
		}
	}
	table.Flush()
	fmt.Printf("Parents of calls, against the programs' own records:\n%s", text.String())
	if t.Failed() {
		t.Logf("the agent said:\n%s", tail(agent.Errors(), 8<<10))
	}
}

// slowBackend answers after a random while, so that requests overlap in every
// way. It runs in the test, where nothing is traced.
func slowBackend(t *testing.T) *httptest.Server {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(rand.N(8 * time.Millisecond))
		fmt.Fprintln(w, "done")
	}))
	t.Cleanup(backend.Close)
	return backend
}

// exercise drives one program at all levels and returns its ground truth. The
// ids of its requests tell the program and the level: see judge.
func exercise(t *testing.T, scene *rig.Scene, number int, program, query string, backend *httptest.Server) programs.Truth {
	t.Helper()
	file := filepath.Join(scene.Dir, fmt.Sprintf("truth-%d", number))
	server, err := theLab.workshop.Start(t.Context(), scene, programs.Named(program), programs.Config{
		Service: fmt.Sprintf("s%d", number), Truth: file, Backend: backend.Listener.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/call?url=" + url.QueryEscape(backend.URL+"/") + query + "&id="
	if program == "nginx" {
		path = "/proxy/?id="
	}
	truth := programs.Truth{Parents: make(map[string]string)}
	for l, level := range levels {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: level}}
		var flight sync.WaitGroup
		next := make(chan string)
		for range level {
			flight.Go(func() {
				for id := range next {
					if err := drain(client, server.URL+path+id); err != nil {
						t.Errorf("%s: %v", program, err)
					}
				}
			})
		}
		for n := range scoredRequests {
			id := fmt.Sprintf("%d-%d-%d", number, l, n)
			next <- id
			truth.Parents[id] = id // true of a proxy, which passes the id on
		}
		close(next)
		flight.Wait()
		client.CloseIdleConnections()
	}
	if program != "nginx" {
		if truth, err = programs.ReadTruth(file); err != nil {
			t.Fatal(err)
		}
	}
	return truth
}

func drain(client *http.Client, target string) error {
	response, err := client.Get(target)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, tail(string(body), 200))
	}
	return err
}

// judge compares the spans with the truth, by program and level.
func judge(spans rig.Spans, truths []programs.Truth) map[[2]int]score {
	calls := make(map[string]rig.Span)   // client spans by id
	servers := make(map[string]rig.Span) // server spans by span id
	for _, span := range spans {
		if span.Kind == "client" {
			calls[span.RequestID()] = span
		} else {
			servers[span.TraceID+"/"+span.SpanID] = span
		}
	}
	judged := make(map[[2]int]score)
	for number, truth := range truths {
		for call, request := range truth.Parents {
			var program, level, n int
			if _, err := fmt.Sscanf(request, "%d-%d-%d", &program, &level, &n); err != nil {
				continue // a request of nobody here
			}
			key := [2]int{number, level}
			got := judged[key]
			span, found := calls[call]
			parent, known := servers[span.TraceID+"/"+span.ParentID]
			switch {
			case !found:
				got.lost++
			case span.ParentID == "":
				got.absent++
			case known && parent.Service == span.Service && parent.RequestID() == request:
				got.right++
			default: // also a parent that was never exported
				got.wrong++
			}
			judged[key] = got
		}
	}
	return judged
}

// TestJudge feeds the judge with known answers.
func TestJudge(t *testing.T) {
	server := func(id, request string) rig.Span {
		return rig.Span{TraceID: "t", SpanID: id, Service: "s0", Kind: "server", Attributes: map[string]string{"url.query": "id=" + request}}
	}
	call := func(parent, name string) rig.Span {
		return rig.Span{TraceID: "t", SpanID: "c" + name, ParentID: parent, Service: "s0", Kind: "client", Attributes: map[string]string{"url.full": "http://x/?id=" + name}}
	}
	spans := rig.Spans{server("a", "0-0-1"), server("b", "0-0-2"), call("a", "k1"), call("a", "k2"), call("", "k3"), call("nobody", "k4"), call("b", "k6")}
	truth := programs.Truth{Parents: map[string]string{"k1": "0-0-1", "k2": "0-0-2", "k3": "0-0-3", "k4": "0-0-4", "k5": "0-0-5", "k6": "0-1-2"}}
	got := judge(spans, []programs.Truth{truth})
	want := map[[2]int]score{{0, 0}: {right: 1, absent: 1, wrong: 2, lost: 1}, {0, 1}: {wrong: 1}}
	if len(got) != len(want) || got[[2]int{0, 0}] != want[[2]int{0, 0}] || got[[2]int{0, 1}] != want[[2]int{0, 1}] {
		t.Errorf("got %v, want %v", got, want)
	}
}
