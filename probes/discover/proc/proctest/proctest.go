// Package proctest makes proc filesystems for tests, out of plain files.
package proctest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Process is one process of a made-up proc filesystem. Empty fields leave the
// file out, as for a process that dies while it is read.
type Process struct {
	PID, Parent uint32
	Comm        string
	Flags       uint64 // of stat
	State       byte   // of stat, 'S' if zero
	Started     uint64
	Exe         string // where the link points; the file itself is not made
	Cmdline     string // raw
	Environ     string // raw
	Cgroup      string // raw
	Cwd         string
	Files       map[string]string // of the process's root
}

// Self is the pid of the reader in every made-up proc filesystem.
const Self = 1

// New makes a proc filesystem with these processes and returns its root.
func New(t testing.TB, processes ...Process) string {
	t.Helper()
	root := t.TempDir()
	Link(t, strconv.Itoa(Self), filepath.Join(root, "self"))
	Write(t, filepath.Join(root, "sys/kernel/random/boot_id"), "11111111-2222-3333-4444-555555555555\n")
	for _, process := range processes {
		Add(t, root, process)
	}
	return root
}

// Add makes one more process.
func Add(t testing.TB, root string, p Process) {
	t.Helper()
	dir := filepath.Join(root, strconv.FormatUint(uint64(p.PID), 10))
	state := p.State
	if state == 0 {
		state = 'S'
	}
	// Fields 3 to 22 of proc_pid_stat(5), and a few more.
	Write(t, filepath.Join(dir, "stat"), fmt.Sprintf("%d (%s) %c %d 1 1 0 -1 %d %s%d 0 0\n",
		p.PID, p.Comm, state, p.Parent, p.Flags, strings.Repeat("0 ", 12), p.Started))
	for name, content := range map[string]string{"cmdline": p.Cmdline, "environ": p.Environ, "cgroup": p.Cgroup} {
		if content != "" {
			Write(t, filepath.Join(dir, name), content)
		}
	}
	if p.Exe != "" {
		Link(t, p.Exe, filepath.Join(dir, "exe"))
	}
	if p.Cwd != "" {
		Link(t, p.Cwd, filepath.Join(dir, "cwd"))
	}
	for name, content := range p.Files {
		Write(t, filepath.Join(dir, "root", name), content)
	}
}

// Write makes a file and the directories above it.
func Write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Link makes a symbolic link and the directories above it.
func Link(t testing.TB, target, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}
