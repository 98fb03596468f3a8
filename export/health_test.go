package export

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func startHealth(t *testing.T, s HealthSources) *Health {
	t.Helper()
	h, err := NewHealth("0", zap.NewNop(), s)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

func get(t *testing.T, h *Health, path string) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + h.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestHealthMetrics(t *testing.T) {
	n := uint64(3)
	h := startHealth(t, HealthSources{
		Counts: map[string]CountSource{
			"assemble": func(report func(outcome, reason string, n uint64)) {
				report("seen", "", 10)
				report("kept", "", 7)
				report("dropped", "queue_full", n)
				report("dropped", "queue_full", 1) // once more, as two rings would
				report("dropped", "bad \"reason\"\n", 2)
			},
			"export-OTLP": func(report func(outcome, reason string, n uint64)) { report("seen", "", 1) },
		},
		Values: []ValueSource{
			func(report func(name, help string, labels map[string]string, value float64)) {
				report("clew_ring_fill_ratio", "Used part of the ring.", map[string]string{"ring": "0", "cpu": "1"}, 0.25)
				report("clew_bpf_run_seconds_total", "CPU time of a program.", map[string]string{"program": "on_send"}, 1.5)
			},
		},
	})
	status, body := get(t, h, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	for _, line := range []string{
		`# TYPE clew_assemble_dropped_total counter`,
		`clew_assemble_seen_total{reason=""} 10`,
		`clew_assemble_kept_total{reason=""} 7`,
		`clew_assemble_dropped_total{reason="queue_full"} 4`,
		`clew_assemble_dropped_total{reason="bad \"reason\"\n"} 2`,
		`clew_export_otlp_seen_total{reason=""} 1`,
		`# TYPE clew_ring_fill_ratio gauge`,
		`clew_ring_fill_ratio{cpu="1",ring="0"} 0.25`,
		`# TYPE clew_bpf_run_seconds_total counter`,
		`clew_bpf_run_seconds_total{program="on_send"} 1.5`,
		`# TYPE process_cpu_seconds_total counter`,
		`# TYPE process_resident_memory_bytes gauge`,
		`# TYPE go_goroutines gauge`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	n = 5
	if _, body = get(t, h, "/metrics"); !strings.Contains(body, `{reason="queue_full"} 6`+"\n") {
		t.Error("the second scrape did not ask the source again")
	}
}

func TestHealthBadSourceHarmsOnlyItself(t *testing.T) {
	h := startHealth(t, HealthSources{Values: []ValueSource{
		func(report func(name, help string, labels map[string]string, value float64)) {
			report("not a name", "", nil, 1)
			report("clew_good", "Good.", nil, 2)
			report("clew_twice", "", nil, 1)
			report("clew_twice", "", nil, 1)
			report("clew_text", "Text.", map[string]string{"label": "\xff"}, 3)
		},
	}})
	status, body := get(t, h, "/metrics")
	if status != http.StatusOK || !strings.Contains(body, "clew_good 2\n") || !strings.Contains(body, "clew_text{label=\"\uFFFD\"} 3\n") {
		t.Errorf("status %d:\n%s", status, body)
	}
}

func TestHealthReadiness(t *testing.T) {
	hooks, exporter := errors.New("no family of hooks attaches"), errors.New("backend has not answered yet")
	h := startHealth(t, HealthSources{Ready: map[string]func() error{
		"probes": func() error { return hooks },
		"export": func() error { return exporter },
	}})
	check := func(wantStatus int, wantBody string) {
		t.Helper()
		if status, body := get(t, h, "/readyz"); status != wantStatus || body != wantBody {
			t.Errorf("got %d %q, want %d %q", status, body, wantStatus, wantBody)
		}
		if status, body := get(t, h, "/healthz"); status != http.StatusOK || body != "ok\n" {
			t.Errorf("alive, but /healthz says %d %q", status, body)
		}
	}
	check(503, "export: backend has not answered yet\nprobes: no family of hooks attaches\n")
	hooks = nil
	check(503, "export: backend has not answered yet\n")
	exporter = nil
	check(200, "ready\n")
}

func TestHealthProfiles(t *testing.T) {
	h := startHealth(t, HealthSources{})
	for path, want := range map[string]string{
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/cmdline":           "export",
	} {
		if status, body := get(t, h, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, no %q in %q", path, status, want, body)
		}
	}
	for client, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200, "192.0.2.1:1": 403, "nonsense": 403,
	} {
		request := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
		request.RemoteAddr = client
		answer := httptest.NewRecorder()
		h.server.Handler.ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("profile for %s: status %d, want %d", client, answer.Code, want)
		}
	}
}

func TestHealthAddress(t *testing.T) {
	for addr, want := range map[string]string{
		":9090":          "127.0.0.1:9090",
		"9090":           "127.0.0.1:9090",
		"0.0.0.0:9090":   "0.0.0.0:9090",
		"[::]:9090":      "[::]:9090",
		"localhost:9090": "localhost:9090",
		"":               "", "host": "", "host:http": "", ":70000": "", "1.2.3.4": "", "a:b:1": "", ":-1": "",
	} {
		got, err := healthAddress(addr)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", addr, got, err, want)
		}
	}
}

func TestHealthPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = NewHealth(taken.Addr().String(), zap.NewNop(), HealthSources{})
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v, want the address and that it is in use", err)
	}
}

func TestHealthCloseLetsRequestsFinish(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h, err := NewHealth("0", zap.NewNop(), HealthSources{Ready: map[string]func() error{
		"slow": func() error { close(entered); <-release; return nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background()) }()
	status := make(chan int, 1)
	go func() {
		response, err := http.Get("http://" + h.Addr() + "/readyz")
		if err != nil {
			status <- 0
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- h.Close(context.Background()) }()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	close(release)
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := <-status; got != http.StatusOK {
		t.Errorf("the request in flight got status %d", got)
	}
}

func TestHealthRunEndsWithContext(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	h, err := NewHealth("0", zap.New(core), HealthSources{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if logs.Len() != 0 {
		t.Errorf("logged without need: %v", logs.All())
	}
}
