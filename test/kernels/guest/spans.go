package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// span is what this test wants to know of a line that the agent prints with
// -o json.
type span struct {
	TraceID    string         `json:"trace_id"`
	SpanID     string         `json:"span_id"`
	ParentID   string         `json:"parent_span_id"`
	Service    string         `json:"service"`
	Kind       string         `json:"kind"`
	Start      time.Time      `json:"start"`
	DurationNS int64          `json:"duration_ns"`
	Attributes map[string]any `json:"attributes"`
}

// parseSpans reads the agent's output: one span a line, and nothing else.
func parseSpans(text string) ([]span, error) {
	var spans []span
	for line := range strings.Lines(text) {
		var s span
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			return nil, fmt.Errorf("parse the agent's output %q: %w", line, err)
		}
		if len(s.TraceID) != 32 || len(s.SpanID) != 16 {
			return nil, fmt.Errorf("parse the agent's output %q: trace id %q, span id %q", line, s.TraceID, s.SpanID)
		}
		if s.Start.IsZero() || s.DurationNS < 0 {
			return nil, fmt.Errorf("parse the agent's output %q: start %v, duration %d ns", line, s.Start, s.DurationNS)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// path is the one that the request was for, from the attribute that spans of
// that kind carry, or the command of a database; "" when it is not there.
func (s span) path() string {
	if command, ok := s.Attributes["db.operation.name"].(string); ok {
		return command
	}
	if s.Kind == "server" {
		path, _ := s.Attributes["url.path"].(string)
		return path
	}
	full, _ := s.Attributes["url.full"].(string)
	parsed, err := url.Parse(full)
	if err != nil {
		return ""
	}
	return parsed.Path
}
