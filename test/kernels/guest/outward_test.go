package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	traceA = "11111111111111111111111111111111"
	spanA  = "000000000000000a"
)

func TestVerdict(t *testing.T) {
	const (
		on   = `clew_probes_rung{reason="",rung="headers"} 1` + "\n"
		off  = `clew_probes_rung{rung="headers",reason="FIONREAD reads \"0\""} 0` + "\n"
		odd  = `clew_probes_rung{reason="FIONREAD",rung="headers"} 1` + "\n"
		none = `clew_probes_rung{reason="",rung="tcp"} 1` + "\n"
	)
	for _, c := range []struct {
		metrics, claim string
		ok             bool
	}{
		{on, "on", true},
		{none + on, "on", true},
		{on, "FIONREAD", false},
		{off, "FIONREAD", true},
		{off, "kprobes", false},
		{off, "on", false},
		{odd, "on", false}, // forced
		{odd, "FIONREAD", false},
		{none, "on", false},
		{"", "on", false},
	} {
		got := verdict(cell{rungs: map[string]string{"headers": c.claim}}, "headers", c.metrics)
		if got.ok != c.ok {
			t.Errorf("%q where the table says %s: %+v", c.metrics, c.claim, got)
		}
	}
}

func TestHeaderOf(t *testing.T) {
	const (
		line  = "GET /new/1 HTTP/1.1\r\n"
		field = "traceparent: 00-" + traceA + "-" + spanA + "-01\r\n"
		rest  = "Host: guest\r\n\r\n"
	)
	client := &span{TraceID: traceA, SpanID: spanA}
	for _, c := range []struct {
		head       string
		client     *span
		want, open bool
		ok         bool
	}{
		{line + field + rest, client, true, false, true},
		{line + rest, client, true, false, false},
		{line + rest, client, true, true, false},
		{line + rest, client, false, false, true},
		{line + rest, client, false, true, true},
		{line + field + rest, client, false, false, false},
		{line + field + rest, client, false, true, true},
		{line + field + rest, nil, true, false, false},
		{line + field + rest, &span{TraceID: traceA, SpanID: "000000000000000b"}, false, true, false},
		{line + field + field + rest, client, true, false, false},
		{line + "Host: guest\r\n" + field + "\r\n", client, true, false, false},
		{line + strings.Replace(field, "00-", "0-", 1) + rest, client, true, false, false},
		{line + field + rest + line + field + rest, client, true, false, false}, // twice
		{"", client, false, true, false},
	} {
		if got := headerOf("/new/1", c.head, c.client, c.want, c.open); got.ok != c.ok {
			t.Errorf("%q, want %v, open %v: %+v", c.head, c.want, c.open, got)
		}
	}
}

// visited is what the visits look like when everything holds: from the request
// `from` of the old connection on there is a header and an option.
func visited(from int) (heads map[string]string, spans []span) {
	heads = make(map[string]string)
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, path := range visits() {
		id := func(kind int) string { return fmt.Sprintf("%015x%x", i+1, kind) }
		trace := func(kind int) string { return strings.Repeat(id(kind), 2) }
		heads[path] = "GET " + path + " HTTP/1.1\r\n"
		server := span{trace(3), id(3), "", receiver, "server", begin, 1, map[string]any{"url.path": path}}
		if i >= from {
			heads[path] += "traceparent: 00-" + trace(1) + "-" + id(1) + "-01\r\n"
			server.TraceID, server.ParentID = trace(2), id(2)
			server.Attributes["clew.parent.evidence"] = "tcp-option"
		}
		heads[path] += "\r\n"
		url := map[string]any{"url.full": "http://guest" + path}
		spans = append(spans,
			span{trace(1), id(1), "", headerVisitor, "client", begin, 1, url},
			span{trace(2), id(2), "", optionVisitor, "client", begin, 1, url},
			server)
	}
	return heads, spans
}

func TestJudgeOutward(t *testing.T) {
	none := len(visits())
	for _, c := range []struct {
		rung   string
		old    bool
		from   int // first visit that carries context
		failed int // checks
	}{
		{"on", true, 1, 0},
		{"on", true, visitCount - 1, 0},
		{"on", true, visitCount, 1},     // the old one never joins
		{"on", true, visitCount + 1, 2}, // nor does the new one at once
		{"on", true, none, visitCount + 1},
		{"on", false, visitCount, 0},
		{"on", false, visitCount - 1, 1}, // better than the table says
		{"off", false, none, 0},
		{"off", true, none, 0},
		{"off", true, none - 1, 1},
	} {
		cell := cell{claims: map[string]bool{"old": c.old}, rungs: map[string]string{"headers": c.rung, "tcp": c.rung}}
		heads, spans := visited(c.from)
		if got := failures(judgeHeaders(cell, heads, spans)); len(got) != c.failed {
			t.Errorf("headers %s from visit %d: failures %q, want %d", c.rung, c.from, got, c.failed)
		}
		if got := failures(judgeOptions(cell, spans)); len(got) != c.failed {
			t.Errorf("options %s from visit %d: failures %q, want %d", c.rung, c.from, got, c.failed)
		}
	}
}

func TestJudgeOutwardNothing(t *testing.T) {
	c := cell{claims: map[string]bool{}, rungs: map[string]string{"headers": "off", "tcp": "off"}}
	if got := failures(judgeHeaders(c, nil, nil)); len(got) < len(visits()) {
		t.Errorf("requests that never arrived pass: %q", got)
	}
	if got := failures(judgeOptions(c, nil)); len(got) < len(visits()) {
		t.Errorf("spans that are missing pass: %q", got)
	}
}
