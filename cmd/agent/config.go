package main

import (
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/export"
	"github.com/clewtrace/clew/probes"
	"github.com/clewtrace/clew/probes/discover"
	"github.com/clewtrace/clew/probes/protocol"
)

// config is everything that the environment can say about a run. Flags say how
// this one run looks (see main.go), variables say what the agent does.
type config struct {
	disabled bool          // OTEL_SDK_DISABLED
	logLevel zapcore.Level // OTEL_LOG_LEVEL

	hooks           string              // CLEW_HOOKS; "" takes the first family that attaches
	rules           discover.Rules      // CLEW_TARGETS
	propagation     probes.Propagation  // CLEW_PROPAGATION, CLEW_TCP_OPTION_PEERS, OTEL_PROPAGATORS
	sampler         traceparent.Sampler // OTEL_TRACES_SAMPLER and _ARG
	tracesPerSecond float64             // CLEW_TRACES_PER_SECOND; 0 is unlimited
	keepErrors      bool                // CLEW_KEEP_ERRORS
	keepSlow        time.Duration       // CLEW_KEEP_SLOW; 0 keeps none for being slow
	captureHeaders  []string            // CLEW_CAPTURE_HEADERS, lower case
	statement       protocol.Statement  // CLEW_DB_STATEMENT

	exporter string          // OTEL_TRACES_EXPORTER: otlp, console or none
	endpoint string          // where otlp goes, for people to read
	json     bool            // -o json: the console is for programs
	batching export.Batching // OTEL_BSP_*

	metricsAddr string // CLEW_METRICS_ADDR; "" is off
	memoryLimit int64  // CLEW_MEMORY_LIMIT in bytes

	remarks []string // what was asked for and is not done, and why
}

// The three exporters.
const (
	exporterOTLP    = "otlp"
	exporterConsole = "console"
	exporterNone    = "none"
)

// defaults is the configuration of an empty environment: OpenTelemetry's
// defaults where it has one.
func defaults() config {
	return config{
		logLevel:    zapcore.InfoLevel,
		keepErrors:  true,
		keepSlow:    time.Second,
		exporter:    exporterConsole,
		endpoint:    "http://localhost:4317",
		memoryLimit: 256 << 20,
		propagation: probes.Propagation{
			Rungs:   probes.RungLocal | probes.RungHeaders | probes.RungTCP,
			Peers:   privatePeers,
			Formats: traceparent.TraceContext,
		},
	}
}
