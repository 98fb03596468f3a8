package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// story follows a trace from the last program's request back to its root, and says
// what is not as it should be: all spans must hold together, and those of a program
// be its own if it has an SDK else the agent's, which must be of the requests that
// the program says belong together.
func (x *mixture) story(spans rig.Spans, head string) error {
	byID := make(map[string]rig.Span)
	for _, span := range spans {
		if _, twice := byID[span.SpanID]; twice {
			return fmt.Errorf("two spans are %s", span.SpanID)
		}
		byID[span.SpanID] = span
	}
	roots := 0
	for _, span := range spans {
		if span.ParentID == "" {
			roots++
		} else if _, known := byID[span.ParentID]; !known {
			return fmt.Errorf("a parent is missing: %v", span)
		}
	}
	if roots != 1 {
		return fmt.Errorf("there are %d roots", roots)
	}
	last, err := contextOf(head)
	if err != nil {
		return err
	}
	at, request := last.span, requested(head)
	for link := len(x.services) - 1; link >= 0; link-- {
		client := byID[at]
		// The agent's own span of a request that an SDK makes may stand behind
		// the SDK's.
		if maker := byID[client.ParentID]; x.traced(link) && isOurs(client) && maker.Service == client.Service {
			client = maker
		}
		server := byID[client.ParentID]
		if err := x.pair(link, client, server, request); err != nil {
			return fmt.Errorf("of %s: %w: client %v, server %v", x.services[link], err, client, server)
		}
		at, request = server.ParentID, ""
		if !x.traced(link) {
			request = server.RequestID()
		}
	}
	if at != "" {
		return fmt.Errorf("the root has a parent: %s", at)
	}
	return nil
}

// pair judges the spans of one program on the way of a request. The name of the
// request that it sent is "" if nobody knows it.
func (x *mixture) pair(link int, client, server rig.Span, sent string) error {
	service, ours := x.services[link], !x.traced(link)
	switch {
	case client.Service != service || server.Service != service:
		return errors.New("another program is in its place")
	case client.Kind != "client" || server.Kind != "server":
		return errors.New("the kinds are not those of a call")
	case isOurs(client) != ours || isOurs(server) != ours:
		return errors.New("the spans are not made by whom they should")
	case !ours:
		return nil
	case sent != "" && client.RequestID() != sent:
		return fmt.Errorf("the next program got %q", sent)
	}
	truth, err := programs.ReadTruth(x.files[link])
	if err != nil {
		return err
	}
	if request := truth.Parents[client.RequestID()]; request != server.RequestID() {
		return fmt.Errorf("the program made that call for %q", request)
	}
	return nil
}

// isOurs says whether the agent made a span.
func isOurs(span rig.Span) bool {
	return strings.HasPrefix(span.Attributes["otel.scope.name"], "github.com/clewtrace/clew")
}

func byTrace(spans rig.Spans) map[string]rig.Spans {
	traces := make(map[string]rig.Spans)
	for _, span := range spans {
		traces[span.TraceID] = append(traces[span.TraceID], span)
	}
	return traces
}

// TestStory feeds the judge of mixtures with known traces.
func TestStory(t *testing.T) {
	truth := filepath.Join(t.TempDir(), "truth")
	if err := os.WriteFile(truth, []byte(`{"request":"r","call":"k"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := &mixture{services: []string{"m-go-sdk", "m-python"}, files: []string{"", truth}}
	span := func(service, kind, id, parent string) rig.Span {
		about := map[string]string{"otel.scope.name": "go.opentelemetry.io/x"}
		if service == "m-python" {
			about = map[string]string{"otel.scope.name": "github.com/clewtrace/clew", "url.query": "id=r", "url.full": "http://x/?id=k"}
		}
		return rig.Span{SpanID: id, ParentID: parent, Service: service, Kind: kind, Attributes: about}
	}
	const other = "aaaaaaaaaaaaaaaa"
	for name, change := range map[string]struct {
		change func(spans rig.Spans)
		whole  bool
	}{
		"nothing":         {func(rig.Spans) {}, true},
		"parent missing":  {func(s rig.Spans) { s[2].ParentID = other }, false},
		"two roots":       {func(s rig.Spans) { s[2].ParentID = "" }, false},
		"past the client": {func(s rig.Spans) { s[2].ParentID = s[0].SpanID }, false},
		"same id":         {func(s rig.Spans) { s[0].SpanID = s[1].SpanID }, false},
		"doubled":         {func(s rig.Spans) { s[1].Attributes["otel.scope.name"] = "github.com/clewtrace/clew" }, false},
		"ours behind":     {func(s rig.Spans) { s[4].ParentID = s[1].SpanID; s[2].ParentID = s[4].SpanID }, true},
		"ours before":     {func(s rig.Spans) { s[4].ParentID = s[0].SpanID; s[2].ParentID = s[4].SpanID }, false},
		"not ours":        {func(s rig.Spans) { s[3].Attributes["otel.scope.name"] = "x" }, false},
		"other request":   {func(s rig.Spans) { s[2].Attributes["url.query"] = "id=q" }, false},
		"other call":      {func(s rig.Spans) { s[3].Attributes["url.full"] = "http://x/?id=j" }, false},
	} {
		spans := rig.Spans{
			span("m-go-sdk", "server", strings.Repeat("1", 16), ""), span("m-go-sdk", "client", strings.Repeat("2", 16), strings.Repeat("1", 16)),
			span("m-python", "server", strings.Repeat("3", 16), strings.Repeat("2", 16)), span("m-python", "client", strings.Repeat("4", 16), strings.Repeat("3", 16)),
			span("m-go-sdk", "client", strings.Repeat("5", 16), strings.Repeat("2", 16)),
		}
		spans[4].Attributes["otel.scope.name"] = "github.com/clewtrace/clew"
		change.change(spans)
		head := "GET /?id=k HTTP/1.1\r\ntraceparent: 00-" + aTrace + "-" + strings.Repeat("4", 16) + "-01\r\n\r\n"
		if err := x.story(spans, head); (err == nil) != change.whole {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
