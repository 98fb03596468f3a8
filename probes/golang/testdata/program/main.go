// Program makes one HTTP request over a connection of the kind that its
// argument names, and says on one line what is true of it, just before the
// request is written: descriptor, goroutine, parent goroutine. It keeps to what
// Go 1.21 has. With "ids" for a kind it starts goroutines instead.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

func main() { run(os.Args[1]) }

func run(kind string) {
	if kind == idsKind {
		ids()
		return
	}
	request(kind)
}

// wrapped hides the type of a connection, as many libraries do.
type wrapped struct{ net.Conn }

func request(kind string) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := httptest.NewUnstartedServer(handler)
	transport := &http.Transport{}
	switch kind {
	case "tls":
		server.StartTLS()
		transport = server.Client().Transport.(*http.Transport)
	case "unix":
		path := filepath.Join(os.TempDir(), "golang-probe-"+strconv.Itoa(os.Getpid()))
		listener, err := net.Listen("unix", path)
		check(err)
		server.Listener.Close()
		server.Listener = listener
		server.Start()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }
		defer os.Remove(path)
	case "wrapped":
		server.Start()
		transport.DialContext = func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := net.Dial(network, address)
			return wrapped{conn}, err
		}
	default:
		server.Start()
	}
	url := server.URL
	if kind == "unix" {
		url = "http://unix/"
	}
	// In a goroutine of its own, so that its parent is not the scheduler.
	done := make(chan error)
	go func() { done <- get(transport, url) }()
	check(<-done)
}

func get(transport *http.Transport, url string) error {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { say(info.Conn) }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", url, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// say prints the truth as the runtime tells it: "goroutine 7 [running]:" on the
// first line of a stack, "created by main.request in goroutine 1" near its end.
func say(conn net.Conn) {
	if tlsConn, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tlsConn.NetConn()
	}
	if wrapper, ok := conn.(wrapped); ok {
		conn = wrapper.Conn
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	check(err)
	stack := make([]byte, 1<<16)
	stack = stack[:runtime.Stack(stack, false)]
	id, parent := 0, 0
	_, err = fmt.Sscanf(string(stack), "goroutine %d ", &id)
	check(err)
	_, err = fmt.Sscanf(string(stack[bytes.LastIndex(stack, []byte(" in goroutine ")):]), " in goroutine %d\n", &parent)
	check(err)
	check(raw.Control(func(fd uintptr) { fmt.Println(fd, id, parent) }))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
