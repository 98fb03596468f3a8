package programs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/clewtrace/clew/test/rig"
)

// TestCatalogue checks that every program serves what it should and that its
// ground truth is true, without an agent.
func TestCatalogue(t *testing.T) {
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
	workshop, err := OpenWorkshop(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called <- r.FormValue("id")
		fmt.Fprintln(w, "from the backend")
	}))
	t.Cleanup(backend.Close)

	for _, program := range Catalogue() {
		t.Run(program.Name, func(t *testing.T) {
			truth := filepath.Join(scene.Dir, program.Name+".truth")
			server, err := workshop.Start(t.Context(), scene, program, Config{
				Truth: truth, Backend: backend.Listener.Addr().String(),
			})
			if err != nil {
				t.Fatal(err)
			}
			proxy := program.Name == "nginx"
			call := "/call?id=3&url=" + url.QueryEscape(backend.URL+"/")
			if proxy {
				call = "/proxy/?id=3"
			}
			for _, want := range []struct {
				path string
				code int
				body string
			}{
				{"/?id=1", 200, ""},
				{"/error?id=2", 500, ""},
				{call, 200, "from the backend\n"},
			} {
				code, body := fetch(t, server.URL+want.path)
				if code != want.code || want.body != "" && body != want.body {
					t.Errorf("%s: got %d %q, want %d %q\n%s", want.path, code, body, want.code, want.body, server.Errors())
				}
			}
			if t.Failed() {
				return
			}
			id := <-called
			if proxy {
				return
			}
			known, err := ReadTruth(truth)
			if err != nil {
				t.Fatal(err)
			}
			if len(known.Requests) != 3 || len(known.Parents) != 1 || known.Parents[id] != "3" {
				t.Errorf("the call was %q for request 3, but the ground truth is %v", id, known)
			}
			if code, _ := fetch(t, server.URL+"/slow?id=4&ms=1"); code != 200 {
				t.Errorf("/slow: got %d", code)
			}
		})
	}
}

func fetch(t *testing.T, target string) (int, string) {
	t.Helper()
	response, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
