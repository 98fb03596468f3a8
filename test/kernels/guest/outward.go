package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

// Ports of the second part of a cell, about what reaches other hosts.
const (
	portRecorder = 8101
	portReceiver = 8102
)

// trigger is the file whose appearance lets visitors begin.
const trigger = "/tmp/visit"

// The visitors: one toward a server that nobody watches and that keeps every byte,
// one toward a server that is watched. Each has a rung of its own.
const (
	headerVisitor = "header-visitor"
	optionVisitor = "option-visitor"
	receiver      = "receiver"
)

// rungs are the columns of matrix.txt about what reaches other hosts.
var rungs = []string{"headers", "tcp"}

// rungIsOn is what matrix.txt says of a rung that works.
const rungIsOn = "on"

// runOutward judges the rungs that reach other hosts, with rung 0 off, which would
// hide them. Programs and their first connections are older than the agent.
func runOutward(c cell) (results []result) {
	rec, err := record(at(portRecorder))
	if err != nil {
		return []result{{false, "set-up: " + err.Error()}}
	}
	defer rec.close()
	defer os.Remove(trigger)
	var started []*program
	defer func() {
		for _, p := range started {
			p.kill()
		}
	}()
	for _, v := range []struct {
		name string
		argv []string
	}{
		{receiver, []string{"/init", "serve", at(portReceiver), "-"}},
		{headerVisitor, []string{"/init", "visit", at(portRecorder)}},
		{optionVisitor, []string{"/init", "visit", at(portReceiver)}},
	} {
		p, err := start(v.name, nil, v.argv...)
		if err == nil {
			started = append(started, p)
			if v.name == receiver {
				err = listening(portReceiver)
			} else {
				err = p.says(visitorReady)
			}
		}
		if err != nil {
			return []result{{false, fmt.Sprintf("set-up: %s: %v", v.name, err)}}
		}
	}
	a, err := startAgent(c.hooks, outwardEnv(started[0], started[2])...)
	if err != nil {
		return []result{{false, "set-up: " + err.Error()}}
	}
	defer a.kill()
	if err := a.ready(); err != nil {
		return []result{{false, "gets ready for other hosts: " + err.Error()}}
	}
	results = append(results, verdicts(c)...)
	time.Sleep(2 * time.Second) // see runCell
	if err := os.WriteFile(trigger, nil, 0o600); err != nil {
		return append(results, result{false, "set-up: " + err.Error()})
	}
	for _, p := range started[1:] {
		if err := p.wait(); err != nil {
			results = append(results, result{false, fmt.Sprintf("%s: %v", p.name, err)})
		}
	}
	time.Sleep(time.Second) // see exercise
	results = append(results, a.stop())
	spans, err := parseSpans(a.output())
	if err != nil {
		return append(results, result{false, err.Error()})
	}
	results = append(results, judgeHeaders(c, rec.seen(), spans)...)
	return append(results, judgeOptions(c, spans)...)
}

// outwardEnv gives the two visitors a rung each. The recorder is process 1.
func outwardEnv(server, client *program) []string {
	return []string{
		"CLEW_TARGETS=!pid=1",
		"CLEW_TCP_OPTION_PEERS=127.0.0.0/8",
		fmt.Sprintf("CLEW_PROPAGATION=headers; pid=%d -> tcp; pid=%d -> tcp", server.cmd.Process.Pid, client.cmd.Process.Pid),
	}
}

// verdicts holds what the agent's metrics say of each rung against the table: in
// use, or off for a reason that has the table's word in it.
func verdicts(c cell) []result {
	response, err := http.Get("http://" + health + "/metrics")
	if err != nil {
		return []result{{false, "metrics: " + err.Error()}}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return []result{{false, "metrics: " + err.Error()}}
	}
	var results []result
	for _, rung := range rungs {
		results = append(results, verdict(c, rung, string(text)))
	}
	return results
}

// label matches a label of a sample in the text format of Prometheus.
var label = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

func verdict(c cell, rung, metrics string) result {
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "clew_probes_rung{") {
			continue
		}
		labels := make(map[string]string)
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			labels[m[1]] = m[2]
		}
		if labels["rung"] != rung {
			continue
		}
		on, reason := strings.HasSuffix(strings.TrimSpace(line), "} 1"), labels["reason"]
		text := fmt.Sprintf("rung %s is on: %v, reason %q; the table says %s", rung, on, reason, c.rungs[rung])
		if c.rungs[rung] == rungIsOn {
			return result{on && reason == "", text}
		}
		return result{!on && strings.Contains(reason, c.rungs[rung]), text}
	}
	return result{false, "no metric of rung " + rung}
}

// heading is the header that the agent writes, right behind the request line.
var heading = regexp.MustCompile(`^[^\r\n]+\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]\r\n`)

// judgeHeaders looks at what the recorder was sent. Of the connection that is
// older than the agent the first exchange teaches that there is HTTP; by the last
// request it has joined, where the kernel can do that. A newer one carries a
// header in every request.
func judgeHeaders(c cell, heads map[string]string, spans []span) []result {
	var results []result
	for _, path := range visits() {
		head := heads[path]
		want, open := c.rungs["headers"] == rungIsOn, false
		if want && strings.HasPrefix(path, "/old/") {
			want, open = c.claims["old"] && path == visit("old", visitCount-1), c.claims["old"] && path != visit("old", 0)
		}
		client, r := one(chain{name: "headers"}, spans, hop{headerVisitor, path}, "client")
		results = append(results, r, headerOf(path, head, client, want, open))
	}
	return results
}

// headerOf judges one request. open: it may have a header or not.
func headerOf(path, head string, client *span, want, open bool) result {
	text := "header of " + path + ": "
	n := strings.Count(strings.ToLower(head), "traceparent:")
	m := heading.FindStringSubmatch(head)
	switch {
	case head == "":
		return result{false, text + "the request never arrived"}
	case n == 0:
		return result{!want, text + "none"}
	case n != 1 || m == nil:
		return result{false, fmt.Sprintf("%s%d, not one behind the request line: %q", text, n, head)}
	case client == nil || m[1] != client.TraceID || m[2] != client.SpanID:
		return result{false, text + "it names trace " + m[1] + " and span " + m[2] + ", not those of the client's span"}
	case !want && !open:
		return result{false, text + "right, but none may be there"}
	}
	return result{true, text + "that of the client's span"}
}

// judgeOptions looks at the parents of the receiver's spans in the same way.
func judgeOptions(c cell, spans []span) []result {
	ch := chain{name: "options"}
	on := c.rungs["tcp"] == rungIsOn
	c.claims = maps.Clone(c.claims)
	c.claims["tcp"], c.claims["old"] = on, on && c.claims["old"]
	var results []result
	for _, path := range visits() {
		client, r := one(ch, spans, hop{optionVisitor, path}, "client")
		results = append(results, r)
		server, r := one(ch, spans, hop{receiver, path}, "server")
		results = append(results, r)
		claim := "tcp"
		if strings.HasPrefix(path, "/old/") {
			claim = "old"
		}
		if claim == "old" && c.claims["old"] && path != visit("old", visitCount-1) && (server == nil || server.ParentID == "") {
			continue // before it has joined
		}
		results = append(results, linked(c, ch, claim, "tcp-option", server, client)...)
	}
	return results
}
