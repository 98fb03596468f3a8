package workload

import (
	"container/list"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/program"
)

const (
	// keepDead is how long a process is remembered after its exit. Its last
	// exchange may be settled only when a peer hangs up or a time limit passes.
	keepDead = 2 * time.Minute
	// maxProcesses bounds the directory. Facts take some 500 bytes, and some 3
	// KiB more once a process has spans. Past it the least recently used goes
	// first; a living one is simply read again.
	maxProcesses = 8192
	// patience is how long reading one process may take before it counts as
	// hung, and maxReading how many may be under way, or hang, before no more are
	// tried.
	patience   = time.Second
	maxReading = 16
)

// Config is what a directory depends on besides the kernel.
type Config struct {
	Proc    string // where the proc filesystem is mounted; "" is /proc
	Version string // of Clew
}

// Directory knows who every process is. Processes enter it by the kernel's
// events, or when they are first asked for; they are read from /proc at once,
// since many do not live long, but their resource is built only when asked for,
// since most never have a span. A process that is gone before it could be read
// is named by the kernel's record of its exec.
//
// Safe for concurrent use.
type Directory struct {
	log    *zap.Logger
	host   host
	reader *reader
	guard  *proc.Guard
	now    func() time.Time

	mu     sync.Mutex
	known  map[uint32]*list.Element // of *entry
	recent *list.List               // most recently used first
	dead   []grave                  // by time of exit
	counts counts
}

// entry is one process of the directory. Its facts are set at birth, except
// where that is too early or was in vain: a forked process often execs, or gives
// itself a title, before it does anything of interest, and one that did not let
// itself be read may do so later. Those are read when asked for.
type entry struct {
	pid     uint32
	facts   *facts
	later   bool     // still to be read
	process *Process // built from facts when first asked for
	exited  bool
}

// grave remembers when to forget a process.
type grave struct {
	entry *entry
	until time.Time
}

// counts are the directory's own health; see Counts.
type counts struct {
	events, read, recorded, unknown, stuck, evicted, badResource uint64
}

// New returns an empty directory. It reads the node's identity once.
func New(log *zap.Logger, config Config) *Directory {
	fs := proc.New(config.Proc)
	return &Directory{
		log:    log,
		host:   readHost(fs, config.Version),
		reader: &reader{fs: fs},
		guard:  proc.NewGuard(maxReading, patience),
		now:    time.Now,
		known:  make(map[uint32]*list.Element),
		recent: list.New(),
	}
}

// Start enters a process that has just started a program, replacing what the
// pid was before. It reads /proc and takes some tens of microseconds.
func (d *Directory) Start(e Exec) {
	d.count(func(c *counts) { c.events++ })
	container := ""
	if parent := d.peek(e.Parent); parent != nil {
		container = parent.container
	}
	f, settled := d.read(e.PID, fromRecord(e, container))
	if !f.read && f.container == "" && e.Parent != 0 {
		// Gone already, and of a parent not seen so far: that one may still live.
		f.container = d.lookup(e.Parent).container
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(&entry{pid: e.PID, facts: &f, later: !settled})
}

// Find enters a process that runs already, unless it is known. Read at its first
// span, it may be gone.
func (d *Directory) Find(pid uint32) { d.lookup(pid) }

// Fork enters a process (not a thread) that another has forked. Until it starts
// a program it is who its parent is, under its own pid. It reads /proc only if
// the parent was unknown.
func (d *Directory) Fork(parent, child uint32) {
	d.count(func(c *counts) { c.events++ })
	inherited := *d.lookup(parent)
	inherited.pid, inherited.parent, inherited.read = child, parent, false
	inherited.started = uint64(d.now().UnixNano())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(&entry{pid: child, facts: &inherited, later: true})
}

// Exit says that a process is gone. It stays known for a while, because its
// last spans arrive later.
func (d *Directory) Exit(pid uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.find(pid); e != nil {
		d.exit(e)
	}
	d.bury(d.now())
}

// exit marks an entry as dead. The caller holds the lock.
func (d *Directory) exit(e *entry) {
	if !e.exited {
		e.exited = true
		d.dead = append(d.dead, grave{e, d.now().Add(keepDead)})
	}
}

// Process returns who has this pid, or had it last. It is never nil: of a
// process that nobody has seen only the pid is known, and it is called
// unknown_service.
func (d *Directory) Process(pid uint32) *Process {
	d.mu.Lock()
	e := d.find(pid)
	if e != nil && e.process != nil {
		defer d.mu.Unlock()
		return e.process
	}
	d.mu.Unlock()
	f := d.lookup(pid)
	process, err := d.host.resource(f)

	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.counts.badResource++
		d.log.Warn("ignore OTEL_RESOURCE_ATTRIBUTES of a process", zap.Uint32("pid", pid), zap.Error(err))
	}
	if e := d.find(pid); e != nil && e.facts == f {
		e.process = process
	}
	return process
}

// lookup returns the facts of a pid, reading them if need be. What is found, if
// only that there is nothing, is remembered.
func (d *Directory) lookup(pid uint32) *facts {
	d.mu.Lock()
	e := d.find(pid)
	if e != nil && (!e.later || e.exited) {
		defer d.mu.Unlock()
		return e.facts
	}
	known := facts{pid: pid, program: program.Info{Runtime: program.Native}}
	if e != nil {
		known = *e.facts
	}
	d.mu.Unlock()

	f, _ := d.read(pid, known)
	d.mu.Lock()
	if now := d.find(pid); now != e && now != nil {
		defer d.mu.Unlock()
		return now.facts // an event came in between, and knows better
	}
	fresh := &entry{pid: pid, facts: &f}
	d.put(fresh)
	if !f.read {
		d.exit(fresh) // gone, or hung: either way to be forgotten, and asked for again, after a while
	}
	d.mu.Unlock()
	return &f
}

// read reads a process from /proc and counts what came of it. It also says
// whether that is final: read, or gone; else it is worth another try.
func (d *Directory) read(pid uint32, known facts) (f facts, settled bool) {
	type result struct {
		facts facts
		err   error
	}
	r, ok := proc.Within(d.guard, func() result {
		f, err := d.reader.readProcess(pid, known)
		return result{f, err}
	})
	if !ok {
		r.facts = known
	}
	d.count(func(c *counts) {
		switch {
		case !ok:
			c.stuck++
		case r.facts.read:
			c.read++
		case r.facts.service != "":
			c.recorded++
		default:
			c.unknown++
		}
	})
	if ok && r.err != nil && !isGone(r.err) {
		d.log.Debug("read process", zap.Uint32("pid", pid), zap.Error(r.err))
	}
	return r.facts, ok && (r.err == nil || isGone(r.err))
}

// peek returns the facts of a pid if they are known, without reading.
func (d *Directory) peek(pid uint32) *facts {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.find(pid); e != nil {
		return e.facts
	}
	return nil
}

// find returns the entry of a pid, or nil. The caller holds the lock.
func (d *Directory) find(pid uint32) *entry {
	element, ok := d.known[pid]
	if !ok {
		return nil
	}
	d.recent.MoveToFront(element)
	return element.Value.(*entry)
}

// put enters an entry in place of what its pid was. The caller holds the lock.
func (d *Directory) put(e *entry) {
	d.bury(d.now())
	if element, ok := d.known[e.pid]; ok {
		element.Value = e
		d.recent.MoveToFront(element)
		return
	}
	if len(d.known) >= maxProcesses {
		oldest := d.recent.Back()
		delete(d.known, d.recent.Remove(oldest).(*entry).pid)
		d.counts.evicted++
	}
	d.known[e.pid] = d.recent.PushFront(e)
}

// bury forgets the processes that have been dead for long enough, unless their
// pid is somebody else's by now. The caller holds the lock.
func (d *Directory) bury(now time.Time) {
	n := 0
	for ; n < len(d.dead); n++ {
		// A storm of exits must not outgrow the directory itself.
		if d.dead[n].until.After(now) && len(d.dead)-n <= maxProcesses {
			break
		}
		e := d.dead[n].entry
		if element, ok := d.known[e.pid]; ok && element.Value.(*entry) == e {
			d.recent.Remove(element)
			delete(d.known, e.pid)
		}
	}
	d.dead = d.dead[n:]
}

func (d *Directory) count(change func(*counts)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.counts)
}

// Counts reports the directory's own health. Seen are events of the kernel;
// kept are processes read from /proc; dropped are those identities that are
// less than they should be: named by the kernel's record alone ("gone"), not at
// all ("unknown"), hung while being read ("stuck"), forgotten to make room
// ("evicted"), or without attributes that could not be parsed
// ("bad_resource_attributes").
func (d *Directory) Counts(report func(outcome, reason string, n uint64)) {
	d.mu.Lock()
	c := d.counts
	d.mu.Unlock()
	report("seen", "", c.events)
	report("kept", "", c.read)
	report("dropped", "gone", c.recorded)
	report("dropped", "unknown", c.unknown)
	report("dropped", "stuck", c.stuck)
	report("dropped", "evicted", c.evicted)
	report("dropped", "bad_resource_attributes", c.badResource)
}
