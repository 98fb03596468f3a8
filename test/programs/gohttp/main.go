// Gohttp is a net/http server for the end-to-end tests, which build it stripped
// (-ldflags "-s -w"). It serves what the programs of the other languages serve,
// and the unusual answers that the tests of HTTP itself need.
//
// It listens on $LISTEN: host:port, or "unix:" and the path of a socket.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	network, address := "tcp", os.Getenv("LISTEN")
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{truth: os.Getenv("GROUND_TRUTH")}
	if target := os.Getenv("HEARTBEAT"); target != "" {
		go s.beat(target)
	}
	log.Fatal(http.Serve(listener, s.routes()))
}

type server struct {
	truth string // file of ground truth, "" for none
	write sync.Mutex
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", index)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "error", http.StatusInternalServerError) })
	mux.HandleFunc("/call", s.call)
	mux.HandleFunc("/later", s.later)
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/big", big)
	mux.HandleFunc("/never", never)
	mux.HandleFunc("/upgrade", upgrade)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.record(map[string]string{"request": requestID(r)})
		mux.ServeHTTP(w, r)
	})
}

// requestID is the name that the client gave its request.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" {
		return id
	}
	return r.URL.Query().Get("id")
}

// record appends one line of ground truth; see ../python/truth.py for the form.
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

// index reads the whole body and says how long it was.
func index(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "hello %d\n", n)
}

func slow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(number(r, "ms", 200)) * time.Millisecond)
	fmt.Fprintln(w, "slow")
}

// call fetches ?url= over pooled connections: in the goroutine of the handler,
// or with via=goroutine in one that the handler starts, or with via=fresh on a
// connection of its own.
func (s *server) call(w http.ResponseWriter, r *http.Request) {
	target, err := s.name(requestID(r), r.FormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	client := http.DefaultClient
	if r.FormValue("via") == "fresh" {
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	var body []byte
	fetch := func() { body, err = get(client, target) }
	if r.FormValue("via") == "goroutine" {
		var done sync.WaitGroup
		done.Go(fetch)
		done.Wait()
	} else {
		fetch()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_, _ = w.Write(body) // a client that has gone is no business of ours
}

// name names a call made for the request, "" for none, and says where it goes.
func (s *server) name(request, to string) (string, error) {
	target, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	var random [16]byte
	rand.Read(random[:]) // never fails, by its documentation
	call := hex.EncodeToString(random[:])
	s.record(map[string]string{"request": request, "call": call})
	query := target.Query()
	query.Set("id", call)
	target.RawQuery = query.Encode()
	return target.String(), nil
}

// later answers at once, and fetches ?url= only ?ms= afterwards.
func (s *server) later(w http.ResponseWriter, r *http.Request) {
	target, err := s.name(requestID(r), r.FormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	wait := time.Duration(number(r, "ms", 50)) * time.Millisecond
	go func() {
		time.Sleep(wait)
		if _, err := get(http.DefaultClient, target); err != nil {
			log.Print(err)
		}
	}()
	fmt.Fprintln(w, "later")
}

// beat fetches the target again and again, for no request.
func (s *server) beat(target string) {
	for range time.Tick(25 * time.Millisecond) {
		named, err := s.name("", target)
		if err == nil {
			_, err = get(http.DefaultClient, named)
		}
		if err != nil {
			log.Print(err)
		}
	}
}

func get(client *http.Client, target string) ([]byte, error) {
	response, err := client.Get(target)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// status answers with the status code in the path.
func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "no such status", http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
}

// big answers with ?bytes= zero bytes, chunked with chunked=1.
func big(w http.ResponseWriter, r *http.Request) {
	left := number(r, "bytes", 1<<20)
	if r.FormValue("chunked") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(left))
	}
	piece := make([]byte, 64<<10)
	for left > 0 {
		n, err := w.Write(piece[:min(left, len(piece))])
		if err != nil {
			return
		}
		left -= n
	}
}

// never answers until the client has gone.
func never(_ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
}

// upgrade switches to a protocol that echoes bytes.
func upgrade(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	if _, err := conn.Write([]byte(head)); err != nil {
		return
	}
	_, _ = io.Copy(conn, buffered) // until the client closes
}

// number is a numeric query parameter.
func number(r *http.Request, name string, otherwise int) int {
	n, err := strconv.Atoi(r.FormValue(name))
	if err != nil {
		return otherwise
	}
	return n
}
