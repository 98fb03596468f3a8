package test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// confusable is what databases, caches and brokers are told or say, in places
// where it is only somebody's text.
var confusable = map[string]string{
	"SQL":                "SELECT * FROM users WHERE name = 'x'; DROP TABLE users; --",
	"RESP":               "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
	"RESP inline":        "SET k v\r\nGET k\r\n",
	"RESP answer":        "*2\r\n$3\r\nfoo\r\n:7\r\n",
	"memcached":          "set k 0 0 5\r\nhello\r\nget k\r\n",
	"memcached meta":     "mg k v\r\n",
	"memcached binary":   "\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00k",
	"NATS":               "PUB subject 5\r\nhello\r\n",
	"AMQP greeting":      "AMQP\x00\x00\x09\x01",
	"AMQP heartbeat":     "\x08\x00\x00\x00\x00\x00\x00\xce",
	"PostgreSQL startup": "\x00\x00\x00\x25\x00\x03\x00\x00user\x00postgres\x00database\x00db\x00\x00\x00",
	"PostgreSQL query":   "Q\x00\x00\x00\x0dSELECT 1\x00",
	"MySQL query":        "\x09\x00\x00\x00\x03SELECT 1",
	"MongoDB":            "\x26\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x11\x00\x00\x00\x10ping\x00\x01\x00\x00\x00\x00",
	"Kafka":              "\x00\x00\x00\x12\x00\x12\x00\x00\x00\x00\x00\x01\x00\x08clientid",
}

// TestConfusable sends what looks like other protocols in the bodies of HTTP
// requests, alone in a turn of their own, then TLS and noise: only HTTP may become
// spans.
func TestConfusable(t *testing.T) {
	s := newStage(t)
	s.watch()
	server := s.serve("go", programs.Config{})
	curl := func(arguments ...string) {
		t.Helper()
		if output, err := s.run("curl", append([]string{"-sS", "--fail", "--max-time", "60", "-o", os.DevNull}, arguments...)...); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	}
	for name, body := range confusable {
		file := filepath.Join(s.scene.Dir, "body")
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		id := "id=" + fmt.Sprintf("%x", name)
		curl("--data-binary", "@"+file, server.URL+"/?"+id)
		// The body waits for the server's word, and so is the client's next turn.
		curl("-H", "Expect: 100-continue", "--data-binary", "@"+file, server.URL+"/?"+id)
	}
	curl("--insecure", tlsServer(s))
	noisy := noiseServer(t)
	if output, err := s.runWith([]string{"ADDRESS=" + noisy}, "/usr/bin/python3", filepath.Join(clientsDirectory(t), "python", "noise.py")); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	spans := s.settle()
	for name := range confusable {
		for _, kind := range []string{"client", "server"} {
			if found := spans.Where(rig.Request(fmt.Sprintf("%x", name)), rig.Kind(kind)); len(found) != 2 {
				t.Errorf("%s: got %d %s spans of HTTP, want 2", name, len(found), kind)
			}
		}
	}
	for _, span := range spans {
		if span.Attributes["http.request.method"] == "" {
			t.Errorf("there was nothing but HTTP: %v", span)
		}
	}
}

// runWith is run with additions to the environment.
func (s *stage) runWith(env []string, path string, args ...string) (string, error) {
	s.Helper()
	process, err := s.scene.Start(rig.Command{Name: filepath.Base(path), Path: path, Args: args, Env: env})
	if err != nil {
		s.Fatal(err)
	}
	err = process.Wait()
	return process.Output(), err
}

// tlsServer runs a watched server that speaks TLS and returns its URL.
func tlsServer(s *stage) string {
	s.Helper()
	key, certificate := filepath.Join(s.scene.Dir, "key.pem"), filepath.Join(s.scene.Dir, "certificate.pem")
	if output, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate).CombinedOutput(); err != nil {
		s.Fatalf("make a certificate: %v\n%s", err, output)
	}
	port, err := rig.FreePort()
	if err != nil {
		s.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	process, err := s.scene.Start(rig.Command{
		Name: "openssl", Path: "openssl", Args: []string{"s_server", "-quiet", "-www", "-accept", address, "-key", key, "-cert", certificate},
	})
	if err != nil {
		s.Fatal(err)
	}
	if err := rig.Listening(s.Context(), process, "tcp", address); err != nil {
		s.Fatal(err)
	}
	return "https://" + address + "/"
}

// noiseServer answers noise with noise, unwatched, and returns its address.
func noiseServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	source := rand.NewChaCha8([32]byte{2})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			heard := make([]byte, 1<<16)
			for {
				if _, err := conn.Read(heard); err != nil {
					break
				}
				var size [2]byte
				_, _ = source.Read(size[:]) // never fails, by its documentation
				answer := make([]byte, 1+binary.BigEndian.Uint16(size[:])%5000)
				_, _ = source.Read(answer)
				if _, err := conn.Write(answer); err != nil {
					break
				}
			}
			conn.Close()
		}
	}()
	return listener.Addr().String()
}
