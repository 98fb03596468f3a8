package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// running is an agent at work.
type running struct {
	*exec.Cmd
	health         string // URL
	stdout, stderr output
}

// output collects what a running program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs an agent that watches this test and waits until it is ready, or
// only until its hooks are attached when the backend can't be.
func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	if err := environment(); err != nil {
		t.Skip(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r := &running{Cmd: exec.Command(binary, args...), health: "http://" + address}
	r.Env = append([]string{fmt.Sprintf("CLEW_TARGETS=pid=%d", os.Getpid()), "CLEW_METRICS_ADDR=" + address}, environ...)
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.ProcessState == nil {
			_ = r.Process.Kill()
			_ = r.Wait() // killed
		}
	})
	r.await(t, "the hooks", func() bool {
		status, body := r.get("/readyz")
		return status == http.StatusOK || status != 0 && !strings.Contains(body, "probes")
	})
	return r
}

// await polls until something holds; a minute is more than a slow machine needs.
func (r *running) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no sign of %s", what)
		}
	}
}

// get asks the agent's own server; the status is 0 when it does not answer.
func (r *running) get(path string) (int, string) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(r.health + path)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(body)
}

// request makes one request from this test to itself.
func request(t *testing.T, path string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	defer server.Close()
	response, err := server.Client().Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDrain: what was seen just before SIGTERM is still printed, and the end is
// a success.
func TestDrain(t *testing.T) {
	r := start(t, nil, "-o", "json")
	request(t, "/last-words")
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); err != nil {
		t.Errorf("ends with %v, want exit code 0; it said:\n%s", err, r.stderr.String())
	}
	if first, _, _ := strings.Cut(r.stderr.String(), "\n"); !strings.Contains(first, "hooks; traces go to the console") {
		t.Errorf("begins with %q", first)
	}
	kinds := make(map[string]bool)
	for scanner := bufio.NewScanner(strings.NewReader(r.stdout.String())); scanner.Scan(); {
		var span struct {
			Kind       string
			Attributes map[string]any
		}
		if err := json.Unmarshal(scanner.Bytes(), &span); err != nil {
			t.Fatalf("%v: %s", err, scanner.Text())
		}
		url := fmt.Sprint(span.Attributes["url.full"], span.Attributes["url.path"])
		kinds[span.Kind] = kinds[span.Kind] || strings.Contains(url, "/last-words")
	}
	if !kinds["client"] || !kinds["server"] {
		t.Errorf("spans of the last request: %v", kinds)
	}
}

// TestOwnMetrics: every stage reports, and the numbers of neighbours agree.
func TestOwnMetrics(t *testing.T) {
	r := start(t, []string{"OTEL_TRACES_EXPORTER=none"})
	request(t, "/counted")
	var metrics string
	r.await(t, "the request in the metrics", func() bool {
		_, metrics = r.get("/metrics")
		return strings.Contains(metrics, "\nclew_export_dropped_total{reason=\"exporter_none\"} ") &&
			!strings.Contains(metrics, "\nclew_export_dropped_total{reason=\"exporter_none\"} 0\n")
	})
	for _, stage := range []string{"probes", "protocol", "assemble", "workload", "export"} {
		if !strings.Contains(metrics, "\nclew_"+stage+"_seen_total{") {
			t.Errorf("stage %s reports nothing", stage)
		}
	}
	if !strings.Contains(metrics, `clew_build_info{version="v1.2.3-test"} 1`) {
		t.Error("no version in the metrics")
	}
	if status, _ := r.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz says %d", status)
	}
}

// silence is a backend that takes connections and never answers.
func silence(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listener.Addr().String()
}

// TestSecondSignal: a drain that hangs on its backend can be cut short.
func TestSecondSignal(t *testing.T) {
	r := start(t, []string{silence(t), "OTEL_LOG_LEVEL=debug", "OTEL_BSP_EXPORT_TIMEOUT=60000", "OTEL_EXPORTER_OTLP_TIMEOUT=60000"})
	if status, reason := r.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(reason, "export: ") {
		t.Errorf("/readyz says %d %q of a backend that accepts nothing", status, reason)
	}
	request(t, "/never-sent")
	r.await(t, "the spans in the queue", func() bool {
		_, metrics := r.get("/metrics")
		return strings.Contains(metrics, "\nclew_export_seen_total{") && !strings.Contains(metrics, "\nclew_export_seen_total{reason=\"\"} 0\n")
	})
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.await(t, "the drain", func() bool { return strings.Contains(r.stderr.String(), "draining") })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Wait() // how it ended is looked at below
	}()
	// The first signal's handler goes at about the same time, so insist.
	for over := false; !over; {
		_ = r.Process.Signal(syscall.SIGTERM) // gone, as it should
		select {
		case <-ended:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	if status, ok := r.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ends with %v, want death by the second SIGTERM", r.ProcessState)
	}
}

// TestBackendAway: being told to stop while the backend is away loses spans,
// says so, and is no failure.
func TestBackendAway(t *testing.T) {
	r := start(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_EXPORT_TIMEOUT=500"})
	request(t, "/lost")
	if err := r.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); err != nil {
		t.Errorf("ends with %v, want exit code 0; it said:\n%s", err, r.stderr.String())
	}
	if !strings.Contains(r.stderr.String(), "backend does not accept traces") && !strings.Contains(r.stderr.String(), "not sent") {
		t.Errorf("lost spans silently; it said:\n%s", r.stderr.String())
	}
}

// TestAddressInUse: a metrics address that is taken is told before anything is
// traced.
func TestAddressInUse(t *testing.T) {
	if err := environment(); err != nil {
		t.Skip(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := clew(t, nil, []string{"CLEW_METRICS_ADDR=" + listener.Addr().String(), "CLEW_TARGETS=pid=1"})
	if got.code != 1 || !strings.Contains(got.stderr, "address already in use") {
		t.Errorf("exit code %d, complains %q", got.code, got.stderr)
	}
}
