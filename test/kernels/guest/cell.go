package main

import (
	"fmt"
	"sync"
	"time"
)

// Ports of the programs. The machine is the test's own.
const (
	portGoFront = iota + 8001
	portGoBack
	portThreadFront
	portThreadBack
	portBusyFront
	portBusyBack
	portStore
)

// servers are the programs under test, back to front. Early ones run before the
// agent does, and must be found by its scan; the others by their exec.
var servers = []struct {
	service string
	early   bool
	port    int
	argv    []string
}{
	{"go-back", true, portGoBack, []string{"/init", "serve", at(portGoBack), "-"}},
	{"go-front", true, portGoFront, []string{"/init", "serve", at(portGoFront), at(portGoBack)}},
	{"thread-back", false, portThreadBack, []string{"/bin/threads", "serve", fmt.Sprint(portThreadBack)}},
	{"thread-front", false, portThreadFront, []string{"/bin/threads", "serve", fmt.Sprint(portThreadFront), fmt.Sprint(portThreadBack)}},
	{"busy-back", true, portBusyBack, []string{"/bin/busybox", "httpd", "-f", "-p", at(portBusyBack), "-h", "/www"}},
	{"store", true, portStore, []string{"/init", "store", at(portStore)}},
	{"busy-front", false, portBusyFront, []string{"/bin/busybox", "httpd", "-f", "-p", at(portBusyFront), "-h", "/www"}},
}

// clients each send one request, the first two on the same connection. They
// are gone at once, maybe before their environment is read: so their service
// name is that of the executable, by which the agent names them without it.
var clients = []struct {
	service string
	argv    []string
}{
	{"init", []string{"/init", "get", address(portGoFront, "/go/first"), address(portGoFront, "/go/second")}},
	{"init", []string{"/init", "set", at(portStore)}},
	{"threads", []string{"/bin/threads", "get", fmt.Sprint(portThreadFront), "/thread"}},
	{"busybox", []string{"/bin/busybox", "wget", "-q", "-O", "/dev/null", address(portBusyFront, "/cgi-bin/chain")}},
	{"busybox", []string{"/bin/busybox", "wget", "-q", "-O", "/dev/null", address(portBusyFront, "/cgi-bin/shell")}},
}

// chains are what those requests must look like.
var chains = []chain{
	{"go", "goroutine", "goroutine", []hop{{"init", ""}, {"go-front", "/go/first"}, {"go-back", "/go/first"}}},
	{"go kept connection", "pooled", "goroutine", []hop{{"init", ""}, {"go-front", "/go/second"}, {"go-back", "/go/second"}}},
	{"redis", "goroutine", "goroutine", []hop{{"init", ""}, {"store", "SET"}}},
	{"threads", "thread", "thread", []hop{{"threads", ""}, {"thread-front", "/thread"}, {"thread-back", "/thread"}}},
	{"cgi", "fork", "fork", []hop{{"busybox", ""}, {"busy-front", "/cgi-bin/chain"}, {"busy-back", "/bb/chain"}}},
	{"cgi shell", "fork", "fork", []hop{{"busybox", ""}, {"busy-front", "/cgi-bin/shell"}, {"busy-back", "/bb/shell"}}},
}

func at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func address(port int, path string) string { return "http://" + at(port) + path }

// runCell starts programs and agent, sends the requests, stops the agent and
// judges what it printed.
func runCell(c cell) []result {
	var running []*program
	defer func() {
		for _, p := range running {
			p.kill()
		}
	}()
	launch := func(early bool) error {
		for _, s := range servers {
			if s.early != early {
				continue
			}
			p, err := start(s.service, nil, s.argv...)
			if err != nil {
				return err
			}
			running = append(running, p)
			if err := listening(s.port); err != nil {
				return fmt.Errorf("%s: %w", s.service, err)
			}
		}
		return nil
	}
	if err := launch(true); err != nil {
		return []result{{false, "set-up: " + err.Error()}}
	}
	// Rung 0 alone: runOutward is about the others.
	a, err := startAgent(c.hooks, "CLEW_PROPAGATION=local")
	if err != nil {
		return []result{{false, "set-up: " + err.Error()}}
	}
	defer a.kill()
	results, ready := loads(c, a)
	if ready {
		if err := launch(false); err != nil {
			return append(results, result{false, "set-up: " + err.Error()})
		}
		// User space looks at a new process before the kernel trusts what its
		// threads show; until then a span has no parent, which is not what
		// this test is about.
		time.Sleep(2 * time.Second)
		results = append(results, exercise(c, a)...)
	}
	return append(results, nothingLeft())
}

// loads holds against the claim whether the agent gets ready. One that cannot
// must say so and exit by itself.
func loads(c cell, a *program) ([]result, bool) {
	begin := time.Now()
	err := a.ready()
	switch {
	case err == nil && c.claims["loads"]:
		return []result{{true, fmt.Sprintf("loads and attaches, in %.1f s", time.Since(begin).Seconds())}}, true
	case err == nil:
		return []result{{false, "loads and attaches: better than the table says"}, a.stop()}, false
	case c.claims["loads"]:
		return []result{{false, "loads: " + err.Error()}}, false
	}
	refused := a.refused(c.hooks)
	return []result{{refused == nil, fmt.Sprintf("does not load: %v", orWord(refused, "exits with an error"))}}, false
}

// exercise sends every request, stops the agent and judges its spans. All chains
// run at the same time: a link to one of the others would be seen.
func exercise(c cell, a *program) []result {
	var results []result
	failures := make([]error, len(clients))
	var running sync.WaitGroup
	for i, cl := range clients {
		running.Go(func() { failures[i] = run(cl.service, cl.argv...) })
	}
	running.Wait()
	for i, err := range failures {
		if err != nil {
			results = append(results, result{false, fmt.Sprintf("%s: %v", clients[i].service, err)})
		}
	}
	// The agent learns from the kernel within its tick that a response has
	// ended; one that is stopped before would be right to leave the span out.
	time.Sleep(time.Second)
	results = append(results, a.stop())
	spans, err := parseSpans(a.output())
	if err != nil {
		return append(results, result{false, err.Error()})
	}
	return append(results, judge(c, chains, spans)...)
}

func orWord(err error, word string) any {
	if err != nil {
		return err
	}
	return word
}
