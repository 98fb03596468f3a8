// Package workload answers who a process is: the OpenTelemetry resource of a
// pid, read from /proc, and kept a while after the process is gone.
package workload

import "go.opentelemetry.io/otel/attribute"

// Process is who a watched process is. It is immutable: exec makes a new one.
type Process struct {
	PID     uint32
	Service string // service.name
	// Attributes is the whole resource, service.name included, sorted by key.
	Attributes []attribute.KeyValue
	// Exe, Runtime and Container repeat three of them for people: the
	// executable's path, "go", "nodejs", "cpython", … and the container id.
	Exe, Runtime, Container string
}
