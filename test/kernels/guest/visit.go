package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// visitCount is how many requests a visitor sends on each of its connections.
const visitCount = 4

// visitorReady is what a visitor says when its first connection is open.
const visitorReady = "connected"

// visit is the path of one request of a visitor: on its "old" connection, opened
// before the agent runs, or on its "new" one.
func visit(age string, n int) string { return fmt.Sprintf("/%s/%d", age, n) }

func visits() []string {
	var paths []string
	for _, age := range []string{"old", "new"} {
		for n := range visitCount {
			paths = append(paths, visit(age, n))
		}
	}
	return paths
}

// visitor connects, waits for the trigger, and sends its requests there; then the
// same on a new connection.
func visitor(address string) error {
	for _, age := range []string{"old", "new"} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		c := connection.(*net.TCPConn)
		if age == "old" {
			fmt.Println(visitorReady)
			if err := triggered(); err != nil {
				return err
			}
		}
		answers := bufio.NewReader(c)
		for n := range visitCount {
			if err := exchange(c, answers, visit(age, n)); err != nil {
				return err
			}
			// A connection that has proved itself joins some ms later.
			time.Sleep(time.Second)
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// triggered waits for the trigger, longer than the agent may take to start.
func triggered() error {
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(trigger); err == nil {
			return nil
		}
	}
	return errors.New("nobody says to begin")
}

// exchange sends one request in one write and reads its answer, after it has asked
// how much of it there is: some kernels have members of a sockhash see nothing.
func exchange(c *net.TCPConn, answers *bufio.Reader, path string) error {
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: guest\r\nAccept: */*\r\n\r\n"); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := announced(c); err != nil {
		return fmt.Errorf("the answer to %s: %w", path, err)
	}
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s is answered by %s", path, response.Status)
	}
	return err
}

// announced waits until the connection is readable, and wants FIONREAD (TIOCINQ) to
// agree.
func announced(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var waiting int
	var failed error
	err = raw.Control(func(fd uintptr) {
		events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, failed = unix.Poll(events, int(patience/time.Millisecond)); !errors.Is(failed, unix.EINTR) {
				break // else one of Go's own signals
			}
		}
		if failed == nil && events[0].Revents&unix.POLLIN == 0 {
			failed = errors.New("it never comes")
		}
		if failed != nil {
			return
		}
		waiting, failed = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	})
	if err = errors.Join(err, failed); err == nil && waiting == 0 {
		err = errors.New("FIONREAD reads 0 of it")
	}
	return err
}

// recorder is a server that keeps the head of every request as it came.
type recorder struct {
	listener net.Listener

	mu    sync.Mutex
	heads map[string]string // by path
}

func record(address string) (*recorder, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &recorder{listener: listener, heads: make(map[string]string)}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r, nil
}

func (r *recorder) close() { _ = r.listener.Close() }

// serve answers requests without a body until the client goes.
func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			head.WriteByte(b)
		}
		fields := strings.Fields(head.String())
		if len(fields) < 2 {
			return
		}
		r.mu.Lock()
		r.heads[fields[1]] += head.String() // twice would be seen
		r.mu.Unlock()
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// seen returns the heads by path.
func (r *recorder) seen() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	heads := make(map[string]string, len(r.heads))
	for path, head := range r.heads {
		heads[path] = head
	}
	return heads
}
