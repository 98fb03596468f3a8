package probes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"go.uber.org/zap"

	"github.com/clewtrace/clew/probes/discover"
	"github.com/clewtrace/clew/probes/discover/program"
	"github.com/clewtrace/clew/probes/golang"
)

const (
	// settleTime is how long a process that was running before it was watched
	// has no thread evidence: requests that it read earlier are not known.
	settleTime = 5 * time.Second
	// rescanEvery is for processes that come to fit a rule after their exec, by
	// being moved to another cgroup.
	rescanEvery = 5 * time.Second
	// portsEvery is for rules that need listening ports, which open after exec.
	portsEvery = time.Second
	// maxPrograms bounds the Go programs waiting to be looked at: ten
	// milliseconds each, and a node starts few at once.
	maxPrograms = 1024
)

// watcher keeps the targets map: who is watched, and what the kernel must know
// of them.
//
// A process enters it at exec (the kernel may have entered it already), by the
// scan at the start, or by a rescan. The kernel deletes it at exit. What takes
// long, reading a Go program, is done by one worker; until then the kernel knows
// that it is Go and trusts no thread of it.
type watcher struct {
	log       *zap.Logger
	inspector *discover.Inspector
	targets   *ebpf.Map
	cgroups   cgroupWatch
	uprobes   *uprobes
	notify    func(Lifecycle)
	programs  chan uint32
	layouts   layoutCache

	watched, gone, unreadable, full, backlog, goUnknown, noProbe atomic.Uint64
}

func newWatcher(log *zap.Logger, inspector *discover.Inspector, maps map[string]*ebpf.Map, u *uprobes) *watcher {
	return &watcher{
		log: log, inspector: inspector, targets: maps["targets"], uprobes: u,
		cgroups:  cgroupWatch{ids: maps["watched_cgroups"], known: make(map[string]bool)},
		notify:   func(Lifecycle) {},
		programs: make(chan uint32, maxPrograms),
		layouts:  layoutCache{known: make(map[fileKey]layoutResult)},
	}
}

// run scans the processes there are, and then looks after those that come to
// fit later, until ctx ends.
func (w *watcher) run(ctx context.Context, scanned *atomic.Bool) {
	w.scan(ctx)
	w.readWaiting(ctx) // so that nothing is missing once we say that we are ready
	scanned.Store(true)
	workerDone := make(chan struct{})
	go func() {
		defer close(workerDone)
		w.readPrograms(ctx)
	}()
	rules := w.inspector.Rules()
	if !rules.Everything() {
		every := rescanEvery
		if rules.NeedsPorts() {
			every = portsEvery
		}
		w.rescan(ctx, every)
	}
	<-ctx.Done()
	<-workerDone
}

func (w *watcher) rescan(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.scan(ctx)
		}
	}
}

// scan looks at every process that is not watched yet.
func (w *watcher) scan(ctx context.Context) {
	var pids []uint32
	err := w.inspector.Scan(ctx, func(pid uint32) {
		var t socketTarget
		if w.targets.Lookup(pid, &t) == nil && t.Flags&socketTargetFlagsTARGET_KNOWN != 0 {
			return
		}
		pids = append(pids, pid)
	})
	if err == nil {
		err = w.inspector.InspectAll(ctx, pids, func(t discover.Target) {
			if t.Watch {
				w.enter(t, settleTime)
				w.notify(Lifecycle{Happening: Found, PID: t.PID})
			}
		})
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("looking for processes failed", zap.Error(err))
	}
}

// happened deals with an event of the kernel. It is called in order, between
// the messages of the processes concerned, so that each is named by what it was
// when it sent them.
func (w *watcher) happened(l Lifecycle) {
	switch l.Happening {
	case Exit:
		w.uprobes.remove(l.PID)
	case Exec:
		w.uprobes.remove(l.PID)
		if !w.executed(l.PID) {
			return
		}
	}
	w.notify(l)
}

// executed decides about a process that has just started a program; it reports
// whether anything may be heard of it.
func (w *watcher) executed(pid uint32) bool {
	t, err := w.inspector.Inspect(pid)
	switch {
	case errors.Is(err, discover.ErrGone):
		w.gone.Add(1)
		return w.inspector.Rules().Everything()
	case err != nil:
		w.unreadable.Add(1)
		w.log.Debug("process not readable", zap.Uint32("pid", pid), zap.Error(err))
		return w.inspector.Rules().Everything()
	case !t.Watch:
		_ = w.targets.Delete(pid) // not there, usually
		return false
	}
	w.enter(t, 0)
	return true
}

// enter has the kernel watch a process; its threads are trusted after settle.
func (w *watcher) enter(t discover.Target, settle time.Duration) {
	target := socketTarget{Flags: socketTargetFlagsTARGET_KNOWN}
	if settle > 0 {
		target.TrustedNs = (&clock{}).monotonic() + uint64(settle)
	}
	if t.Program.Multiplexes {
		target.Flags |= socketTargetFlagsTARGET_MULTIPLEXES
	}
	isGo := t.Program.Runtime == program.Go
	if isGo {
		target.Flags |= socketTargetFlagsTARGET_GO_UNKNOWN
	}
	if err := w.targets.Put(t.PID, target); err != nil {
		w.full.Add(1)
		return
	}
	w.watched.Add(1)
	if w.inspector.Rules().ChooseCgroup(t.Facts) {
		w.cgroups.add(t.Cgroups)
	}
	// It may have ended meanwhile: then nobody else would take it out again.
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", t.PID)); errors.Is(err, os.ErrNotExist) {
		_ = w.targets.Delete(t.PID)
		return
	}
	if !isGo {
		return
	}
	select {
	case w.programs <- t.PID:
	default:
		w.backlog.Add(1)
	}
}

// readPrograms is the worker that reads Go programs.
func (w *watcher) readPrograms(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case pid := <-w.programs:
			w.readProgram(pid)
		}
	}
}

// readWaiting reads the Go programs that wait now.
func (w *watcher) readWaiting(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case pid := <-w.programs:
			w.readProgram(pid)
		default:
			return
		}
	}
}

func (w *watcher) readProgram(pid uint32) {
	layout, err := w.layouts.get(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			w.goUnknown.Add(1)
			w.log.Info("goroutines of a program cannot be told apart", zap.Uint32("pid", pid), zap.Error(err))
		}
		return
	}
	var target socketTarget
	if w.targets.Lookup(pid, &target) != nil {
		return
	}
	describe(&target, layout, pid)
	// First the target, since the probe reads it.
	if w.targets.Update(pid, target, ebpf.UpdateExist) != nil || layout.RoundTrip == 0 {
		return
	}
	if err := w.uprobes.add(pid, layout.RoundTrip); err != nil {
		w.noProbe.Add(1)
		w.log.Info("requests of Go's net/http client will have no parent", zap.Uint32("pid", pid), zap.Error(err))
	}
}

// describe fills in what the kernel must know of a Go program.
func describe(target *socketTarget, layout *golang.Layout, pid uint32) {
	target.Flags = target.Flags&^socketTargetFlagsTARGET_GO_UNKNOWN | socketTargetFlagsTARGET_GO
	target.GoTlsOffset = layout.TLSOffset
	target.GoGoid = uint16(layout.GoID)
	target.GoParentGoid = uint16(layout.ParentGoID)
	target.GoConn.Persist = layout.Conn.Persist
	target.GoConn.Tls = layout.Conn.TLS
	target.GoConn.Fd = layout.Conn.FD
	target.GoConn.Sysfd = layout.Conn.Sysfd
	target.GoConn.TcpHash = layout.Conn.TCPHash
	target.GoConn.UnixHash = layout.Conn.UnixHash
	target.GoConn.TlsHash = layout.Conn.TLSHash
	target.GoIds.M = layout.M
	target.GoIds.P = layout.P
	target.GoIds.OldP = layout.OldP
	target.GoIds.Goidcache = layout.GoidCache
	// Without it fewer children of a handler's goroutine can be proved to be its.
	target.GoIds.Goidgen, _ = layout.GoidGenAt(pid)
	if layout.RoundTrip != 0 {
		// With or without the probe, a write may be on another's behalf.
		target.Flags |= socketTargetFlagsTARGET_GO_NET_HTTP
	}
}

// fileKey tells one version of a file from another.
type fileKey struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

type layoutResult struct {
	layout *golang.Layout
	err    error
}

// maxLayouts bounds the Go programs remembered; a node runs some dozens.
const maxLayouts = 256

// layoutCache remembers what was read of Go programs. One goroutine uses it.
type layoutCache struct {
	known map[fileKey]layoutResult
}

func (c *layoutCache) get(path string) (*golang.Layout, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return golang.Inspect(path)
	}
	key := fileKey{uint64(stat.Dev), stat.Ino, stat.Size, stat.Ctim}
	if r, ok := c.known[key]; ok {
		return r.layout, r.err
	}
	if len(c.known) >= maxLayouts {
		clear(c.known)
	}
	r := layoutResult{}
	r.layout, r.err = golang.Inspect(path)
	c.known[key] = r
	return r.layout, r.err
}
