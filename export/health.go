package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// HealthSources are what the health server tells about.
type HealthSources struct {
	Counts map[string]CountSource // by stage, such as "assemble"
	Values []ValueSource
	// Ready holds the conditions of readiness by name. Each returns nil or a
	// reason that a person understands.
	Ready map[string]func() error
}

// Health serves the agent's own metrics and state over HTTP:
//
//	/metrics       in the Prometheus text format
//	/healthz       200 as long as the agent answers at all
//	/readyz        200, or 503 with the reasons, one a line
//	/debug/pprof/  profiles of the agent, to clients on this host only
type Health struct {
	log      *zap.Logger
	listener net.Listener
	server   *http.Server
}

// NewHealth listens on addr, which is "host:port", ":port" or "port". Without a
// host it is reachable from this host only; 0.0.0.0 or [::] open it to others.
func NewHealth(addr string, log *zap.Logger, s HealthSources) (*Health, error) {
	addr, err := healthAddress(addr)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve metrics and health on %s: %w", addr, err)
	}
	h := &Health{log: log, listener: listener}
	h.server = &http.Server{
		Handler: h.routes(s),
		// A profile takes as long as was asked for, so writing has no limit.
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          zap.NewStdLog(log),
	}
	return h, nil
}

// healthAddress completes and checks the address to listen on.
func healthAddress(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = "", addr
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("address %q for metrics and health is not host:port, :port or port", addr)
	} else {
		port = strconv.FormatUint(n, 10)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

func (h *Health) routes(s HealthSources) http.Handler {
	registry := newRegistry(&sources{counts: s.Counts, values: s.Values})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		// A source that reports nonsense takes only its own metrics with it.
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            zap.NewStdLog(h.log),
		MaxRequestsInFlight: 4,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reasons := notReady(s.Ready); reasons != "" {
			answer(w, http.StatusServiceUnavailable, reasons)
			return
		}
		answer(w, http.StatusOK, "ready\n")
	})
	mux.Handle("/debug/pprof/", fromThisHost(pprof.Index))
	mux.Handle("/debug/pprof/cmdline", fromThisHost(pprof.Cmdline))
	mux.Handle("/debug/pprof/profile", fromThisHost(pprof.Profile))
	mux.Handle("/debug/pprof/symbol", fromThisHost(pprof.Symbol))
	mux.Handle("/debug/pprof/trace", fromThisHost(pprof.Trace))
	return mux
}

// notReady lists what is missing, one condition a line; empty when ready.
func notReady(conditions map[string]func() error) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		if err := conditions[name](); err != nil {
			fmt.Fprintf(&b, "%s: %v\n", name, err)
		}
	}
	return b.String()
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprint(w, body) // an error means that the client has gone away
}

// fromThisHost keeps profiles, which cost CPU time and show the command line,
// from clients elsewhere when the metrics are open to them.
func fromThisHost(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !client.Addr().Unmap().IsLoopback() {
			answer(w, http.StatusForbidden, "profiles are served to loopback clients only\n")
			return
		}
		next(w, r)
	})
}

// Addr is where the server listens, with the port that the kernel chose if it
// was to choose one.
func (h *Health) Addr() string { return h.listener.Addr().String() }

// Run serves until Close is called or ctx ends.
func (h *Health) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { h.server.Close() })
	defer stop()
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics and health: %w", err)
	}
	return nil
}

// Close stops the server, letting requests that are being answered finish until
// ctx ends.
func (h *Health) Close(ctx context.Context) error {
	defer h.listener.Close() // Run may never have been called
	if err := h.server.Shutdown(ctx); err != nil {
		h.server.Close()
		return fmt.Errorf("stop metrics and health server: %w", err)
	}
	return nil
}
