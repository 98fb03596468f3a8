package chain

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// TestLinks checks that every link serves what it should, first and last in a
// chain, and that its ground truth is true, without an agent.
func TestLinks(t *testing.T) {
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
	hosts, err := scene.Hosts(1)
	if err != nil {
		t.Fatal(err)
	}
	kit, err := Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := kit.BuildSDK(); err != nil {
		t.Fatal(err)
	}
	called := make(chan string, 1)
	next := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called <- r.FormValue("id")
		fmt.Fprintln(w, "next")
	}))
	next.Listener.Close()
	if next.Listener, err = hosts[0].Listen(); err != nil {
		t.Fatal(err)
	}
	next.Start()
	t.Cleanup(next.Close)

	client := &http.Client{Transport: &http.Transport{DialContext: hosts[0].DialContext, DisableKeepAlives: true}}
	for _, language := range append(Languages(), "go"+WithSDK, "node"+WithSDK) {
		t.Run(language, func(t *testing.T) {
			name, _, traced := strings.Cut(language, "-")
			env := []string{"OTEL_TRACES_SAMPLER=always_off"} // they have nobody to report to
			truth := filepath.Join(scene.Dir, language+".truth")
			last, err := kit.Start(t.Context(), hosts[0], Link{Language: language, Service: language, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			if got := get(t, client, last+"?id=1"); !strings.HasPrefix(got, name) {
				t.Errorf("the last link answers %q", got)
			}
			first, err := kit.Start(t.Context(), hosts[0], Link{Language: language, Service: language, Next: next.URL + "/", Truth: truth, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			if got := get(t, client, first+"?id=2"); !strings.HasPrefix(got, name) || !strings.HasSuffix(got, "\nnext\n") {
				t.Fatalf("the first link answers %q", got)
			}
			id := <-called
			if traced && name == "go" {
				return // it writes no truth
			}
			known, err := programs.ReadTruth(truth)
			if err != nil {
				t.Fatal(err)
			}
			if len(known.Requests) != 1 || len(known.Parents) != 1 || known.Parents[id] != "2" {
				t.Errorf("the call was %q for request 2, but the ground truth is %v", id, known)
			}
		})
	}
}

func get(t *testing.T, client *http.Client, target string) string {
	t.Helper()
	response, err := client.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", target, response.Status, err, body)
	}
	return string(body)
}
