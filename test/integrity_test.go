package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/clewtrace/clew/test/integrity"
	"github.com/clewtrace/clew/test/rig"
)

// integrityRequests is how many requests all clients make together, each time.
func integrityRequests(t *testing.T) int {
	t.Helper()
	text := os.Getenv("INTEGRITY_REQUESTS")
	if text == "" {
		return 6000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("INTEGRITY_REQUESTS=%q is not a number of requests", text)
	}
	return n
}

// outside is where the agent does not watch.
type outside struct{ *rig.Scene }

func (o outside) Start(c rig.Command) (*rig.Process, error) { return o.StartOutside(c) }

// TestIntegrity has every client make the same requests without and with the
// agent, which may add one header to each and change nothing else.
func TestIntegrity(t *testing.T) {
	scene := openScene(t)
	port, err := rig.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newSenderRig(t.Context(), scene.Dir, "integrity", scene, scene, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	c := newComparison(t, b, outside{scene}, integrityRequests(t))
	c.baseline()
	agent := c.watch(scene, "CLEW_TARGETS="+scene.Target(), "CLEW_TCP_OPTION_PEERS=127.0.0.0/8")
	c.compare(agent, true)
}

// comparison is a run of all clients without the agent, and one with it.
type comparison struct {
	*testing.T
	rig     *senderRig
	outside station
	clients []*sender
	counts  []int // of requests
	before  []integrity.Run
	table   strings.Builder

	untaught bool // the header was waited for in vain: once is enough
}

func newComparison(t *testing.T, b *senderRig, outside station, total int) *comparison {
	c := &comparison{T: t, rig: b, outside: outside}
	only := os.Getenv("INTEGRITY_CLIENTS") // names, for the search of a fault
	for _, s := range senders() {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		if _, far := b.place.(*rig.Host); far && (s.proxy != nil || s.doors) {
			continue // proxies and doors are on this host
		}
		if _, err := exec.LookPath(s.needs); s.needs != "" && err != nil {
			t.Errorf("%s is not installed; run test/install", s.needs)
			continue
		}
		c.clients = append(c.clients, s)
	}
	for _, s := range c.clients {
		c.counts = append(c.counts, max(total/len(c.clients)/max(s.slow, 1), 20))
	}
	return c
}

// baseline runs all clients without the agent.
func (c *comparison) baseline() {
	c.Helper()
	for i, s := range c.clients {
		run, err := c.rig.run(c.Context(), s, c.outside, s.name, c.counts[i])
		if err != nil {
			c.Fatalf("%s without the agent: %v", s.name, err)
		}
		if v := integrity.Judge(run); !v.Clean() {
			c.Fatalf("%s without the agent: %s", s.name, fault(v))
		}
		c.before = append(c.before, run)
	}
}

// watch starts an agent with the header and the option on.
func (c *comparison) watch(scene *rig.Scene, env ...string) *rig.Agent {
	c.Helper()
	binary, err := theLab.agent()
	if err != nil {
		c.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		c.Fatal(err)
	}
	defer null.Close()
	propagation := "headers!,tcp"
	if value := os.Getenv("INTEGRITY_PROPAGATION"); value != "" {
		propagation = value // for the search of a fault
	}
	agent, err := rig.StartAgent(c.Context(), scene, rig.AgentConfig{
		Binary: binary, Stdout: null, Env: append([]string{"CLEW_PROPAGATION=" + propagation}, env...),
	})
	if err != nil {
		c.Fatal(err)
	}
	return agent
}

// compare runs all clients with the agent, and judges.
func (c *comparison) compare(agent *rig.Agent, shares bool) {
	c.rig.agent = agent
	c.able(agent)
	rows := tabwriter.NewWriter(&c.table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(rows, "client\trequests\twith header\town context\tdue\tof these with\tdifferences\thung\terrors\t")
	for i, s := range c.clients {
		c.Run(s.name, func(t *testing.T) {
			if shares && s.floor > 0 && !c.untaught {
				c.teach(t, s)
			}
			before := c.metrics(t, agent)
			run, err := c.rig.run(t.Context(), s, c.outside, s.name, c.counts[i])
			if err != nil {
				t.Fatal(err)
			}
			run.Baseline = c.before[i].Records
			v := integrity.Judge(run)
			fmt.Fprintf(rows, "%s\t%d\t%d\t%d\t%d\t%.1f %%\t%d\t%d\t%d\t\n", s.name, v.Requests, v.With, v.Own, v.Due,
				100*v.Share(), len(v.Differences), len(v.Hung), len(v.Errors))
			if !v.Clean() {
				t.Error(fault(v))
			}
			why := explain(before, c.metrics(t, agent))
			if shares && v.Share() < s.floor {
				t.Errorf("only %d of %d requests carry the header, not %v: %s", v.DueWith, v.Due, v.Without[:min(len(v.Without), 30)], why)
			}
			t.Logf("the agent counts: %s", why)
		})
	}
	rows.Flush()
	c.Logf("\n%s", c.table.String())
	if err := agent.Stop(); err != nil {
		c.Errorf("%v\n%s", err, tail(agent.Errors(), 8<<10))
	}
}

// able ends the test with the reason if the agent writes no headers here.
func (c *comparison) able(agent *rig.Agent) {
	c.Helper()
	for name, on := range c.metrics(c.T, agent) {
		if !strings.HasPrefix(name, "clew_probes_rung{") || !strings.Contains(name, `rung="headers"`) || on != 0 {
			continue
		}
		if strings.Contains(name, "not supported") {
			c.Skipf("headers cannot be written on this kernel: %s", name)
		}
		c.Fatalf("the agent writes no headers: %s", name)
	}
}

// teach has a client make a few requests until one carries the header: the
// first connections to a destination teach the agent what is spoken there.
func (c *comparison) teach(t *testing.T, s *sender) {
	t.Helper()
	n := 0
	err := rig.Until(t.Context(), "a request with the header", func(ctx context.Context) error {
		n++
		run, err := c.rig.run(ctx, s, c.outside, fmt.Sprintf("%s-first%d", s.name, n), 20)
		if err != nil {
			return err
		}
		for _, r := range run.Records {
			for _, line := range r.Trace {
				if line.Index == 1 && strings.HasPrefix(line.Text, "traceparent: ") {
					return nil
				}
			}
		}
		return fmt.Errorf("none of %d requests carries it", len(run.Records))
	})
	if err != nil {
		c.untaught = true
		t.Error(err)
		if _, err := c.rig.arrived(t.Context()); err != nil { // of the attempt that was interrupted
			t.Error(err)
		}
	}
}

func (c *comparison) metrics(t *testing.T, agent *rig.Agent) map[string]float64 {
	t.Helper()
	metrics, err := agent.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}

// fault is the first few of each kind of what is wrong.
func fault(v integrity.Verdict) string {
	var b strings.Builder
	for _, kind := range []struct {
		name string
		all  []string
	}{{"different", v.Differences}, {"hung", v.Hung}, {"errors", v.Errors}} {
		if len(kind.all) > 0 {
			fmt.Fprintf(&b, "\n%d %s of %d requests:\n  %s", len(kind.all), kind.name, v.Requests, strings.Join(kind.all[:min(len(kind.all), 4)], "\n  "))
		}
	}
	return tail(b.String(), 12<<10)
}
