package test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/clewtrace/clew/test/programs"
	links "github.com/clewtrace/clew/test/programs/chain"
	"github.com/clewtrace/clew/test/rig"
)

// chainLoads are how many requests the chain serves, and how many at once.
var chainLoads = [...]struct{ flight, requests int }{{1, 200}, {8, 400}, {64, 640}}

// chainHosts are how many hosts the links stand on in turn, so that every hop
// goes to another host.
const chainHosts = 3

// chainRuns are ways to watch the chain. What joins must do so everywhere: a
// link may be absent only where nothing is to carry the context.
var chainRuns = []struct {
	name, propagation string
	together          bool // one agent for all hosts, as if they were one
	joins             bool
	evidence          string // by which the hops between hosts are known
}{
	{name: "nothing", propagation: "none"},
	{name: "local marks, an agent each", propagation: "local"}, // they know nothing of one another
	{name: "local marks, one agent", propagation: "local", together: true, joins: true, evidence: "local"},
	{name: "headers", propagation: "headers!", joins: true, evidence: "header"},
	{name: "TCP option", propagation: "tcp", joins: true, evidence: "tcp-option"},
	{name: "all", propagation: "local,headers!,tcp", joins: true, evidence: "header"},
}

// TestChainOfHosts sends requests through five services in five languages on
// three hosts, and compares the exported parents with what the services know.
func TestChainOfHosts(t *testing.T) {
	if obstacle := rig.Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	kit, err := links.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range chainRuns {
		t.Run(run.name, func(t *testing.T) {
			if run.propagation == "local" && testing.Short() {
				t.Skip("TestScore and its like show local marks")
			}
			s := newHosted(t, chainHosts+1)
			watched, outside := s.hosts[:chainHosts], s.hosts[chainHosts]
			if run.together {
				s.watchTogether(watched, "CLEW_PROPAGATION="+run.propagation)
			} else {
				s.watchEach(watched, "CLEW_PROPAGATION="+run.propagation)
			}
			c := s.startChain(kit)
			c.warm(s, outside, run.joins)
			c.exercise(t, outside)
			c.read(t)
			counts := c.judge(s.settle(), run.evidence)
			c.print(run.name, counts)
			c.check(t, counts, run.joins)
		})
	}
}

// chained is a running chain.
type chained struct {
	services []string // also the names of their files of truth
	url      string   // of the first
	truths   []map[string]string
	files    []string
}

// startChain starts the links, the last one first, each on the next host.
func (h *hosted) startChain(kit *links.Kit) *chained {
	h.Helper()
	c := &chained{services: links.Languages()}
	c.files = make([]string, len(c.services))
	for i := len(c.services) - 1; i >= 0; i-- {
		c.files[i] = filepath.Join(h.scene.Dir, "truth-"+c.services[i])
		var err error
		if c.url, err = kit.Start(h.Context(), h.hosts[i%chainHosts], links.Link{
			Language: c.services[i], Service: c.services[i], Next: c.url, Truth: c.files[i],
		}); err != nil {
			h.Fatal(err)
		}
	}
	return c
}

// warm sends requests, one after the other, until one has all the parents that
// check demands: a program's first connection to a place only teaches what is
// spoken there.
func (c *chained) warm(s *hosted, from *rig.Host, joins bool) {
	s.Helper()
	client := clientOn(from, 1)
	defer client.CloseIdleConnections()
	sent := 0
	if err := rig.Until(s.Context(), "a request to be joined through the chain", func(ctx context.Context) error {
		id := fmt.Sprintf("warm-%d", sent)
		sent++
		if err := drain(client, c.url+"?id="+id); err != nil {
			return err
		}
		c.read(s.T)
		spans, err := s.jaeger.Spans(ctx)
		if err != nil {
			return err
		}
		story := c.index(spans)
		for n := range sent {
			whole := true
			for _, l := range c.links(fmt.Sprintf("warm-%d", n)) {
				whole = whole && (l.verdict(story, "") == right || !l.needed(joins))
			}
			if whole {
				return nil
			}
		}
		return errors.New("none is")
	}); err != nil {
		s.Fatal(err)
	}
	s.Logf("warm after %d requests", sent)
}

// exercise sends the loads. The ids of their requests tell the load: see judge.
func (c *chained) exercise(t *testing.T, from *rig.Host) {
	t.Helper()
	for l, load := range chainLoads {
		client := clientOn(from, load.flight)
		next := make(chan string)
		var flight sync.WaitGroup
		for range load.flight {
			flight.Go(func() {
				for id := range next {
					if err := drain(client, c.url+"?id="+id); err != nil {
						t.Errorf("request %s: %v", id, err)
					}
				}
			})
		}
		for n := range load.requests {
			next <- fmt.Sprintf("%d-%d", l, n)
		}
		close(next)
		flight.Wait()
		client.CloseIdleConnections()
	}
}

// read reads what the services have written: of each the call it made for each
// request, as every request makes one.
func (c *chained) read(t *testing.T) {
	t.Helper()
	c.truths = make([]map[string]string, len(c.files))
	for i, file := range c.files {
		truth, err := programs.ReadTruth(file)
		if err != nil {
			t.Fatal(err)
		}
		c.truths[i] = make(map[string]string)
		for call, request := range truth.Parents {
			c.truths[i][request] = call
		}
	}
}

// spanKey is what the services know of a span.
type spanKey struct{ service, kind, request string }

// joint is a span and what should be its parent.
type joint struct{ child, parent spanKey }

// links are the joints that one request through the chain should have, with the
// name of each being its child's kind and service. They begin at its second span.
func (c *chained) links(request string) []joint {
	var joints []joint
	for i, service := range c.services {
		server := spanKey{service, "server", request}
		if i > 0 {
			joints = append(joints, joint{server, spanKey{c.services[i-1], "client", request}})
		}
		if request = c.truths[i][request]; i < len(c.services)-1 {
			joints = append(joints, joint{spanKey{service, "client", request}, server})
		}
	}
	return joints
}

// index finds spans by what the services know of them. Two spans of one thing
// are a mistake, which a span id that no other has makes known.
func (c *chained) index(spans rig.Spans) map[spanKey]rig.Span {
	found := make(map[spanKey]rig.Span)
	for _, span := range spans {
		key := spanKey{span.Service, span.Kind, span.RequestID()}
		if _, twice := found[key]; twice {
			span.SpanID, span.ParentID = "twice", "twice"
		}
		found[key] = span
	}
	return found
}

// verdict is what became of a joint.
type verdict int

const (
	right verdict = iota
	absent
	wrong
	lost // there is no such span
)

// needed says whether the joint must be there: within a program always.
func (j joint) needed(joins bool) bool { return joins || j.child.kind == "client" }

// verdict judges a joint. The evidence, if one is asked for, is that of a joint
// between programs.
func (j joint) verdict(spans map[spanKey]rig.Span, evidence string) verdict {
	child, found := spans[j.child]
	parent, known := spans[j.parent]
	switch {
	case !found:
		return lost
	case child.ParentID == "":
		return absent
	case !known || child.TraceID != parent.TraceID || child.ParentID != parent.SpanID:
		return wrong // also a parent that was never exported
	case evidence != "" && child.Kind == "server" && child.Attributes["clew.parent.evidence"] != evidence:
		return wrong
	}
	return right
}

// count is what became of the joints of one place in the chain, by verdict.
type count [lost + 1]int

// place is a place in the chain under one load.
type place struct{ load, joint int }

// whole is the place that stands for the whole chain: a request there is right if
// all its joints are, and else as bad as the worst.
const whole = -1

// judge compares the spans with the truth.
func (c *chained) judge(spans rig.Spans, evidence string) map[place]count {
	story := c.index(spans)
	counts := make(map[place]count)
	for l, load := range chainLoads {
		for n := range load.requests {
			request := fmt.Sprintf("%d-%d", l, n)
			worst := right
			if first, found := story[spanKey{c.services[0], "server", request}]; !found {
				worst = lost
			} else if first.ParentID != "" { // nobody has told it of any
				worst = wrong
			}
			for j, joint := range c.links(request) {
				v := joint.verdict(story, evidence)
				worst = max(worst, v)
				got := counts[place{l, j}]
				got[v]++
				counts[place{l, j}] = got
			}
			got := counts[place{l, whole}]
			got[worst]++
			counts[place{l, whole}] = got
		}
	}
	return counts
}

// print prints a table of what was counted.
func (c *chained) print(run string, counts map[place]count) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "parent of\t")
	for _, load := range chainLoads {
		fmt.Fprintf(table, "%d in flight\t", load.flight)
	}
	row := func(name string, joint int) {
		fmt.Fprintf(table, "\n%s\t", name)
		for l := range chainLoads {
			got := counts[place{l, joint}]
			fmt.Fprintf(table, "%d/%d/%d/%d\t", got[right], got[absent], got[wrong], got[lost])
		}
	}
	for j, joint := range c.links("") {
		row(joint.child.service+" "+joint.child.kind, j)
	}
	row("whole chain", whole)
	fmt.Fprintln(table)
	table.Flush()
	fmt.Printf("A chain of five services over three hosts, %s: right/absent/wrong/no span\n%s", run, text.String())
}

// check demands that nothing is wrong or missing, that what happens within the
// programs is known, and that the hops between them are if they are to be.
func (c *chained) check(t *testing.T, counts map[place]count, joins bool) {
	t.Helper()
	for l, load := range chainLoads {
		for j, joint := range c.links("") {
			got := counts[place{l, j}]
			name := fmt.Sprintf("parents of %s %s with %d in flight", joint.child.service, joint.child.kind, load.flight)
			if got[wrong] > 0 || got[lost] > 0 {
				t.Errorf("%s: %d are wrong, %d have no span", name, got[wrong], got[lost])
			}
			if needed := joint.needed(joins); needed && got[absent] > 0 {
				t.Errorf("%s: %d of %d are absent", name, got[absent], load.requests)
			} else if !needed && got[right] > 0 {
				t.Errorf("%s: %d are right, though nothing carries them", name, got[right])
			}
		}
	}
}

// TestChainJudge feeds the judge with known answers.
func TestChainJudge(t *testing.T) {
	c := &chained{services: []string{"a", "b"}, truths: []map[string]string{{"0-0": "call"}, {}}}
	span := func(service, kind, request, id, parent string) rig.Span {
		about := map[string]string{"url.query": "id=" + request, "url.full": "http://x/?id=" + request}
		if parent != "" && kind == "server" {
			about["clew.parent.evidence"] = "header"
		}
		return rig.Span{TraceID: "t", SpanID: id, ParentID: parent, Service: service, Kind: kind, Attributes: about}
	}
	served, called, got := span("a", "server", "0-0", "1", ""), span("a", "client", "call", "2", "1"), span("b", "server", "call", "3", "2")
	elsewhere := got
	elsewhere.TraceID = "u"
	for name, test := range map[string]struct {
		spans    rig.Spans
		evidence string
		within   verdict
		between  verdict
		whole    verdict
	}{
		"right":             {rig.Spans{served, called, got}, "header", right, right, right},
		"any evidence":      {rig.Spans{served, called, got}, "", right, right, right},
		"other evidence":    {rig.Spans{served, called, got}, "local", right, wrong, wrong},
		"absent":            {rig.Spans{served, called, span("b", "server", "call", "3", "")}, "header", right, absent, absent},
		"another parent":    {rig.Spans{served, called, span("b", "server", "call", "3", "1")}, "header", right, wrong, wrong},
		"another trace":     {rig.Spans{served, called, elsewhere}, "header", right, wrong, wrong},
		"parent not there":  {rig.Spans{served, got}, "header", lost, wrong, lost},
		"span not there":    {rig.Spans{served, called}, "header", right, lost, lost},
		"child of nobody":   {rig.Spans{served, span("a", "client", "call", "2", ""), got}, "header", absent, right, absent},
		"span of others":    {rig.Spans{served, called, span("b", "server", "other", "3", "2")}, "header", right, lost, lost},
		"span there twice":  {rig.Spans{served, called, got, span("b", "server", "call", "4", "2")}, "header", right, wrong, wrong},
		"root has a parent": {rig.Spans{span("a", "server", "0-0", "1", "9"), called, got}, "header", right, right, wrong},
	} {
		counts := c.judge(test.spans, test.evidence)
		for j, want := range map[int]verdict{0: test.within, 1: test.between, whole: test.whole} {
			expected := 1
			if want == lost { // as all the others are
				expected = chainLoads[0].requests
			}
			if got := counts[place{0, j}]; got[want] != expected {
				t.Errorf("%s: joint %d: got %v, want %d at %d", name, j, got, expected, want)
			}
		}
	}
}
