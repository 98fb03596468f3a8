package discover

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChooseCgroup(t *testing.T) {
	for _, test := range []struct {
		rules, cgroup string
		want          bool
	}{
		{"cgroup=/a", "/a", true},
		{"cgroup=/a,!exe=wrk", "/a", true},
		{"cgroup=/a/**,!cgroup=/a/b", "/a/b", false},
		{"cgroup=/a", "/b", false},
		{"exe=nginx", "/a", false},
		{"!cgroup=/a", "/b", false},
		{"", "/a", false},
	} {
		rules, err := ParseRules(test.rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules.ChooseCgroup(Facts{Cgroups: []string{test.cgroup}}); got != test.want {
			t.Errorf("%q in %s: got %v", test.rules, test.cgroup, got)
		}
	}
}

func TestCgroupID(t *testing.T) {
	root, err := CgroupID("/")
	if err != nil {
		t.Skipf("no cgroup2 here: %v", err)
	}
	if root == 0 {
		t.Error("the root has the number 0")
	}
	if id, err := CgroupID("/no-such-cgroup-" + t.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a cgroup that is not there: %d, %v", id, err)
	}
}

func TestCgroupRoot(t *testing.T) {
	mount := t.TempDir()
	group := func(path, processes string) {
		t.Helper()
		dir := filepath.Join(mount, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(processes), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	group("/", "1\n")
	group("/pods/a/agent", "7\n42\n")
	group("/pods/a/agent/below", "43\n")
	group("/pods/b/other", "421\n")
	for _, test := range []struct {
		name, own string
		pid       int
		want      string // below the mount; "-": an error
	}{
		{"no namespace", "0::/pods/a/agent\n", 42, ""},
		{"one whose root is the own group", "12:cpu:/x\n0::/\n", 42, "/pods/a/agent"},
		{"one whose root is above it", "0::/below\n", 43, "/pods/a/agent"},
		{"a part of another number", "0::/\n", 421, "/pods/b/other"},
		{"not below the mount", "0::/\n", 2, "-"},
		{"version 1 only", "12:cpu:/x\n", 42, "-"},
	} {
		got, err := cgroupRoot(mount, test.own, test.pid)
		if (err != nil) != (test.want == "-") || err == nil && got != mount+test.want {
			t.Errorf("%s: got %q, %v; want %q below the mount", test.name, strings.TrimPrefix(got, mount), err, test.want)
		}
	}
}

// The kernel's own: wherever the test runs, its cgroup is below what was found.
func TestCgroupRootHere(t *testing.T) {
	root, err := CgroupRoot()
	if err != nil {
		t.Skipf("no cgroup2 to be found here: %v", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, path, _ := strings.Cut(string(own), "0::")
	path, _, _ = strings.Cut(path, "\n")
	if !holds(filepath.Join(root, path), os.Getpid()) {
		t.Errorf("%s%s does not hold this process", root, path)
	}
}
