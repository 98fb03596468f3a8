// Package rig sets the scene for tests of the whole agent: a cgroup of its own
// with the programs to be traced in it, a Jaeger or an OTLP sink, and the agent
// outside. Nothing it starts uses a port, a file or a cgroup that others use,
// and nothing outlives the process that opened the scene, however that ends.
package rig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Scene is a cgroup, a directory and the processes started in them.
type Scene struct {
	// Dir is a directory of its own, removed by Close.
	Dir string

	name    string // of the cgroup, from the root of the hierarchy: "/clew-test-1-2"
	cgroup  *os.File
	janitor *janitor

	mu        sync.Mutex
	processes []*Process
	kept      []io.Closer // what hosts are made of
}

// Open makes a scene. It needs root and a mounted cgroup2 hierarchy.
func Open() (*Scene, error) {
	mount, err := cgroupMount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "clew-test-")
	if err != nil {
		return nil, fmt.Errorf("make a scratch directory: %w", err)
	}
	// The directory's name is unique, so the cgroup's is too.
	name := "/" + filepath.Base(dir)
	path := mount + name
	if err := os.Mkdir(path, 0o755); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	keeper, err := hireJanitor(path, dir)
	if err != nil {
		os.Remove(path)
		os.RemoveAll(dir)
		return nil, err
	}
	cgroup, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the cgroup: %w", err), keeper.dismiss())
	}
	return &Scene{Dir: dir, name: name, cgroup: cgroup, janitor: keeper}, nil
}

// Target is the value of CLEW_TARGETS that names the scene's cgroup.
func (s *Scene) Target() string { return "cgroup=" + s.name }

// Start runs a program inside the scene's cgroup.
func (s *Scene) Start(c Command) (*Process, error) { return s.start(c, int(s.cgroup.Fd())) }

// StartOutside runs a program outside the scene's cgroup, where the agent does
// not watch it.
func (s *Scene) StartOutside(c Command) (*Process, error) { return s.start(c, -1) }

func (s *Scene) start(c Command, cgroup int) (*Process, error) {
	p, err := start(c, s.Dir, cgroup)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
	return p, nil
}

// keep leaves something open until Close.
func (s *Scene) keep(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, c)
}

// Close ends every process of the scene and removes its cgroup, its hosts and its
// directory.
func (s *Scene) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		p.Kill()
	}
	s.processes = nil
	for _, c := range s.kept {
		c.Close()
	}
	s.kept = nil
	s.cgroup.Close()
	return s.janitor.dismiss()
}

// cgroupMount finds where the cgroup2 hierarchy is mounted.
func cgroupMount() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", fmt.Errorf("read the mounts: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1], nil
		}
	}
	return "", errors.New("find the cgroup2 hierarchy: not mounted")
}

// Obstacle says why scenes cannot be opened and the agent not be run here, ""
// when they can.
func Obstacle() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return "needs a kernel with BTF: " + err.Error()
	}
	if _, err := cgroupMount(); err != nil {
		return err.Error()
	}
	return ""
}

// Root is the top directory of the module that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the module: no go.mod here or above")
		}
		dir = parent
	}
}

// FreePort is a TCP port of the loopback interface that nobody uses now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
