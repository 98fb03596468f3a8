package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/probes/discover"
	"github.com/clewtrace/clew/probes/protocol"
)

// variables is the table of all variables, in the order in which help and the
// documents show them.
func variables() []variable {
	return slices.Concat(clewVariables(), standardVariables(), otlpVariables())
}

func clewVariables() []variable {
	return []variable{
		{"CLEW_TARGETS", "everything but the agent", "which processes are traced: exe=GLOB, port=N[-M], pid=N, cgroup=GLOB, container=GLOB, comma-separated; a leading ! excludes",
			func(c *config, v string) (err error) { c.rules, err = discover.ParseRules(v); return err }},
		{"CLEW_HOOKS", "the first that attaches", "family of kernel hooks: tracepoint, fentry, kprobe",
			func(c *config, v string) error { return oneOf(&c.hooks, v, "tracepoint", "fentry", "kprobe") }},
		{"CLEW_PROPAGATION", "local,headers,tcp", "how a trace crosses from one program to the next: local, headers, tcp, or none; headers! or tcp! uses it though its self-test fails; then for some processes, each after a semicolon, RULES -> RUNGS, with rules as of CLEW_TARGETS",
			setPropagation},
		{"CLEW_TCP_OPTION_PEERS", "private addresses", "hosts that tcp sends to and takes from: ranges such as 10.0.0.0/8 and addresses, comma-separated; or none",
			setPeers},
		{"CLEW_TRACES_PER_SECOND", "unlimited", "budget of new traces for this node",
			func(c *config, v string) error { return number(&c.tracesPerSecond, v, 0.001, 1e6) }},
		{"CLEW_KEEP_ERRORS", "true", "keep requests that end in an error although they are not sampled",
			func(c *config, v string) error { return boolean(&c.keepErrors, v) }},
		{"CLEW_KEEP_SLOW", "1s", "keep requests slower than this although they are not sampled; 0 keeps none",
			func(c *config, v string) error { return duration(&c.keepSlow, v) }},
		{"CLEW_CAPTURE_HEADERS", "none", "names of HTTP headers to record, comma-separated; those that carry secrets are refused",
			setHeaders},
		{"CLEW_DB_STATEMENT", "sanitized", "what is recorded of the text of database queries: sanitized (no values), off, raw (all of it: it may hold what users typed)",
			setStatement},
		{"CLEW_METRICS_ADDR", "off", "where own metrics, health and profiles are served, such as 127.0.0.1:9464; no host means loopback",
			setMetricsAddr},
		{"CLEW_MEMORY_LIMIT", "256MiB", "soft limit of the agent's heap",
			func(c *config, v string) error { return size(&c.memoryLimit, v) }},
	}
}

func standardVariables() []variable {
	return []variable{
		{"OTEL_TRACES_EXPORTER", "otlp when an endpoint is set, else console", "otlp, console, none",
			func(c *config, v string) error {
				return oneOf(&c.exporter, v, exporterOTLP, exporterConsole, exporterNone)
			}},
		{"OTEL_TRACES_SAMPLER", "parentbased_always_on", "always_on, always_off, traceidratio, or one of them after parentbased_", nil},
		{"OTEL_TRACES_SAMPLER_ARG", "1", "ratio of the traces kept, 0 to 1, for traceidratio", nil},
		{"OTEL_BSP_SCHEDULE_DELAY", "1000", "longest wait for a full batch, in milliseconds", nil},
		{"OTEL_BSP_EXPORT_TIMEOUT", "30000", "longest time for one export with its retries, in milliseconds", nil},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "16384", "spans that may wait; more are dropped and counted", nil},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", "spans in one export", nil},
		{"OTEL_PROPAGATORS", "tracecontext", "headers in which context is read: tracecontext, b3, b3multi, or none (baggage is allowed and passes untouched)",
			setPropagators},
		{"OTEL_LOG_LEVEL", "info", "error, warn, info, debug",
			setLogLevel},
		{"OTEL_SDK_DISABLED", "false", "true traces nothing and waits for a signal",
			func(c *config, v string) error { return boolean(&c.disabled, v) }},
	}
}

// otlpVariables are read by the OTLP client. Each has a twin for traces only,
// OTEL_EXPORTER_OTLP_TRACES_*, which wins.
func otlpVariables() []variable {
	return []variable{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317", "URL of the OTLP/gRPC receiver; https means TLS", nil},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "grpc", nil},
		{"OTEL_EXPORTER_OTLP_HEADERS", "none", "metadata for the receiver: name=value, comma-separated", nil},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "none", "gzip, none", nil},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "longest time for one call, in milliseconds", nil},
		{"OTEL_EXPORTER_OTLP_INSECURE", "false", "true means no TLS where the endpoint names no scheme", nil},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "the system's", "file of the certificates that are trusted", nil},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "none", "file of the agent's own certificate", nil},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY", "none", "file of the agent's own key", nil},
	}
}

// secretHeaders are never recorded, whoever asks.
var secretHeaders = []string{"authorization", "proxy-authorization", "cookie", "set-cookie"}

func setHeaders(c *config, value string) error {
	for _, name := range list(value) {
		name = strings.ToLower(name)
		if strings.Trim(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") != "" {
			return fmt.Errorf("%q is not a header name", name)
		}
		if slices.Contains(secretHeaders, name) {
			return fmt.Errorf("%s carries a secret and is never recorded", name)
		}
		c.captureHeaders = append(c.captureHeaders, name)
	}
	return nil
}

func setStatement(c *config, value string) error {
	var name string
	err := oneOf(&name, value, "sanitized", "off", "raw")
	switch name {
	case "off":
		c.statement = protocol.StatementOff
	case "raw":
		c.statement = protocol.StatementRaw
	}
	return err
}

// setMetricsAddr puts an address without a host on loopback: profiles and
// metrics are shown to the network only by somebody who says so.
func setMetricsAddr(c *config, value string) error {
	if !strings.Contains(value, ":") {
		value = ":" + value
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return fmt.Errorf("%q is not host:port", value)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%q is not an IP address", host)
	}
	c.metricsAddr = net.JoinHostPort(host, port)
	return nil
}

func setLogLevel(c *config, value string) error {
	var level string
	if err := oneOf(&level, strings.ToLower(value), "error", "warn", "info", "debug"); err != nil {
		return err
	}
	return c.logLevel.Set(level)
}
