package workload

import (
	"os"
	"runtime"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/discover/proc"
)

// host is the part of the resource that all processes of the node share.
type host struct {
	boot       string // boot id; tells this boot from all others
	attributes []attribute.KeyValue
}

// readHost describes the node. What cannot be known is left out.
//
// telemetry.sdk.* names Clew and its own language, not the target's: the
// conventions reserve "opentelemetry" for the project's own SDKs, and the
// language is that of the SDK. A backend that wants to know what the target is
// written in finds process.runtime.name.
func readHost(fs proc.FS, version string) host {
	attributes := []attribute.KeyValue{
		semconv.OSTypeLinux,
		semconv.HostArchKey.String(arch(runtime.GOARCH)),
		semconv.TelemetrySDKName("clew"),
		semconv.TelemetrySDKLanguageGo,
		semconv.TelemetrySDKVersion(version),
		semconv.TelemetryDistroName("clew"),
		semconv.TelemetryDistroVersion(version),
	}
	name, id := nodeIdentity(fs)
	if name != "" {
		attributes = append(attributes, semconv.HostName(name))
	}
	if id != "" {
		attributes = append(attributes, semconv.HostID(id))
	}
	boot, _ := fs.Read("sys/kernel/random/boot_id", 64) // without it ids are still unique on this node
	return host{boot: strings.TrimSpace(string(boot)), attributes: attributes}
}

// nodeIdentity returns the node's name and machine id. In a container both
// would be the container's, so they are read as process 1 sees them when that
// lives in other namespaces.
func nodeIdentity(fs proc.FS) (name, id string) {
	name, _ = os.Hostname()
	first, err := fs.Open(1)
	if err != nil {
		return clean(name, maxValue), localMachineID()
	}
	defer first.Close()
	uts, utsErr := first.Link("ns/uts")
	own, ownErr := os.Readlink("/proc/self/ns/uts")
	if utsErr == nil && ownErr == nil && uts != own {
		if file, err := first.ReadFile("/etc/hostname", 256); err == nil && len(file) > 0 {
			name = string(file)
		}
	}
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if file, err := first.ReadFile(path, 64); err == nil {
			if id = machineID(file); id != "" {
				return clean(name, maxValue), id
			}
		}
	}
	return clean(name, maxValue), localMachineID()
}

func localMachineID() string {
	file, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return machineID(file)
}

// machineID returns the id in the file's content; see machine-id(5). A fresh
// image may hold "uninitialized" or nothing.
func machineID(file []byte) string {
	id := strings.TrimSpace(string(file))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}

// arch translates Go's name of an architecture to the conventions'.
func arch(goarch string) string {
	switch goarch {
	case "386":
		return "x86"
	case "arm":
		return "arm32"
	case "ppc64le":
		return "ppc64"
	}
	return goarch
}
