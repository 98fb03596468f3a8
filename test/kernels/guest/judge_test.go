package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// all is a cell that claims everything.
func all() cell {
	c := cell{series: "6.18", hooks: "fentry", claims: map[string]bool{}}
	for _, column := range columns {
		c.claims[column] = true
	}
	return c
}

var way = chain{"way", "thread", "thread", []hop{{"a", ""}, {"b", "/x"}, {"c", "/y"}}}

// perfect is what the way of a to b to c looks like when everything holds.
func perfect() []span {
	const trace = "11111111111111111111111111111111"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	attributes := func(key, value, evidence string) map[string]any {
		m := map[string]any{key: value}
		if evidence != "" {
			m["clew.parent.evidence"] = evidence
		}
		return m
	}
	return []span{
		{trace, "000000000000000a", "", "a", "client", at, 1000, attributes("url.full", "http://b:1/x", "")},
		{trace, "000000000000000b", "000000000000000a", "b", "server", at, 1000, attributes("url.path", "/x", "local")},
		{trace, "000000000000000c", "000000000000000b", "b", "client", at, 1000, attributes("url.full", "http://c:1/y?q=1", "thread")},
		{trace, "000000000000000d", "000000000000000c", "c", "server", at, 1000, attributes("url.path", "/y", "local")},
	}
}

func failures(results []result) []string {
	var texts []string
	for _, r := range results {
		if !r.ok {
			texts = append(texts, r.text)
		}
	}
	return texts
}

func TestJudge(t *testing.T) {
	const server, client = 3, 2 // in perfect
	orphan := func(s *span) { s.TraceID, s.ParentID = "22222222222222222222222222222222", "" }
	tests := []struct {
		name   string
		claims map[string]bool // other than all
		change func(spans []span) []span
		want   string // of the only failure; "" for none
	}{
		{name: "everything holds"},
		{
			name:   "a missing span",
			change: func(s []span) []span { return s[:server] },
			want:   "0 server span of c",
		},
		{
			name:   "a span twice",
			change: func(s []span) []span { return append(s, s[server]) },
			want:   "2 server span of c",
		},
		{
			name:   "a claimed parent that is absent",
			change: func(s []span) []span { orphan(&s[server]); return s },
			want:   "local server span of c: no parent",
		},
		{
			name:   "an unclaimed parent that is absent",
			claims: map[string]bool{"thread": false},
			change: func(s []span) []span { orphan(&s[client]); s[server].TraceID = s[client].TraceID; return s },
		},
		{
			name:   "an unclaimed parent that is right",
			claims: map[string]bool{"thread": false},
			want:   "better than the table says",
		},
		{
			name:   "a wrong parent, claimed",
			change: func(s []span) []span { s[client].ParentID = s[0].SpanID; return s },
			want:   "WRONG parent 000000000000000a",
		},
		{
			name:   "a wrong parent, unclaimed",
			claims: map[string]bool{"thread": false},
			change: func(s []span) []span { s[client].ParentID = s[0].SpanID; return s },
			want:   "WRONG parent 000000000000000a",
		},
		{
			name:   "the right parent in another trace",
			change: func(s []span) []span { s[server].TraceID = "22222222222222222222222222222222"; return s },
			want:   "WRONG parent",
		},
		{
			name:   "in the trace without a parent",
			change: func(s []span) []span { s[server].ParentID = ""; return s },
			want:   "without a parent",
		},
		{
			name:   "the right parent by other evidence",
			change: func(s []span) []span { s[client].Attributes["clew.parent.evidence"] = "fork"; return s },
			want:   "but by fork, want thread",
		},
		{
			name:   "a child before its parent",
			change: func(s []span) []span { s[server].Start = s[client].Start.Add(-1); return s },
			want:   "starts 1ns before its parent",
		},
		{
			name:   "the right parent without evidence",
			change: func(s []span) []span { delete(s[client].Attributes, "clew.parent.evidence"); return s },
			want:   "want thread",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, spans := all(), perfect()
			maps.Copy(c.claims, test.claims)
			if test.change != nil {
				spans = test.change(spans)
			}
			got := failures(judge(c, []chain{way}, spans))
			switch {
			case test.want == "" && len(got) > 0:
				t.Errorf("failures %q, want none", got)
			case test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
				t.Errorf("failures %q, want one with %q", got, test.want)
			}
		})
	}
}

func TestJudgeNothing(t *testing.T) {
	if got := failures(judge(all(), chains, nil)); len(got) == 0 {
		t.Error("no span at all passes")
	}
}

func TestParseSpans(t *testing.T) {
	good := `{"trace_id":"11111111111111111111111111111111","span_id":"000000000000000a","kind":"server","start":"2026-01-02T03:04:05.1Z","duration_ns":5,"service":"a","attributes":{"url.path":"/x"}}` + "\n"
	spans, err := parseSpans(good + good)
	if err != nil || len(spans) != 2 || spans[0].path() != "/x" || spans[0].Service != "a" {
		t.Errorf("spans %+v, error %v", spans, err)
	}
	for _, bad := range []string{"hello\n", "{}\n", good + "{\n", strings.Replace(good, "000000000000000a", "a", 1), strings.Replace(good, ":5,", ":-5,", 1)} {
		if spans, err := parseSpans(bad); err == nil {
			t.Errorf("%q is read as %+v, want an error", bad, spans)
		}
	}
}

// TestMatrix holds the table itself to completeness: every family on every
// series, and no claim left open.
func TestMatrix(t *testing.T) {
	text, err := os.ReadFile("../matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	cells, err := parseMatrix(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{"6.1", "6.12", "6.18", "7.2"} {
		for _, hooks := range []string{"tracepoint", "fentry", "kprobe", "any"} {
			n := 0
			for _, c := range cells {
				if c.series == series && c.hooks == hooks {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d lines for %s %s, want 1", n, series, hooks)
			}
		}
	}
	for _, ch := range chains {
		if !slices.Contains(columns, ch.claim) {
			t.Errorf("chain %q has no column %q", ch.name, ch.claim)
		}
	}
}

func TestParseMatrixRefuses(t *testing.T) {
	for _, bad := range []string{
		"6.1 fentry yes yes yes yes yes no no on",         // a rung is missing
		"6.1 fentry yes yes yes yes yes no - on on",       // left open
		"6.1 fentry yes yes yes yes yes no no on -",       // so is a rung
		"6.1 fentry no yes - - - - - - -",                 // cannot hold
		"6.1 fentry no - - - - - - on -",                  // nor can a rung
		"6.1 fentry - - - - - - - - -",                    // says nothing
		"6.1 fentry yes maybe yes yes yes no no on on",    // no such word
		"6.1 fentry yes yes yes yes yes no no on on more", // says too much
	} {
		if cells, err := parseMatrix(bad); err == nil {
			t.Errorf("%q is read as %+v, want an error", bad, cells)
		}
	}
}
