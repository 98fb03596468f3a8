package probes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
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
	// being moved to another cgroup, or to fit an exception of Propagation.
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
	targets   targetTable
	cgroups   cgroupWatch
	uprobes   *uprobes
	notify    func(Lifecycle)
	programs  goPrograms
	reach

	watched, gone, unreadable, full, backlog, goUnknown, noProbe atomic.Uint64
}

// reach is how far the context of a process's requests goes.
type reach struct {
	propagation Propagation
	entered     func(pid uint32) // it is watched, and may use a rung that reaches other hosts
}

// targetTable is the targets map. The kernel reads entries while they change, and
// user space changes one entry from two goroutines.
type targetTable struct {
	*ebpf.Map
	changing sync.Mutex
}

// enter has the kernel watch a process in this way, whatever it did before.
func (t *targetTable) enter(pid uint32, target socketTarget) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	return t.Put(pid, target)
}

// change has the kernel watch a process in another way; one that has gone, or was
// never watched, is left alone. It reports whether there is a process to watch.
func (t *targetTable) change(pid uint32, change func(*socketTarget)) bool {
	t.changing.Lock()
	defer t.changing.Unlock()
	var target socketTarget
	if t.Lookup(pid, &target) != nil {
		return false
	}
	before := target
	change(&target)
	return target == before || t.Update(pid, target, ebpf.UpdateExist) == nil
}

// goPrograms are the Go programs that wait to be read, and what was read of
// others.
type goPrograms struct {
	waiting chan uint32
	layouts layoutCache
}

func newWatcher(log *zap.Logger, inspector *discover.Inspector, propagation Propagation, maps map[string]*ebpf.Map, u *uprobes) *watcher {
	return &watcher{
		log: log, inspector: inspector, uprobes: u,
		targets: targetTable{Map: maps["targets"]},
		cgroups: cgroupWatch{ids: maps["watched_cgroups"], known: make(map[string]bool)},
		notify:  func(Lifecycle) {},
		reach:   reach{propagation: propagation, entered: func(uint32) {}},
		programs: goPrograms{
			waiting: make(chan uint32, maxPrograms),
			layouts: layoutCache{known: make(map[fileKey]layoutResult)},
		},
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
	if every := w.rescanInterval(); every > 0 {
		w.rescan(ctx, every)
	}
	<-ctx.Done()
	<-workerDone
}

// rescanInterval is 0 when what was decided at exec stays right.
func (w *watcher) rescanInterval() time.Duration {
	rules := w.inspector.Rules()
	switch {
	case rules.NeedsPorts():
		return portsEvery
	case !rules.Everything(), w.propagation.mayChange():
		return rescanEvery
	}
	return 0
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

// scan looks at every process that is not watched yet, and at the others if
// their rungs may have changed.
func (w *watcher) scan(ctx context.Context) {
	var fresh, known []uint32
	err := w.inspector.Scan(ctx, func(pid uint32) {
		if w.known(pid) {
			known = append(known, pid)
		} else {
			fresh = append(fresh, pid)
		}
	})
	if err == nil {
		err = w.inspector.InspectAll(ctx, fresh, func(t discover.Target) {
			if t.Watch {
				w.enter(t, settleTime)
				w.notify(Lifecycle{Happening: Found, PID: t.PID})
			}
		})
	}
	if err == nil && w.propagation.mayChange() {
		err = w.inspector.Facts(ctx, known, w.revise)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("looking for processes failed", zap.Error(err))
	}
}

// known says that the process is watched, and was looked at.
func (w *watcher) known(pid uint32) bool {
	var t socketTarget
	return w.targets.Lookup(pid, &t) == nil && t.Flags&socketTargetFlagsTARGET_KNOWN != 0
}

// revise gives a watched process the rungs that it may use now.
func (w *watcher) revise(facts discover.Facts) {
	rungs := w.propagation.flags(facts)
	var before socketTargetFlags
	watched := w.targets.change(facts.PID, func(target *socketTarget) {
		before = target.Flags
		target.Flags = target.Flags&^rungFlags | rungs
	})
	if watched && before&outwardFlags == 0 && rungs&outwardFlags != 0 {
		w.entered(facts.PID)
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
	target := socketTarget{Flags: socketTargetFlagsTARGET_KNOWN | w.propagation.flags(t.Facts)}
	if settle > 0 {
		target.TrustedNs = (&clock{}).monotonic() + uint64(settle)
	}
	if t.Program.Multiplexes {
		target.Flags |= socketTargetFlagsTARGET_MULTIPLEXES
	}
	if t.Program.Proxy {
		target.Flags |= socketTargetFlagsTARGET_PROXY
	}
	isGo := t.Program.Runtime == program.Go
	if isGo {
		target.Flags |= socketTargetFlagsTARGET_GO_UNKNOWN
	}
	if err := w.targets.enter(t.PID, target); err != nil {
		w.full.Add(1)
		return
	}
	w.watched.Add(1)
	if target.Flags&outwardFlags != 0 {
		w.entered(t.PID)
	}
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
	case w.programs.waiting <- t.PID:
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
		case pid := <-w.programs.waiting:
			w.readProgram(pid)
		}
	}
}

// readWaiting reads the Go programs that wait now.
func (w *watcher) readWaiting(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case pid := <-w.programs.waiting:
			w.readProgram(pid)
		default:
			return
		}
	}
}

func (w *watcher) readProgram(pid uint32) {
	layout, err := w.programs.layouts.get(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			w.goUnknown.Add(1)
			w.log.Info("goroutines of a program cannot be told apart", zap.Uint32("pid", pid), zap.Error(err))
		}
		return
	}
	// First the target, since the probe reads it.
	watched := w.targets.change(pid, func(target *socketTarget) { describe(target, layout, pid) })
	if !watched || layout.RoundTrip == 0 {
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
