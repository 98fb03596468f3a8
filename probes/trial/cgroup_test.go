package trial

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// obstacle says why no private cgroup can be made here, "" when it can.
func obstacle() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	if _, err := ownGroups(); err != nil {
		return err.Error()
	}
	return ""
}

func TestUnifiedPath(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n": "/",
		"12:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/system.slice/clew.service\n": "/system.slice/clew.service",
		"0::/pod:with:colons\n": "/pod:with:colons",
		"0::/../../other\n":     "/../../other",
		"1:cpu:/a\n":            "",
		"10::/a\n":              "",
		"":                      "",
	} {
		if got, ok := unifiedPath(text); got != want || ok != (want != "") {
			t.Errorf("unifiedPath(%q) = %q, %v; want %q", text, got, ok, want)
		}
	}
}

func TestGroupDirs(t *testing.T) {
	const hybrid = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw
`
	for _, c := range []struct {
		name, mounts, path string
		want               []string
	}{
		{"hybrid", hybrid, "/a/b", []string{"/sys/fs/cgroup/unified/a/b"}},
		{"root", hybrid, "/", []string{"/sys/fs/cgroup/unified"}},
		{"part of the hierarchy", "1 2 0:3 /pods/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/pods/x/clew", []string{"/sys/fs/cgroup/clew"}},
		{"exactly that part", "1 2 0:3 /pods/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/pods/x", []string{"/sys/fs/cgroup"}},
		{"another part", "1 2 0:3 /pods/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/pods/xy", nil},
		{"outside the namespace", "1 2 0:3 /../.. /host/cg rw - cgroup2 cgroup rw\n", "/../../a", []string{"/host/cg/a"}},
		{"two mounts", "1 2 0:3 / /a ro - cgroup2 c ro\n1 2 0:3 / /b rw - cgroup2 c rw\n", "/g", []string{"/a/g", "/b/g"}},
		{"white space", `1 2 0:3 / /mnt/a\040b rw - cgroup2 c rw` + "\n", "/g", []string{"/mnt/a b/g"}},
		{"version 1 only", "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n", "/", nil},
		{"garbage", "\n - \n1 2 - cgroup2\n - cgroup2 c\nx", "/", nil},
	} {
		if got := groupDirs(c.mounts, c.path); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What cannot be made says where and why.
func TestNoGroup(t *testing.T) {
	_, err := newGroupIn("/proc/self/fd")
	if err == nil || !strings.HasPrefix(err.Error(), "make a private cgroup: mkdir /proc/self/fd/clew-trial-") {
		t.Errorf("error: %v", err)
	}
}

func TestGroup(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	g, err := newGroup()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newGroup()
	if err != nil {
		t.Fatal(err)
	}
	if g.path == other.path {
		t.Errorf("two trials share %s", g.path)
	}
	for _, g := range []*group{g, other} {
		// Only a cgroup has this file; it is the kernel that makes it.
		if _, err := os.Stat(filepath.Join(g.path, "cgroup.procs")); err != nil {
			t.Error(err)
		}
		if err := g.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(g.path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", g.path, err)
		}
	}
}

// A cgroup in which something still runs stays, and is named.
func TestGroupInUse(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	g, err := newGroup()
	if err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(g.path, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	err = g.remove()
	if err == nil || !strings.Contains(err.Error(), g.path) {
		t.Errorf("error: %v", err)
	}
	for _, path := range []string{inner, g.path} {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
