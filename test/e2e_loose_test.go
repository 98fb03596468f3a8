package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// TestLooseCalls has programs call out for a request that they have answered
// before, and for none at all, while they serve exactly one other: the one that
// a careless look at the thread would take for the parent.
func TestLooseCalls(t *testing.T) {
	s := newStage(t)
	s.watch()
	var calls atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		fmt.Fprintln(w, "done")
	}))
	t.Cleanup(backend.Close)
	const rounds = 10
	names := []string{"go", "python-http", "uvicorn", "node-http"}
	files := make(map[string]string)
	for _, name := range names {
		files[name] = filepath.Join(s.scene.Dir, name+".truth")
		server := s.serve(name, programs.Config{Truth: files[name], Env: []string{"HEARTBEAT=" + backend.URL + "/beat"}})
		for n := range rounds {
			s.get(server.URL+"/later?ms=50&id="+dot("a-"+name, n)+"&url="+url.QueryEscape(backend.URL+"/later"), 200)
			s.get(server.URL+"/slow?ms=150&id="+dot("b-"+name, n), 200)
		}
		server.Kill()
	}
	spans := s.settle()
	for _, name := range names {
		t.Run(name, func(t *testing.T) { judgeLoose(t, spans.Where(rig.Service(name)), files[name], rounds) })
	}
}

// judgeLoose compares the spans of one program with what it knows.
func judgeLoose(t *testing.T, spans rig.Spans, file string, rounds int) {
	truth, err := programs.ReadTruth(file)
	if err != nil {
		t.Fatal(err)
	}
	requests := make(map[string]string) // by span
	for _, span := range spans.Where(rig.Kind("server")) {
		requests[span.SpanID] = span.RequestID()
	}
	late, beats := 0, 0
	for _, span := range spans.Where(rig.Kind("client")) {
		request, known := truth.Parents[span.RequestID()]
		switch {
		case !known:
			t.Errorf("a call that the program knows nothing of: %v", span)
		case request == "":
			beats++
		default:
			late++
		}
		if span.ParentID != "" && (request == "" || requests[span.ParentID] != request) {
			t.Errorf("a call for request %q belongs to %q by %s: %v", request, requests[span.ParentID],
				span.Attributes["clew.parent.evidence"], span)
		}
	}
	if late != rounds || beats < rounds {
		t.Errorf("got %d calls after the answer, want %d, and %d heartbeats, want %d or more", late, rounds, beats, rounds)
	}
}
