// Hop is a link of a chain in Go: net/http as server and, with pooled
// connections, as client. See package chain for what it is told.
package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

func main() {
	s := &server{next: os.Getenv("NEXT"), truth: os.Getenv("GROUND_TRUTH")}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), s))
}

type server struct {
	next, truth string // "" for none
	write       sync.Mutex
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := r.URL.Query().Get("id")
	s.record(map[string]string{"request": request})
	if s.next == "" {
		_, _ = io.WriteString(w, "go\n") // a client that has gone is no business of ours
		return
	}
	call := rand.Text()
	s.record(map[string]string{"request": request, "call": call})
	body, err := get(s.next + "?id=" + call)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_, _ = w.Write(append([]byte("go\n"), body...))
}

func get(target string) ([]byte, error) {
	response, err := http.Get(target)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// record appends one line of ground truth.
func (s *server) record(fields map[string]string) {
	if s.truth == "" {
		return
	}
	line, err := json.Marshal(fields)
	if err != nil {
		log.Fatal(err)
	}
	s.write.Lock()
	defer s.write.Unlock()
	file, err := os.OpenFile(s.truth, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(append(line, '\n')); err != nil {
		log.Fatal(err)
	}
}
