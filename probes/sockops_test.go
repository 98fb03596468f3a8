package probes

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/clewtrace/clew/probes/discover"
)

// allow is a sock_ops program that does nothing.
func allow(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SockOps, AttachType: ebpf.AttachCGroupSockOps, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// groupDirs makes a cgroup and, below it, two others.
func groupDirs(t *testing.T) (top, a, b string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making cgroups and attaching to them needs root")
	}
	root, err := discover.CgroupDir("/")
	if err != nil {
		t.Skip(err)
	}
	if top, err = os.MkdirTemp(root, "clew-test-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(top) })
	a, b = filepath.Join(top, "a"), filepath.Join(top, "b")
	for _, dir := range []string{a, b} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
	}
	return top, a, b
}

// attachedTo says how many sock_ops programs the kernel has at a cgroup.
func attachedTo(t *testing.T, dir string) int {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	found, err := link.QueryPrograms(link.QueryOptions{Target: int(d.Fd()), Attach: ebpf.AttachCGroupSockOps})
	if err != nil {
		t.Fatal(err)
	}
	return len(found.Programs)
}

func TestCgroupsAttach(t *testing.T) {
	top, a, b := groupDirs(t)
	program := allow(t)
	var c cgroups
	expect := func(when string, want ...int) {
		t.Helper()
		if got := []int{attachedTo(t, top), attachedTo(t, a), attachedTo(t, b)}; !slices.Equal(got, want) {
			t.Errorf("%s: %v programs at the top and below, want %v", when, got, want)
		}
	}
	add := func(dir string) {
		t.Helper()
		if err := c.addDir(dir, program); err != nil {
			t.Fatal(err)
		}
	}
	add(a)
	expect("before any rung is on", 0, 0, 0)
	if err := c.attach(program); err != nil {
		t.Fatal(err)
	}
	expect("attached", 0, 1, 0)
	add(a)
	add(b)
	expect("two processes of one, one of the other", 0, 1, 1)
	add(top)
	expect("what is above reaches those below", 1, 0, 0)
	add(b)
	expect("below one that is known", 1, 0, 0)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	expect("closed", 0, 0, 0)
}

func TestCgroupsForget(t *testing.T) {
	_, a, b := groupDirs(t)
	program := allow(t)
	var c cgroups
	defer c.Close()
	for _, dir := range []string{a, b} {
		if err := c.addDir(dir, program); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	if err := c.attach(program); err != nil {
		t.Errorf("a cgroup that is gone: %v", err)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	c.prune()
	if len(c.links) != 0 {
		t.Errorf("%d cgroups are known that are gone", len(c.links))
	}
}
