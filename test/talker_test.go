package test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/test/rig"
)

// talker is a watched client that sends exactly the bytes it is told; see
// programs/raw/talk.py.
type talker struct {
	*testing.T
	commands *os.File
	answers  *bufio.Reader
	pipe     *os.File // of the answers
	opened   int
}

// startTalker starts a client by a scene or a host.
func startTalker(t *testing.T, dir string, start func(rig.Command) (*rig.Process, error)) *talker {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{T: t}
	var pipes []string
	for i, end := range []**os.File{&k.commands, &k.pipe} {
		path := filepath.Join(dir, fmt.Sprintf("talker-%d", i))
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		// For both, so that it opens whether or not the other side has.
		if *end, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, path)
		t.Cleanup(func() { (*end).Close() })
	}
	k.answers = bufio.NewReader(k.pipe)
	if _, err := start(rig.Command{
		Name: "talker", Path: "/usr/bin/python3",
		Args: append([]string{filepath.Join(root, "test", "programs", "raw", "talk.py")}, pipes...),
		Env:  []string{"OTEL_SERVICE_NAME=talker"},
	}); err != nil {
		t.Fatal(err)
	}
	return k
}

// say gives one command and returns what it brought.
func (k *talker) say(command map[string]any) []byte {
	k.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		k.Fatal(err)
	}
	if _, err := k.commands.Write(append(line, '\n')); err != nil {
		k.Fatal(err)
	}
	if err := k.pipe.SetReadDeadline(time.Now().Add(2 * rig.Patience)); err != nil {
		k.Fatal(err)
	}
	text, err := k.answers.ReadBytes('\n')
	if err != nil {
		k.Fatalf("the talker does not answer: %v", err)
	}
	var answer struct{ Bytes, Error string }
	if err := json.Unmarshal(text, &answer); err != nil {
		k.Fatal(err)
	}
	if answer.Error != "" {
		k.Fatalf("%v: %s", command["do"], answer.Error)
	}
	data, err := hex.DecodeString(answer.Bytes)
	if err != nil {
		k.Fatal(err)
	}
	return data
}

// connect opens a connection with segments of at most mss bytes, 0 for any, and
// returns its number.
func (k *talker) connect(address string, mss int) int {
	k.Helper()
	k.say(map[string]any{"do": "connect", "to": address, "mss": mss})
	k.opened++
	return k.opened - 1
}

func (k *talker) send(on int, text string) {
	k.Helper()
	k.say(map[string]any{"do": "send", "on": on, "bytes": hex.EncodeToString([]byte(text))})
}

// hear reads as many bytes as the text has, and expects the text.
func (k *talker) hear(on int, text string) {
	k.Helper()
	if got := k.say(map[string]any{"do": "read", "on": on, "n": len(text)}); string(got) != text {
		k.Fatalf("the talker got %q, want %q", got, text)
	}
}

func (k *talker) close(on int) {
	k.Helper()
	k.say(map[string]any{"do": "close", "on": on})
}

// answerOK answers any request.
const answerOK = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

// witness is a server, not watched, that keeps every byte and understands none.
type witness struct {
	*testing.T
	address  string
	accepted chan *testimony
}

// testimony is what came on one connection.
type testimony struct {
	*testing.T
	conn net.Conn

	mu      sync.Mutex
	changed chan struct{} // closed when more has come
	data    []byte
	ended   bool
}

func openWitness(t *testing.T) *witness {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	r := &witness{T: t, address: listener.Addr().String(), accepted: make(chan *testimony, 1)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			recording := &testimony{T: t, conn: conn, changed: make(chan struct{})}
			go recording.run()
			r.accepted <- recording
		}
	}()
	return r
}

func (r *testimony) run() {
	defer r.conn.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := r.conn.Read(buffer)
		r.mu.Lock()
		r.data = append(r.data, buffer[:n]...)
		r.ended = err != nil
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wait waits until what has come is enough, and returns it, but leaves it there.
func (r *testimony) wait(what string, enough func(data []byte, ended bool) bool) []byte {
	r.Helper()
	patience := time.After(rig.Patience)
	for {
		r.mu.Lock()
		data, changed, done := bytes.Clone(r.data), r.changed, enough(r.data, r.ended)
		r.mu.Unlock()
		if done {
			return data
		}
		select {
		case <-changed:
		case <-patience:
			r.Fatalf("wait for %s: there is only %q", what, tail(string(data), 1000))
		}
	}
}

// take returns what has come since, which has at least n bytes and ends with the
// suffix.
func (r *testimony) take(n int, suffix string) string {
	r.Helper()
	data := r.wait(fmt.Sprintf("%d bytes", n), func(data []byte, _ bool) bool {
		return len(data) >= n && strings.HasSuffix(string(data), suffix)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = r.data[len(data):]
	return string(data)
}

// end waits for the end and returns what came before it.
func (r *testimony) end() string {
	r.Helper()
	return string(r.wait("the end", func(_ []byte, ended bool) bool { return ended }))
}

func (r *testimony) answer(text string) {
	r.Helper()
	if _, err := r.conn.Write([]byte(text)); err != nil {
		r.Fatal(err)
	}
}
