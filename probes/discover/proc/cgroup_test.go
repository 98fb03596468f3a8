package proc

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	idA = "3f4f5e6d7c8b9a00112233445566778899aabbccddeeff00112233445566aabb"
	idB = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
	pod = "2b3c9a1e-5f0d-4c1b-9e56-8d1f5a7b6c4d"
)

func TestContainer(t *testing.T) {
	underscored := strings.ReplaceAll(pod, "-", "_")
	for name, test := range map[string]struct{ cgroup, want string }{
		"not in a container":           {"0::/system.slice/nginx.service\n", ""},
		"user session":                 {"0::/user.slice/user-1000.slice/session-4.scope\n", ""},
		"root":                         {"0::/\n", ""},
		"docker, cgroupfs, v1":         {"12:memory:/docker/" + idA + "\n1:name=systemd:/docker/" + idA + "\n0::/\n", idA},
		"docker, cgroupfs, v2":         {"0::/docker/" + idA + "\n", idA},
		"docker, systemd":              {"0::/system.slice/docker-" + idA + ".scope\n", idA},
		"docker, a unit inside":        {"0::/system.slice/docker-" + idA + ".scope/system.slice/nginx.service\n", idA},
		"docker in docker":             {"0::/docker/" + idA + "/docker/" + idB + "\n", idB},
		"kind":                         {"0::/docker/" + idA + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + underscored + ".slice/cri-containerd-" + idB + ".scope\n", idB},
		"kubernetes, cgroupfs, v1":     {"11:cpu,cpuacct:/kubepods/burstable/pod" + pod + "/" + idA + "\n", idA},
		"kubernetes, cgroupfs, v2":     {"0::/kubepods/besteffort/pod" + pod + "/" + idA + "\n", idA},
		"kubernetes, systemd":          {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + underscored + ".slice/cri-containerd-" + idA + ".scope\n", idA},
		"kubernetes, cri-o":            {"0::/kubepods.slice/kubepods-pod" + underscored + ".slice/crio-" + idA + ".scope/container\n", idA},
		"kubernetes, docker":           {"4:devices:/kubepods.slice/kubepods-pod" + underscored + ".slice/docker-" + idA + ".scope\n", idA},
		"containerd, wrong driver":     {"1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod" + underscored + ".slice:cri-containerd:" + idA + "\n", idA},
		"cri-o's monitor":              {"0::/kubepods.slice/kubepods-pod" + underscored + ".slice/crio-conmon-" + idA + ".scope\n", ""},
		"podman":                       {"0::/machine.slice/libpod-" + idA + ".scope/container\n", idA},
		"podman, rootless":             {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container\n", idA},
		"podman, cgroupfs":             {"9:pids:/libpod_parent/libpod-" + idA + "\n", idA},
		"podman's monitor":             {"0::/machine.slice/libpod-conmon-" + idA + ".scope\n", ""},
		"nerdctl":                      {"0::/system.slice/nerdctl-" + idA + ".scope\n", idA},
		"containerd, plain":            {"0::/default/" + idA + "\n", idA},
		"seen from a private cgroupns": {"0::/../cri-containerd-" + idA + ".scope\n", idA},
		"ecs":                          {"9:perf_event:/ecs/prod/0123456789abcdef0123456789abcdef/" + idA + "\n", idA},
		"fargate":                      {"9:cpu:/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890\n", "0123456789abcdef0123456789abcdef-1234567890"},
		"same shape, not ecs":          {"9:cpu:/x/0123456789abcdef0123456789abcdef-1234567890\n", ""},
		"v1 with one that knows":       {"3:cpuset:/\n2:freezer:/\n1:name=systemd:/docker/" + idA + "\n", idA},
		"63 digits":                    {"0::/docker/" + idA[1:] + "\n", ""},
		"65 digits":                    {"0::/docker/0" + idA + "\n", ""},
		"capitals":                     {"0::/docker/" + strings.ToUpper(idA) + "\n", ""},
		"deleted":                      {"0::/docker/" + idA + " (deleted)\n", idA},
	} {
		if got := Container(ParseCgroups([]byte(test.cgroup))); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestParseCgroups(t *testing.T) {
	got := ParseCgroups([]byte("9:name=systemd:/a\n8:pids:/a\n7:cpu:/b:c\njunk\n6:x\n5:y:relative\n0::/a\n"))
	if want := []string{"/a", "/b:c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = ParseCgroups([]byte("9:cpu:/v1\n0::/v2")) // no newline at the end either
	if want := []string{"/v2", "/v1"}; !slices.Equal(got, want) {
		t.Errorf("unified hierarchy must come first: got %q, want %q", got, want)
	}
}

func FuzzParseCgroups(f *testing.F) {
	f.Add([]byte("0::/docker/" + idA + "\n"))
	f.Add([]byte("12:memory:/a:b\n\n:::\n0::\n"))
	f.Add([]byte("9:cpu:/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1\n"))
	f.Add([]byte("0::/\xff\xfe"))
	f.Fuzz(func(t *testing.T, data []byte) {
		paths := ParseCgroups(data)
		for _, path := range paths {
			if path[0] != '/' || !utf8.ValidString(path) {
				t.Errorf("path %q of %q", path, data)
			}
		}
		if id := Container(paths); id != "" && len(id) != idLength && !strings.Contains(id, "-") {
			t.Errorf("container id %q of %q", id, data)
		}
	})
}
