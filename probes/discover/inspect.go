package discover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/program"
)

// ErrGone says that the process has exited. It is the normal end of a race, and
// never worth a log line.
var ErrGone = proc.ErrGone

// ErrStuck says that the process could not be read in time. Its memory is
// locked, or its files lie on a filesystem that does not answer; it may be
// asked about again later.
var ErrStuck = errors.New("process does not let itself be read in time")

const (
	// patience is how long the reading of one process may take. It takes some
	// tens of microseconds, or some milliseconds for an executable never seen;
	// more than this is a hang and not a delay.
	patience = time.Second
	// maxReading is how many readings may be under way, or hang, before none is
	// tried any more.
	maxReading = 16
)

// Target is what was found out about a process.
type Target struct {
	Facts
	Watch  bool
	Reason string // why, or why not, in words
	// Program says which runtime the process is built on, and whether threads
	// can be trusted as evidence. Filled only when Watch is true.
	Program program.Info
}

// Inspector applies rules to processes. It is safe for concurrent use.
type Inspector struct {
	fs       proc.FS
	rules    Rules
	asked    []Rules // all whose facts are wanted; the first are rules
	self     uint32
	exe      string // of the agent
	programs program.Cache
	guard    *proc.Guard
}

// New returns an inspector of the proc filesystem at root ("" is /proc). Facts are
// filled for the others too, which somebody else is going to apply.
func New(root string, rules Rules, others ...Rules) (*Inspector, error) {
	fs := proc.New(root)
	self, err := fs.Self()
	if err != nil {
		return nil, fmt.Errorf("start discovery at %s: %w", fs.Root(), err)
	}
	exe, _ := os.Executable() // unknown, its self-tests are told by the kernel side only
	return &Inspector{
		fs: fs, exe: exe, rules: rules, asked: append([]Rules{rules}, others...), self: self,
		guard: proc.NewGuard(maxReading, patience),
	}, nil
}

// Rules returns the rules that the inspector applies.
func (i *Inspector) Rules() Rules { return i.rules }

// need says whether any rule has one of these keys.
func (i *Inspector) need(keys ...string) bool {
	return slices.ContainsFunc(i.asked, func(r Rules) bool { return r.need(keys...) })
}

// wants says whether any rule names a port.
func (i *Inspector) wants(port uint16) bool {
	return slices.ContainsFunc(i.asked, func(r Rules) bool { return r.wants(port) })
}

// Inspect reads a process and applies the rules to it. It returns ErrGone when
// the process exits at any step, and ErrStuck rather than hang.
func (i *Inspector) Inspect(pid uint32) (Target, error) {
	return i.inspect(pid, &proc.Listeners{Wanted: i.wants}, decisive)
}

// InspectAll inspects processes in one pass, which reads the sockets of each
// network namespace only once, and calls found for each that is still there. It
// is made to run every second or so over the processes in question when the
// rules need ports.
func (i *Inspector) InspectAll(ctx context.Context, pids []uint32, found func(Target)) error {
	return i.pass(ctx, pids, decisive, found)
}

// Facts does the same for processes that have been inspected before, to see
// whether rules fit them now. It leaves out what a program is made of, which is
// most of the work and stays as it is.
func (i *Inspector) Facts(ctx context.Context, pids []uint32, found func(Facts)) error {
	return i.pass(ctx, pids, factual, func(t Target) { found(t.Facts) })
}

func (i *Inspector) pass(ctx context.Context, pids []uint32, how depth, found func(Target)) error {
	listeners := &proc.Listeners{Wanted: i.wants}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return err
		}
		target, err := i.inspect(pid, listeners, how)
		switch {
		case errors.Is(err, ErrStuck):
			listeners = &proc.Listeners{Wanted: i.wants} // the hanging call still holds the old one
		case err == nil:
			found(target)
		}
	}
	return nil
}

// Scan calls visit with the pid of every process there is, except the agent's
// own. Kernel threads are among them: only inspecting tells.
func (i *Inspector) Scan(ctx context.Context, visit func(pid uint32)) error {
	err := i.fs.Each(func(pid uint32) bool {
		if ctx.Err() != nil {
			return false
		}
		if pid != i.self {
			visit(pid)
		}
		return true
	})
	return errors.Join(err, ctx.Err())
}

// depth is how much of a process is read.
type depth uint8

const (
	factual  depth = iota // what the rules look at
	decisive              // and of one that is watched its program
	complete              // everything
)

// inspect reads one process.
func (i *Inspector) inspect(pid uint32, listeners *proc.Listeners, how depth) (Target, error) {
	type result struct {
		target Target
		err    error
	}
	r, ok := proc.Within(i.guard, func() result {
		target, err := i.read(pid, listeners, how)
		return result{target, err}
	})
	if !ok {
		return Target{}, fmt.Errorf("inspect process %d: %w", pid, ErrStuck)
	}
	if r.err != nil {
		return Target{}, fmt.Errorf("inspect process %d: %w", pid, r.err)
	}
	return r.target, nil
}

func (i *Inspector) read(pid uint32, listeners *proc.Listeners, how depth) (Target, error) {
	p, err := i.fs.Open(pid)
	if err != nil {
		return Target{}, err
	}
	defer p.Close()
	facts, err := i.facts(p, listeners, how == complete)
	if err != nil {
		return Target{}, err
	}
	// The agent starts itself for its self-tests.
	facts.Self = pid == i.self || facts.Parent == i.self && facts.Exe == i.exe
	target := Target{Facts: facts}
	target.Watch, target.Reason = i.rules.Match(facts)
	if how >= decisive && target.Watch || how == complete && !facts.KernelThread {
		target.Program = program.Loaded(p, i.programs.Identify(p, facts.Exe))
	}
	return target, nil
}

// facts reads what the rules look at, or all there is. A zombie counts as gone.
func (i *Inspector) facts(p *proc.Process, listeners *proc.Listeners, all bool) (Facts, error) {
	stat, err := p.Stat()
	if err != nil {
		return Facts{}, err
	}
	if stat.Zombie {
		return Facts{}, ErrGone
	}
	facts := Facts{PID: p.PID, Parent: stat.Parent, Comm: stat.Comm, KernelThread: stat.KernelThread}
	if facts.KernelThread {
		return facts, nil
	}
	exe, err := p.Link("exe")
	if err != nil {
		return Facts{}, err
	}
	facts.Exe = strings.TrimSuffix(exe, " (deleted)")
	if all || i.need("cgroup", "container") {
		if facts.Cgroups, err = p.Cgroups(); err != nil {
			return Facts{}, err
		}
		facts.Container = proc.Container(facts.Cgroups)
	}
	if all || i.need("port") {
		if facts.Ports, err = listeners.Ports(p); err != nil {
			return Facts{}, err
		}
	}
	return facts, nil
}
