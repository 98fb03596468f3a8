package proc

import (
	"bytes"
	"slices"
	"strings"
)

// cgroupLimit allows the dozen hierarchies of v1 with deep paths each.
const cgroupLimit = 64 << 10

// Cgroups returns the distinct paths of the process's control groups, each
// below the mount of its hierarchy: the one of v2 first, then those of v1.
func (p *Process) Cgroups() ([]string, error) {
	data, err := p.Read("cgroup", cgroupLimit)
	if err != nil {
		return nil, err
	}
	return ParseCgroups(data), nil
}

// ParseCgroups reads the content of /proc/PID/cgroup, lines of the form
// "hierarchy:controllers:path" (cgroups(7)). Other lines are passed over. A
// path itself may hold colons.
func ParseCgroups(data []byte) []string {
	var paths []string
	for line := range bytes.Lines(data) {
		parts := bytes.SplitN(bytes.TrimRight(line, "\n"), []byte{':'}, 3)
		if len(parts) != 3 || len(parts[2]) == 0 || parts[2][0] != '/' {
			continue
		}
		path := strings.ToValidUTF8(strings.TrimSuffix(string(parts[2]), " (deleted)"), "\uFFFD")
		unified := string(parts[0]) == "0" && len(parts[1]) == 0
		switch {
		case unified:
			paths = slices.DeleteFunc(paths, func(p string) bool { return p == path })
			paths = slices.Insert(paths, 0, path)
		case !slices.Contains(paths, path):
			paths = append(paths, path)
		}
	}
	return paths
}

// Container returns the id of the container that these cgroups belong to, or
// "". It knows the shapes that Docker, containerd, CRI-O, Podman and Kubernetes
// make with either cgroup driver, and Amazon ECS. Of nested containers the
// innermost counts.
func Container(cgroups []string) string {
	for _, path := range cgroups {
		segments := strings.Split(path, "/")
		for _, segment := range slices.Backward(segments) {
			if id := containerOf(segment, segments); id != "" {
				return id
			}
		}
	}
	return ""
}

// idLength is the length of a container id in hexadecimal, 256 bits.
const idLength = 64

// containerOf looks for a container id at the end of one path segment:
// "<id>", "docker-<id>.scope", "cri-containerd-<id>.scope", "crio-<id>.scope",
// "libpod-<id>.scope", or "…slice:cri-containerd:<id>".
func containerOf(segment string, path []string) string {
	segment = strings.TrimSuffix(segment, ".scope")
	if len(segment) >= idLength {
		prefix, id := segment[:len(segment)-idLength], segment[len(segment)-idLength:]
		if !isHex(id) {
			return ""
		}
		// conmon watches a container from outside, in a scope named after it.
		if strings.HasSuffix(prefix, "conmon-") {
			return ""
		}
		if prefix == "" || strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, ":") {
			return id
		}
		return ""
	}
	// Fargate: /ecs/<task>/<task>-<number>.
	task, number, ok := strings.Cut(segment, "-")
	if ok && len(task) == 32 && isHex(task) && isDigits(number) && slices.Contains(path, "ecs") {
		return segment
	}
	return ""
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
