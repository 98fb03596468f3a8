package probes

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// uprobes are the probes in Go programs: one place in each, see bpf/go.bpf.c.
// They are set per process and taken away when it is no longer watched.
type uprobes struct {
	collection *ebpf.Collection
	program    *ebpf.Program

	mu    sync.Mutex
	links map[uint32]link.Link
}

func newUprobes(set settings, shared map[string]*ebpf.Map) (*uprobes, error) {
	// Attached later, program by program: the table has nothing to attach.
	f := family{name: "uprobe", spec: loadUprobe, hooks: []hook{{program: "round_trip", kind: uprobe}}}
	a, err := f.attach(set, shared)
	if err != nil {
		return nil, err
	}
	return &uprobes{
		collection: a.collection,
		program:    a.collection.Programs["round_trip"],
		links:      make(map[uint32]link.Link),
	}, nil
}

// add sets the probe in a process at an offset of its executable.
func (u *uprobes) add(pid uint32, offset uint64) error {
	if u == nil {
		return errors.New("uprobes are not available")
	}
	exe, err := link.OpenExecutable(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return fmt.Errorf("open executable: %w", err)
	}
	l, err := exe.Uprobe("", u.program, &link.UprobeOptions{Address: offset, PID: int(pid)})
	if err != nil {
		return fmt.Errorf("set uprobe: %w", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := u.links[pid]; old != nil {
		_ = old.Close()
	}
	u.links[pid] = l
	return nil
}

// remove takes the probe of a process away, if it has one.
func (u *uprobes) remove(pid uint32) {
	if u == nil {
		return
	}
	u.mu.Lock()
	l := u.links[pid]
	delete(u.links, pid)
	u.mu.Unlock()
	if l != nil {
		_ = l.Close() // the process may be gone, and its probe with it
	}
}

func (u *uprobes) count() int {
	if u == nil {
		return 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.links)
}

// Close takes all probes away.
func (u *uprobes) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var errs []error
	for pid, l := range u.links {
		errs = append(errs, l.Close())
		delete(u.links, pid)
	}
	u.collection.Close()
	return errors.Join(errs...)
}
