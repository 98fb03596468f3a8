package probes

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// cgroups is where the sock_ops program is attached: to the cgroups of the
// processes that may use a rung, and to no others. What is below one of them is
// reached through it.
type cgroups struct {
	mu    sync.Mutex
	on    bool
	links map[string]link.Link   // by directory; nil until attached
	root  func() (string, error) // directory that paths of cgroups are relative to
}

// pruneAt is when cgroups that are gone are looked for: a node runs some hundreds.
const pruneAt = 256

// add attaches to the cgroup of a process, or remembers it until attach.
func (c *cgroups) add(pid uint32, program *ebpf.Program) error {
	path, err := cgroup2(pid)
	if err != nil {
		return err
	}
	root, err := c.root()
	if err != nil {
		return err
	}
	return c.addDir(filepath.Join(root, path), program)
}

func (c *cgroups) addDir(dir string, program *ebpf.Program) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.links == nil {
		c.links = make(map[string]link.Link)
	}
	for known := dir; ; known = filepath.Dir(known) {
		if _, ok := c.links[known]; ok {
			return nil
		}
		if known == filepath.Dir(known) {
			break
		}
	}
	if len(c.links)%pruneAt == pruneAt-1 {
		c.prune()
	}
	c.links[dir] = nil
	if !c.on {
		return nil
	}
	return c.attachTo(dir, program)
}

// attach attaches to every cgroup known, and from now on to each that is added.
func (c *cgroups) attach(program *ebpf.Program) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = true
	var errs []error
	c.prune() // processes may have come and gone
	for dir, l := range c.links {
		if l != nil {
			continue
		}
		if err := c.attachTo(dir, program); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *cgroups) attachTo(dir string, program *ebpf.Program) error {
	l, err := link.AttachCgroup(link.CgroupOptions{Path: dir, Attach: ebpf.AttachCGroupSockOps, Program: program})
	if err != nil {
		delete(c.links, dir)
		return fmt.Errorf("attach to cgroup %s: %w", dir, err)
	}
	c.links[dir] = l
	c.detachBelow(dir)
	return nil
}

// detachBelow takes away what would run twice for one event.
func (c *cgroups) detachBelow(dir string) {
	for below, l := range c.links {
		if below == dir || !strings.HasPrefix(below, strings.TrimSuffix(dir, "/")+"/") {
			continue
		}
		if l != nil {
			_ = l.Close()
		}
		delete(c.links, below)
	}
}

// prune forgets cgroups that are gone; the kernel has detached there already.
func (c *cgroups) prune() {
	for dir, l := range c.links {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		if l != nil {
			_ = l.Close()
		}
		delete(c.links, dir)
	}
}

// Close detaches everywhere.
func (c *cgroups) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, l := range c.links {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	c.links, c.on = nil, false
	return errors.Join(errs...)
}

// cgroup2 reads the path of a process below the hierarchy of version 2.
func cgroup2(pid uint32) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", fmt.Errorf("read the cgroup of a process: %w", err)
	}
	for line := range bytes.Lines(data) {
		if path, ok := bytes.CutPrefix(line, []byte("0::")); ok {
			return string(bytes.TrimSuffix(path, []byte("\n"))), nil
		}
	}
	return "", errors.New("read the cgroup of a process: no hierarchy of version 2")
}
