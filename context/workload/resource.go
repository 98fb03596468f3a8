package workload

import (
	"path"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/discover/program"
)

// instanceNamespace is the UUID that the semantic conventions prescribe for
// deriving service.instance.id from something inherently unique.
const instanceNamespace = "4d63009a-8d0f-11ee-aad7-4c796ed8e320"

// unknownService is the name that the specification prescribes for a service of
// which nothing is known.
const unknownService = "unknown_service"

// resource builds the resource of a process. Later attributes win over earlier
// ones, so the order says who is believed: what was observed, then what the
// target's own environment says of it, but never about the agent itself
// (telemetry.*) or what the kernel knows better (process.*, container.id).
// Arguments are not recorded: they may hold secrets.
//
// The error reports an OTEL_RESOURCE_ATTRIBUTES that had to be discarded; the
// process is complete but for those.
func (h host) resource(f *facts) (*Process, error) {
	declared, err := parseResource(f.environ[envResource])
	attributes := make([]attribute.KeyValue, 0, len(h.attributes)+len(declared)+12)
	attributes = append(attributes, h.attributes...)
	attributes = append(attributes,
		semconv.ServiceName(fallback(f.service, unknownService)),
		semconv.ServiceInstanceID(h.instance(f)),
		semconv.ProcessPID(int(f.pid)),
	)
	if f.parent != 0 {
		attributes = append(attributes, semconv.ProcessParentPID(int(f.parent)))
	}
	if f.exe != "" {
		attributes = append(attributes,
			semconv.ProcessExecutableName(path.Base(f.exe)),
			semconv.ProcessExecutablePath(f.exe))
	}
	if f.command != "" {
		attributes = append(attributes, semconv.ProcessCommand(f.command))
	}
	if runtime := f.program.Runtime; runtime != program.Native && runtime != program.Nginx {
		attributes = append(attributes, semconv.ProcessRuntimeName(runtime))
		if f.program.Version != "" {
			attributes = append(attributes, semconv.ProcessRuntimeVersion(clean(f.program.Version, maxValue)))
		}
	}
	if f.container != "" {
		attributes = append(attributes, semconv.ContainerID(f.container))
	}
	for _, one := range declared {
		if !reserved(one.Key) && (one.Key != semconv.ServiceNameKey || one.Value.AsString() != "") {
			attributes = append(attributes, one)
		}
	}
	if name := clean(f.environ[envServiceName], maxName); name != "" {
		attributes = append(attributes, semconv.ServiceName(name))
	}
	set := attribute.NewSet(attributes...)
	service, _ := set.Value(semconv.ServiceNameKey)
	return &Process{
		PID:        f.pid,
		Service:    service.AsString(),
		Attributes: set.ToSlice(),
		Exe:        f.exe,
		Runtime:    f.program.Runtime,
		Container:  f.container,
	}, err
}

// reserved are the attributes that an environment cannot set.
func reserved(key attribute.Key) bool {
	return strings.HasPrefix(string(key), "telemetry.") ||
		strings.HasPrefix(string(key), "process.") ||
		key == semconv.ContainerIDKey
}

// instance derives an id that a process keeps for life, over restarts of the
// agent, and shares with no other: boot, pid and start time.
func (h host) instance(f *facts) string {
	unique := h.boot + "/" + strconv.FormatUint(uint64(f.pid), 10) + "/" + strconv.FormatUint(f.started, 10)
	return uuid.NewSHA1(uuid.MustParse(instanceNamespace), []byte(unique)).String()
}
