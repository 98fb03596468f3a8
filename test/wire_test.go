package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/test/rig"
)

// wire is a client that writes bytes as it is told.
type wire struct {
	*testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, address string) *wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, rig.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	return &wire{T: t, Conn: conn, in: bufio.NewReader(conn)}
}

// send writes the text in one system call.
func (w *wire) send(format string, arguments ...any) {
	w.Helper()
	if _, err := fmt.Fprintf(w.Conn, format, arguments...); err != nil {
		w.Fatal(err)
	}
}

// sendSplit writes the text in pieces, each of which leaves on its own.
func (w *wire) sendSplit(pieces ...string) {
	w.Helper()
	for _, piece := range pieces {
		w.send("%s", piece)
		time.Sleep(20 * time.Millisecond) // so that the server reads them apart
	}
}

// response reads the head of a response to a request of that method.
func (w *wire) response(method string) *http.Response {
	w.Helper()
	response, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.Fatalf("read the response to %s: %v", method, err)
	}
	return response
}

// receive reads a whole response and expects the status code.
func (w *wire) receive(method string, code int) {
	w.Helper()
	response := w.response(method)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatalf("read the body: %v", err)
	}
	if response.StatusCode != code {
		w.Fatalf("%s: got %s: %s", method, response.Status, tail(string(body), 500))
	}
}

// request is a plain request with an id; extra are further lines of the head.
func request(method, path, id string, extra ...string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	lines := append([]string{method + " " + path + separator + "id=" + id + " HTTP/1.1", "Host: localhost"}, extra...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}
