package test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// party is a server of a cache or a broker with its clients.
type party struct {
	system  string
	record  func() ([]servers.Statement, error)
	clients []sqlClient

	processes []*rig.Process
	gates     []*gate
	said      [][]servers.Statement // by client: what the server's record has of it
}

// gather starts all clients and waits until each has made its first connections.
func (s *stage) gather(system string, record func() ([]servers.Statement, error), clients []sqlClient, variables map[string]string) *party {
	s.Helper()
	p := &party{system: system, record: record, clients: clients}
	variables["CLIENTS"] = clientsDirectory(s.T)
	for _, c := range clients {
		process, gate := c.start(s, variables)
		p.processes, p.gates = append(p.processes, process), append(p.gates, gate)
	}
	for i, process := range p.processes {
		p.gates[i].await(s.T, process)
	}
	return p
}

// work lets the clients do their work, one after the other, and calls between,
// if it is not nil, before the first, with -1, and after each.
func (p *party) work(t *testing.T, between func(client int)) {
	t.Helper()
	before := p.recorded(t)
	if between != nil {
		between(0) // forgotten: what was before
	}
	for i, process := range p.processes {
		p.gates[i].open(t)
		if err := process.Wait(); err != nil {
			t.Error(err)
		}
		all := p.recorded(t)
		p.said, before = append(p.said, slices.Clone(all[len(before):])), all
		if between != nil {
			between(i)
		}
	}
}

func (p *party) recorded(t *testing.T) []servers.Statement {
	t.Helper()
	all, err := p.record()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(all)
}

// deed is one thing that a span says was done.
type deed struct {
	start   time.Time
	what    string // "": it does not say
	failure string // code of the error, "" for none
}

// row is a line of the table of agreement.
type row struct {
	client          string
	asked, spans    int // by the record, and by the spans
	refused, failed int // of them: errors
	order           string
}

// compare compares what the spans of a client say with the server's record.
// Where the server counts its errors beside the record, refusals are those of the
// client, by code, and unrecorded is the code of what it refused without an
// attempt, which is not in the record.
func (p *party) compare(t *testing.T, client int, deeds []deed, refusals map[string]int, unrecorded string) row {
	t.Helper()
	c, record := p.clients[client], p.said[client]
	r := row{client: c.name, asked: len(record) + refusals[unrecorded], spans: len(deeds), order: "same"}
	if refusals == nil {
		refusals = make(map[string]int)
		for _, s := range record {
			if s.Error != "" {
				refusals[s.Error]++
			}
		}
	}
	failures := make(map[string]int)
	var recorded []deed
	for _, d := range deeds {
		if d.failure != "" {
			failures[d.failure]++
			r.failed++
		}
		if d.failure == "" || d.failure != unrecorded {
			recorded = append(recorded, d)
		}
	}
	for _, n := range refusals {
		r.refused += n
	}
	if !maps.Equal(failures, refusals) {
		t.Errorf("the server answered with the errors %v, the spans have %v", refusals, failures)
	}
	var said []string
	for _, s := range record {
		said = append(said, s.Text)
	}
	if len(said) == 0 {
		t.Error("the server has no record of it")
	}
	if c.together {
		r.order = "several at once"
	}
	if difference := disagreement(said, recorded, !c.together); difference != "" {
		t.Error(difference)
		r.order = "differs"
	}
	return r
}

// disagreement compares what a server says with deeds, in order if they have
// one, and describes the first difference; "" is none. What begins at the same
// time may stand in any order.
func disagreement(said []string, deeds []deed, ordered bool) string {
	if len(said) != len(deeds) {
		return fmt.Sprintf("the server's record has %d, the spans %d: %s", len(said), len(deeds), compareLists(said, deeds))
	}
	slices.SortStableFunc(deeds, func(a, b deed) int { return a.start.Compare(b.start) })
	for begin := 0; begin < len(deeds); {
		end := len(deeds)
		if ordered {
			for end = begin + 1; end < len(deeds) && deeds[end].start.Equal(deeds[begin].start); end++ {
			}
		}
		left := make(map[string]int) // of the record, less the deeds
		for _, what := range said[begin:end] {
			left[strings.ToLower(what)]++
		}
		unnamed := 0
		for _, d := range deeds[begin:end] {
			if d.what == "" {
				unnamed++
			} else {
				left[strings.ToLower(d.what)]--
			}
		}
		for _, n := range left {
			if n < 0 {
				return "they differ: " + compareLists(said, deeds)
			}
			unnamed -= n
		}
		if unnamed != 0 {
			return "they differ: " + compareLists(said, deeds)
		}
		begin = end
	}
	return ""
}

// compareLists shows both sides from where they begin to differ.
func compareLists(said []string, deeds []deed) string {
	at := 0
	for at < min(len(said), len(deeds)) && (deeds[at].what == "" || strings.EqualFold(said[at], deeds[at].what)) {
		at++
	}
	var names []string
	for _, d := range deeds {
		names = append(names, d.what)
	}
	return fmt.Sprintf("from %d on the record has %q, the spans %q", at, first(said[at:]), first(names[at:]))
}

func first(list []string) []string { return list[:min(len(list), 12)] }

// printRows prints the table of agreement.
func printRows(title string, rows []row) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "client\tserver's record\tspans\terrors\tspans with error\torder")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", r.client, r.asked, r.spans, r.refused, r.failed, r.order)
	}
	table.Flush()
	fmt.Printf("%s\n%s", title, text.String())
}

// buildGo builds programs of test/clients and returns the directory.
func buildGo(t *testing.T, names ...string) string {
	t.Helper()
	dir, clients := t.TempDir(), clientsDirectory(t)
	for _, name := range names {
		if err := rig.GoBuild(clients, filepath.Join(dir, name), "./"+name, "-ldflags=-s -w"); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDisagreement compares lists whose agreement is known.
func TestDisagreement(t *testing.T) {
	at := func(n int, what string) deed { return deed{start: time.Unix(int64(n), 0), what: what} }
	for name, c := range map[string]struct {
		said    []string
		deeds   []deed
		ordered bool
		agree   bool
	}{
		"same":               {[]string{"a", "b"}, []deed{at(1, "A"), at(2, "b")}, true, true},
		"one too few":        {[]string{"a", "b"}, []deed{at(1, "a")}, true, false},
		"one too many":       {[]string{"a"}, []deed{at(1, "a"), at(2, "a")}, true, false},
		"turned around":      {[]string{"a", "b"}, []deed{at(1, "b"), at(2, "a")}, true, false},
		"together":           {[]string{"a", "b"}, []deed{at(1, "b"), at(2, "a")}, false, true},
		"others together":    {[]string{"a", "b"}, []deed{at(1, "b"), at(2, "b")}, false, false},
		"at once":            {[]string{"a", "b", "c"}, []deed{at(1, "b"), at(1, "a"), at(2, "c")}, true, true},
		"unnamed":            {[]string{"a", "b", "c"}, []deed{at(1, ""), at(1, "a"), at(2, "c")}, true, true},
		"unnamed and wrong":  {[]string{"a", "b", "c"}, []deed{at(1, ""), at(1, "x"), at(2, "c")}, true, false},
		"out of its instant": {[]string{"a", "b", "c"}, []deed{at(1, "c"), at(1, "a"), at(2, "b")}, true, false},
	} {
		if got := disagreement(c.said, c.deeds, c.ordered); (got == "") != c.agree {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
