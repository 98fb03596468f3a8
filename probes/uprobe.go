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
	single     *ebpf.Program // by a perf event: every kernel, CAP_SYS_ADMIN
	multi      *ebpf.Program // by a link of its own kind: Linux 6.6; nil where there is none

	mu    sync.Mutex
	links map[uint32]link.Link
}

func newUprobes(set settings, shared map[string]*ebpf.Map) (*uprobes, error) {
	single := hook{program: "round_trip", kind: uprobe}
	multi := hook{program: "round_trip_link", kind: uprobe}
	f := family{name: "uprobe", spec: loadUprobe, hooks: []hook{single, multi}}
	a, err := f.attach(set, shared)
	if err != nil { // most likely it knows no uprobe.multi
		f.hooks = []hook{single}
		a, err = f.attach(set, shared)
	}
	if err != nil {
		return nil, err
	}
	return &uprobes{
		collection: a.collection,
		single:     a.collection.Programs[single.program],
		multi:      a.collection.Programs[multi.program],
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
	l, err := u.attach(exe, pid, offset)
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

// attach tries the perf event first: it sees every thread of a process, on every
// kernel. The other kind of link saw the first thread only before Linux 6.10
// (46ba0e49b642), which costs links and makes none.
func (u *uprobes) attach(exe *link.Executable, pid uint32, offset uint64) (link.Link, error) {
	l, err := exe.Uprobe("", u.single, &link.UprobeOptions{Address: offset, PID: int(pid)})
	if err == nil || u.multi == nil {
		return l, err
	}
	l, multiErr := exe.UprobeMulti(nil, u.multi, &link.UprobeMultiOptions{Addresses: []uint64{offset}, PID: pid})
	if multiErr != nil {
		return nil, errors.Join(err, multiErr)
	}
	return l, nil
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

// removeAll takes all probes away.
func (u *uprobes) removeAll() error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var errs []error
	for pid, l := range u.links {
		errs = append(errs, l.Close())
		delete(u.links, pid)
	}
	return errors.Join(errs...)
}

// Close takes all probes away and frees the program.
func (u *uprobes) Close() error {
	err := u.removeAll()
	u.collection.Close()
	return err
}
