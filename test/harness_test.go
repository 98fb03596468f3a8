// Package test tests the whole agent: real programs in a cgroup of their own,
// the agent on the real kernel, and what arrives in a real Jaeger.
package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// lab is what all tests of one run share: what has been built.
type lab struct {
	dir      string
	workshop *programs.Workshop
	agent    func() (string, error) // builds the agent once
}

var theLab lab

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if obstacle := rig.Obstacle(); obstacle != "" {
		return m.Run() // every test says why it is skipped
	}
	scene, err := rig.Open() // only for its directory, which goes however we end
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer scene.Close()
	theLab.dir = scene.Dir
	theLab.agent = sync.OnceValues(func() (string, error) { return rig.BuildAgent(scene.Dir) })
	if theLab.workshop, err = programs.OpenWorkshop(scene.Dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// stage is the scene of one test, with Jaeger and the agent.
type stage struct {
	*testing.T
	scene  *rig.Scene
	jaeger *rig.Jaeger
	agent  *rig.Agent
	spans  rig.Spans // all there are, once settled

	counts map[string]float64 // the agent's metrics before it was stopped
}

// openScene opens a scene for a test, or skips it with the reason.
func openScene(t *testing.T) *rig.Scene {
	t.Helper()
	if obstacle := rig.Obstacle(); obstacle != "" {
		t.Skip(obstacle)
	}
	scene, err := rig.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := scene.Close(); err != nil {
			t.Error(err)
		}
	})
	return scene
}

// newStage opens a scene with a Jaeger, but no agent yet.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, scene: openScene(t)}
	var err error
	if s.jaeger, err = rig.StartJaeger(t.Context(), s.scene, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.report)
	return s
}

// watch starts the agent.
func (s *stage) watch(env ...string) {
	s.Helper()
	binary, err := theLab.agent()
	if err != nil {
		s.Fatal(err)
	}
	s.agent, err = rig.StartAgent(s.Context(), s.scene, rig.AgentConfig{
		Binary: binary, Endpoint: s.jaeger.Endpoint, Env: env,
	})
	if err != nil {
		s.Fatal(err)
	}
}

// serve starts a program. Its service is called like the program unless the
// configuration says otherwise, or the program cannot be told.
func (s *stage) serve(program string, c programs.Config) *programs.Server {
	s.Helper()
	if c.Service == "" {
		c.Service = program
	}
	server, err := theLab.workshop.Start(s.Context(), s.scene, programs.Named(program), c)
	if err != nil {
		s.Fatal(err)
	}
	return server
}

// settle drains the agent, so that afterwards Jaeger has all the spans there
// will ever be, and returns them.
func (s *stage) settle() rig.Spans {
	s.Helper()
	var err error
	if s.counts, err = s.agent.Metrics(s.Context()); err != nil {
		s.Error(err)
	}
	if err := s.agent.Stop(); err != nil {
		s.Errorf("%v\n%s", err, s.agent.Errors())
	}
	if s.spans, err = s.jaeger.Spans(s.Context()); err != nil {
		s.Fatal(err)
	}
	return s.spans
}

// await waits until at least n spans fulfil the conditions.
func (s *stage) await(n int, conditions ...func(rig.Span) bool) rig.Spans {
	s.Helper()
	var found rig.Spans
	err := rig.Until(s.Context(), fmt.Sprintf("%d spans", n), func(ctx context.Context) error {
		all, err := s.jaeger.Spans(ctx)
		if err != nil {
			return err
		}
		if found = all.Where(conditions...); len(found) < n {
			return fmt.Errorf("there are only %d", len(found))
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return found
}

// report shows what is needed to understand a failure.
func (s *stage) report() {
	if !s.Failed() {
		return
	}
	if s.agent != nil {
		s.Logf("the agent said:\n%s", tail(s.agent.Errors(), 8<<10))
	}
	if s.spans == nil {
		s.spans, _ = s.jaeger.Spans(context.Background())
	}
	for name, value := range s.counts {
		if value != 0 && strings.Contains(name, "_dropped_total") {
			s.Logf("%s %v", name, value)
		}
	}
	s.Logf("%d spans in Jaeger:\n%s", len(s.spans), tail(s.spans.String(), 16<<10))
}

// tail is the end of a long text.
func tail(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return "…" + text[len(text)-limit:]
}

// get fetches a URL on a connection of its own and expects the status code.
func (s *stage) get(target string, code int) {
	s.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	fetch(s.T, client, target, code)
}

// fetch reads a whole response and expects the status code.
func fetch(t *testing.T, client *http.Client, target string, code int) {
	t.Helper()
	response, err := client.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != code {
		t.Fatalf("%s: got %s: %s", target, response.Status, tail(string(body), 500))
	}
}

// run starts a short-lived program in the scene's cgroup and waits for its end.
func (s *stage) run(path string, args ...string) (string, error) {
	s.Helper()
	process, err := s.scene.Start(rig.Command{Name: path, Path: path, Args: args})
	if err != nil {
		s.Fatal(err)
	}
	err = process.Wait()
	return process.Output(), err
}

// one returns the only span that fulfils the conditions.
func one(t *testing.T, spans rig.Spans, what string, conditions ...func(rig.Span) bool) rig.Span {
	t.Helper()
	found := spans.Where(conditions...)
	if len(found) != 1 {
		t.Fatalf("%s: got %d spans, want exactly 1\n%v", what, len(found), found)
	}
	return found[0]
}

// attributes expects attributes, given as name, value, name, value.
func attributes(t *testing.T, span rig.Span, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := span.Attributes[pairs[i]]; got != pairs[i+1] {
			t.Errorf("%s of %s %q: got %q, want %q", pairs[i], span.Kind, span.Name, got, pairs[i+1])
		}
	}
}

// childOf expects a link, known by that evidence.
func childOf(t *testing.T, child, parent rig.Span, evidence string) {
	t.Helper()
	if child.TraceID != parent.TraceID || child.ParentID != parent.SpanID {
		t.Errorf("wrong parent: %s span %q of %s is in trace %s under %q, want it in %s under %s (%s span of %s)",
			child.Kind, child.Name, child.Service, child.TraceID, child.ParentID, parent.TraceID, parent.SpanID, parent.Kind, parent.Service)
	}
	attributes(t, child, "clew.parent.evidence", evidence)
}

// root expects that a span has no parent, and claims no evidence of one.
func root(t *testing.T, span rig.Span) {
	t.Helper()
	if span.ParentID != "" {
		t.Errorf("%s span %q of %s has a parent: %s", span.Kind, span.Name, span.Service, span.ParentID)
	}
	attributes(t, span, "clew.parent.evidence", "")
}

// hasPrefix is the condition that the request's id begins so.
func hasPrefix(prefix string) func(rig.Span) bool {
	return func(s rig.Span) bool { return strings.HasPrefix(s.RequestID(), prefix) }
}
