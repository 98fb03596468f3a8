package test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/clewtrace/clew/test/rig"
)

// proxyRequests is how many requests a proxy passes on at each level.
const proxyRequests = 320

// slow is a target of the application that takes a random while, so that requests
// overlap in every way. What follows makes it differ from others, or not.
func slow(mark string) string {
	return fmt.Sprintf("/slow?ms=%d&%s", rand.N(8), mark)
}

// joints are what became of the parents that requests through a proxy should have:
// of what the proxy sent, within the proxy, and of what the application received.
type joints struct {
	sent, received count
	evidence       map[string]int // of the right parents of what was sent
}

// proxyStory are spans by the id of the client's request that they are for.
type proxyStory struct {
	in      map[string]rig.Spans // what the proxy received
	out     map[string]rig.Spans // what it sent
	app     map[string]rig.Spans // what the application received
	nobody  rig.Spans            // what the proxy sent for no client
	unnamed rig.Spans            // what the application received from nobody
}

func (p *proxied) story(spans rig.Spans) *proxyStory {
	s := &proxyStory{in: make(map[string]rig.Spans), out: make(map[string]rig.Spans), app: make(map[string]rig.Spans)}
	for _, span := range spans {
		id := asked(span)
		switch {
		case span.Service == "app" && id == "":
			s.unnamed = append(s.unnamed, span)
		case span.Service == "app":
			s.app[id] = append(s.app[id], span)
		case span.Kind == "client" && id == "":
			s.nobody = append(s.nobody, span)
		case span.Kind == "client":
			s.out[id] = append(s.out[id], span)
		default:
			s.in[id] = append(s.in[id], span)
		}
	}
	return s
}

// verdicts judges what became of one request. A request that was sent twice is as
// bad as its worse half.
func (s *proxyStory) verdicts(a ask) (sent, received verdict, evidence string) {
	given := rig.Span{}
	if a.trace != "" {
		given = rig.Span{TraceID: a.trace[3:35], SpanID: a.trace[36:52]}
	}
	in, out, app := s.in[a.id], s.out[a.id], s.app[a.id]
	if len(out) == 0 || len(app) != 1 || (len(in) == 1) == a.encrypted {
		return lost, lost, ""
	}
	var parent rig.Span
	if len(in) == 1 {
		parent = in[0]
		if parent.ParentID != given.SpanID || (a.trace != "" && parent.TraceID != given.TraceID) {
			return wrong, wrong, ""
		}
	}
	received = wrong
	for _, span := range out {
		v := wrong
		switch {
		case span.ParentID == "", isChild(span, given): // the proxy may be left out, as if nobody watched it
			v = absent
		case !a.encrypted && isChild(span, parent):
			v = right
			evidence = span.Attributes["clew.parent.evidence"]
		}
		sent = max(sent, v)
		if isChild(app[0], span) {
			received = right
		}
	}
	if received == wrong && (app[0].ParentID == "" || isChild(app[0], given)) {
		received = absent
	}
	return sent, received, evidence
}

func isChild(child, parent rig.Span) bool {
	return child.TraceID == parent.TraceID && child.ParentID == parent.SpanID && child.ParentID != ""
}

// judge judges what was asked from the first ask on.
func (s *proxyStory) judge(asks []ask) joints {
	j := joints{evidence: make(map[string]int)}
	for _, a := range asks {
		sent, received, evidence := s.verdicts(a)
		j.sent[sent]++
		j.received[received]++
		if sent == right {
			j.evidence[evidence]++
		}
	}
	return j
}

// proxyTable prints what was judged.
type proxyTable struct {
	text  strings.Builder
	table *tabwriter.Writer
}

func newProxyTable() *proxyTable {
	t := &proxyTable{}
	t.table = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t.table, "proxy\tload\tin flight\tsent: right\tabsent\twrong\tno span\treceived: right\tabsent\twrong\tno span\tevidence")
	return t
}

func (t *proxyTable) row(proxy, load string, flight int, j joints) {
	fmt.Fprintf(t.table, "%s\t%s\t%d", proxy, load, flight)
	for _, c := range []count{j.sent, j.received} {
		fmt.Fprintf(t.table, "\t%d\t%d\t%d\t%d", c[right], c[absent], c[wrong], c[lost])
	}
	fmt.Fprint(t.table, "\t")
	for i, name := range slices.Sorted(maps.Keys(j.evidence)) {
		fmt.Fprintf(t.table, "%s%s %d", map[bool]string{true: ", "}[i > 0], name, j.evidence[name])
	}
	fmt.Fprintln(t.table)
}

func (t *proxyTable) print(title string) {
	t.table.Flush()
	fmt.Printf("%s:\n%s", title, t.text.String())
}

// TestProxies sends requests through proxies, each for a target of its own, with
// and without a context, over connections that are kept and that are not.
func TestProxies(t *testing.T) {
	table := newProxyTable()
	for _, name := range proxies {
		t.Run(name, func(t *testing.T) {
			p := openProxied(t, name)
			sink, agent := p.watch()
			type part struct {
				load          string
				flight        int
				evidence      string
				first, beyond int // of the asks
			}
			var parts []part
			for _, port := range []string{"FRESH", "POOLED"} {
				for _, evidence := range []string{"request-line", "header"} {
					for _, flight := range levels {
						first := len(p.asks)
						p.load(flight, distinct(port, first, evidence == "header"))
						parts = append(parts, part{strings.ToLower(port) + ", " + evidence, flight, evidence, first, len(p.asks)})
					}
				}
			}
			if err := agent.Stop(); err != nil {
				t.Error(err)
			}
			story := p.story(sink.Spans())
			for _, part := range parts {
				j := story.judge(p.asks[part.first:part.beyond])
				table.row(name, part.load, part.flight, j)
				what := fmt.Sprintf("%s with %d in flight", part.load, part.flight)
				// One that reads many and then sends many does not tell which is which.
				vague := name == "haproxy" && part.evidence == "request-line" && part.flight > 1
				for i, c := range []count{j.sent, j.received} {
					if c[wrong] > 0 || c[lost] > 0 || (c[right]*100 < 99*proxyRequests && !(vague && i == 0)) {
						t.Errorf("%s: sent %v, received %v, want 99 %% right and none wrong or lost", what, j.sent, j.received)
						break
					}
				}
				for evidence, n := range j.evidence {
					// With one request under way its thread tells as well, and more.
					if evidence != part.evidence && (part.flight > 1 || evidence != "thread" || part.evidence == "header") {
						t.Errorf("%s: %d parents are known by %q, want %q", what, n, evidence, part.evidence)
					}
				}
			}
			p.report(agent)
		})
	}
	table.print("Parents of requests that proxies pass on")
}

// report shows what the agent said if the test has failed.
func (p *proxied) report(agent *rig.Agent) {
	if p.Failed() {
		p.Logf("the agent said:\n%s", tail(agent.Errors(), 8<<10))
	}
}

// distinct are requests of which no two have the same target.
func distinct(port string, first int, traced bool) []ask {
	asks := make([]ask, proxyRequests)
	for i := range asks {
		asks[i] = ask{port: port, target: slow(fmt.Sprintf("id=%d", first+i))}
		if traced {
			asks[i].trace = newTraceparent()
		}
	}
	return asks
}

// traps are situations in which the line of a request tells less than it seems.
// Nothing may be wrong; what must be right at least with nginx is in percent.
var traps = []struct {
	name    string
	proxies []string
	before  func(p *proxied)       // the agent starts
	asks    func(p *proxied) []ask // nil if it has asked itself
	flight  int                    // 0: 64
	least   int                    // of what nginx sent
}{
	{name: "identical targets", asks: func(*proxied) []ask {
		return slices.Repeat([]ask{{port: "POOLED", target: "/slow?ms=5"}}, proxyRequests)
	}},
	{name: "rewritten to what others ask, fresh", asks: func(p *proxied) []ask { return rewritten("FRESH") }},
	{name: "rewritten to what others ask, pooled", asks: func(p *proxied) []ask { return rewritten("POOLED") }},
	{name: "rewritten to what others ask, after many that are not", asks: func(p *proxied) []ask {
		return append(distinct("FRESH", 0, false), rewritten("FRESH")...)
	}},
	{name: "encrypted clients ask the same, fresh", asks: func(p *proxied) []ask { return encrypted("FRESH", nil) }},
	{name: "encrypted clients ask the same, pooled", asks: func(p *proxied) []ask { return encrypted("POOLED", nil) }},
	{name: "encrypted clients ask the same, after many that are not", asks: func(p *proxied) []ask {
		return append(distinct("POOLED", 0, false), encrypted("POOLED", nil)...)
	}},
	{name: "encrypted connections older than the agent", before: func(p *proxied) {
		p.old = newClient(64)
		p.warm(p.old)
	}, asks: func(p *proxied) []ask {
		return append(distinct("POOLED", 0, false), encrypted("POOLED", p.old)...)
	}},
	{name: "health checks on a path of clients", proxies: []string{"haproxy"}, asks: func(*proxied) []ask {
		return slices.Repeat([]ask{{port: "CHECKED", target: "/slow?ms=5"}}, proxyRequests)
	}},
	{name: "rewritten to what others ask, and delayed", proxies: []string{"nginx"}, flight: 3, asks: delayed},
	// What is sent again is not known any more, half of them.
	{name: "sent again elsewhere", least: 40, asks: func(*proxied) []ask { return distinct("FAILING", 0, false) }},
	{name: "bodies in pieces", least: 90, asks: func(*proxied) []ask {
		asks := distinct("POOLED", 0, false)
		for i := range asks {
			asks[i].body = []string{strings.Repeat("a", 3000), strings.Repeat("b", 30000), "c"}
		}
		return asks
	}},
}

// rewritten are pairs of requests whose targets become the same: those of every
// other one lose their /a.
func rewritten(port string) []ask {
	asks := make([]ask, proxyRequests)
	for i := range asks {
		target := fmt.Sprintf("/slow?ms=%d&pair=%d", i/2%8, i/2)
		if i%2 == 1 {
			target = "/a" + target
		}
		asks[i] = ask{port: port, target: target}
	}
	return asks
}

// delayed asks for what becomes the same. What is rewritten waits, and what was read
// last meanwhile is another one; of that there are two, one for each worker process.
func delayed(p *proxied) []ask {
	for n := range 40 {
		p.load(1, []ask{{port: "DELAYED", target: fmt.Sprintf("/a/slow?ms=0&first=%d", n)}}) // the next one waits
		target := fmt.Sprintf("/slow?ms=60&pair=%d", n)
		p.load(3, []ask{{port: "DELAYED", target: "/a" + target}, {port: "DELAYED", target: target}, {port: "DELAYED", target: target}})
	}
	return nil
}

// encrypted are pairs of requests for the same, every other one by TLS.
func encrypted(port string, client *http.Client) []ask {
	asks := make([]ask, proxyRequests)
	for i := range asks {
		asks[i] = ask{port: port, target: fmt.Sprintf("/slow?ms=%d&pair=%d", i/2%8, i/2)}
		if i%2 == 1 {
			asks[i].port, asks[i].encrypted, asks[i].client = port+"TLS", true, client
		}
	}
	return asks
}

// TestProxyTraps demands that what cannot be known is not guessed.
func TestProxyTraps(t *testing.T) {
	table := newProxyTable()
	for _, trap := range traps {
		for _, name := range proxies {
			if trap.proxies != nil && !slices.Contains(trap.proxies, name) {
				continue
			}
			t.Run(trap.name+"/"+name, func(t *testing.T) {
				p := openProxied(t, name)
				if trap.before != nil {
					trap.before(p)
				}
				sink, agent := p.watch()
				flight := cmp.Or(trap.flight, 64)
				if asks := trap.asks(p); asks != nil {
					p.load(flight, asks)
				}
				if err := agent.Stop(); err != nil {
					t.Error(err)
				}
				story := p.story(sink.Spans())
				j := story.judge(p.asks)
				table.row(name, trap.name, flight, j)
				if j.sent[wrong] > 0 || j.received[wrong] > 0 || j.sent[lost] > 0 {
					t.Errorf("sent %v, received %v, want none wrong or lost", j.sent, j.received)
				}
				if name == "nginx" && j.sent[right]*100 < trap.least*len(p.asks) {
					t.Errorf("%d of %d are right, want %d %%", j.sent[right], len(p.asks), trap.least)
				}
				for _, span := range story.nobody {
					if span.ParentID != "" {
						t.Errorf("sent for nobody, and has a parent: %v", span)
					}
				}
				if trap.name == "health checks on a path of clients" && len(story.nobody) < 10 {
					t.Errorf("there are only %d health checks", len(story.nobody))
				}
				p.report(agent)
			})
		}
	}
	table.print("Where the line of a request tells less than it seems")
}
