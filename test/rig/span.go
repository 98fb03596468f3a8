package rig

import (
	"fmt"
	"strings"
	"time"
)

// Span is a span as a backend received it. All ids are lower-case hex, and all
// attribute values text.
type Span struct {
	TraceID, SpanID string
	ParentID        string // "" for none
	Service, Name   string
	Kind            string // "server", "client", …
	Failed          bool   // status Error
	Message         string // of the status

	Start, End time.Time

	Attributes map[string]string
	Resource   map[string]string
	Events     map[string]time.Time
}

// String shows everything that a failed test wants to see, in one line.
func (s Span) String() string {
	status := ""
	if s.Failed {
		status = " failed(" + s.Message + ")"
	}
	return fmt.Sprintf("%s/%s<-%s %s %s %q%s %s +%v %v events=%v", s.TraceID, s.SpanID, s.ParentID,
		s.Service, s.Kind, s.Name, status, s.Start.UTC().Format("15:04:05.000000"), s.End.Sub(s.Start),
		s.Attributes, s.Events)
}

// Spans are spans in the order of their start.
type Spans []Span

// Where returns the spans for which all conditions hold.
func (s Spans) Where(conditions ...func(Span) bool) Spans {
	var found Spans
spans:
	for _, span := range s {
		for _, holds := range conditions {
			if !holds(span) {
				continue spans
			}
		}
		found = append(found, span)
	}
	return found
}

// String is one line a span.
func (s Spans) String() string {
	var text strings.Builder
	for _, span := range s {
		text.WriteString(span.String())
		text.WriteByte('\n')
	}
	return text.String()
}

// Service is the condition that a span is of that service.
func Service(name string) func(Span) bool {
	return func(s Span) bool { return s.Service == name }
}

// Kind is the condition that a span is of that kind.
func Kind(kind string) func(Span) bool {
	return func(s Span) bool { return s.Kind == kind }
}

// Request is the condition that a span is about the request with ?id=.
func Request(id string) func(Span) bool {
	return func(s Span) bool { return s.RequestID() == id }
}

// RequestID is the value of the query parameter id of the span's URL, "" when
// there is none. The test programs name every request in that way.
func (s Span) RequestID() string {
	query := s.Attributes["url.query"]
	if s.Kind == "client" {
		_, query, _ = strings.Cut(s.Attributes["url.full"], "?")
	}
	for pair := range strings.SplitSeq(query, "&") {
		if id, ok := strings.CutPrefix(pair, "id="); ok {
			return id
		}
	}
	return ""
}
