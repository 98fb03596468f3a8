// Package probes is the kernel side's only partner in user space: it loads and
// attaches the BPF programs, decides which processes they watch, and turns their
// records into protocol messages.
//
// Life: New loads and attaches, or says plainly what is missing and leaves
// nothing behind. Run reads until its context ends, and then what is still in
// the ring. Close detaches and frees everything; the kernel does the same if the
// agent is killed, since nothing is pinned.
package probes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"go.uber.org/zap"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/probes/discover"
	"github.com/clewtrace/clew/probes/protocol"
)

// Config says what to watch and how to decide.
type Config struct {
	Family          string              // of triggers: "tracepoint", "fentry", "kprobe", or "" for the best
	Rules           discover.Rules      // which processes are watched
	Sampler         traceparent.Sampler // of traces that begin here
	TracesPerSecond float64             // budget of such traces for the node; 0: no limit
	KeepErrors      bool                // record unsampled requests that fail
	KeepSlow        time.Duration       // record unsampled requests that take longer; 0: none
	Propagation     Propagation         // how context leaves the programs
}

// Happening is what befell a process.
type Happening uint8

const (
	Exec  Happening = iota + 1 // it started a program
	Fork                       // it was forked by Parent, a watched process
	Exit                       // its last thread ended
	Found                      // it was running before it was watched
)

// Lifecycle is what the kernel tells of a process. Of an exec, Comm and Filename
// are the kernel's own words, and all there is if the process is gone already. Of
// a process that was found only the id is given.
type Lifecycle struct {
	Happening      Happening
	PID, Parent    uint32
	Time           time.Time
	Comm, Filename string
}

// Probes is the kernel side at work.
type Probes struct {
	log       *zap.Logger
	family    *attached
	processes *attached
	uprobes   *uprobes
	outward   *outward
	watch     *watcher
	ring      *ringbuf.Reader
	stats     *ebpf.Map
	requests  *ebpf.Map
	likes     *ebpf.Map
	clock     clock
	malformed atomic.Uint64
	forgotten atomic.Uint64
	running   atomic.Bool
}

// ErrNotPermitted says that the kernel refuses to load or attach.
var ErrNotPermitted = errors.New("not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE")

// New loads and attaches the programs. The error names each family of triggers
// that was tried and why it failed.
func New(log *zap.Logger, config Config) (*Probes, error) {
	// Before Linux 5.11 maps count against this limit. Failing is no reason to
	// stop: the maps say so themselves if it matters.
	_ = rlimit.RemoveMemlock()
	set, err := config.settings()
	if err != nil {
		return nil, err
	}
	p := &Probes{log: log}
	if err := p.attach(config, set); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	maps := p.family.collection.Maps
	p.stats, p.requests, p.likes = maps["stats"], maps["requests"], maps["likes"]
	if p.ring, err = ringbuf.NewReader(maps["events"]); err != nil {
		return nil, errors.Join(fmt.Errorf("open ring buffer: %w", err), p.Close())
	}
	inspector, err := discover.New("", config.Rules, config.Propagation.Asked()...)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.watch = newWatcher(log, inspector, config.Propagation, p.processes.collection.Maps, p.uprobes)
	if config.Propagation.Outward() {
		p.outward = startOutward(log, config, set, p.family)
		p.watch.entered = p.outward.enter
	}
	return p, nil
}

func (p *Probes) attach(config Config, set settings) error {
	var errs []error
	for _, f := range families() {
		if config.Family != "" && config.Family != f.name {
			continue
		}
		a, err := f.attach(set, nil)
		if err == nil {
			p.family = a
			break
		}
		errs = append(errs, fmt.Errorf("%s (needs %s): %w", f.name, f.needs, err))
	}
	if p.family == nil {
		return explainFailure(config.Family, errs)
	}
	shared := p.family.collection.Maps
	var err error
	if p.processes, err = processes().attach(set, shared); err != nil {
		return fmt.Errorf("watch processes: %w", err)
	}
	p.uprobes, err = newUprobes(set, shared)
	if err != nil {
		p.log.Warn("requests of Go's net/http client will have no parent", zap.Error(err))
	}
	return nil
}

func explainFailure(forced string, errs []error) error {
	if len(errs) == 0 {
		return fmt.Errorf("no such family of hooks: %q (tracepoint, fentry or kprobe)", forced)
	}
	err := errors.Join(errs...)
	if errors.Is(err, ebpf.ErrNotSupported) || !strings.Contains(err.Error(), "operation not permitted") {
		return fmt.Errorf("attach to sockets: %w", err)
	}
	return fmt.Errorf("attach to sockets: %w: %w", ErrNotPermitted, err)
}

// Family names the hooks in use.
func (p *Probes) Family() string { return p.family.family.name }

// Missing names what optional hooks, absent here, would have added.
func (p *Probes) Missing() []string { return p.family.missing }

// Local reports whether rung 0 works: the hook is there and it is not switched
// off.
func (p *Probes) Local() bool { return p.family.early }

// Ready says why no spans can be expected yet; nil if they can.
func (p *Probes) Ready() error {
	if !p.running.Load() {
		return errors.New("running processes have not been looked at yet")
	}
	if p.outward.trying() {
		return errors.New("the self-tests of propagation to other hosts are under way")
	}
	return nil
}

// Sinks receive what the kernel tells, in its order and from one goroutine; only
// what was found comes from another. All are required. What they are given is
// used again when they return.
type Sinks struct {
	Message   func(*protocol.Message)
	Segment   func(*protocol.Segment)
	Lifecycle func(Lifecycle)

	message protocol.Message // being handed over
	segment protocol.Segment
}

// Run hands over what the kernel tells until ctx ends and the ring is empty.
func (p *Probes) Run(ctx context.Context, out Sinks) error {
	p.clock.set()
	p.watch.notify = out.Lifecycle
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.watch.run(ctx, &p.running)
	}()
	go p.tend(ctx)
	var reaching sync.WaitGroup
	reaching.Go(func() { p.outward.run(ctx) })
	err := p.read(ctx, &out)
	<-done
	reaching.Wait()
	return err
}

// staleRequest is when an open request is taken for forgotten: its connection's
// end was not seen, as of unix sockets.
const staleRequest = 15 * time.Minute

// sweepEvery is in seconds. A sweep is 16384 system calls, some 5 ms.
const sweepEvery = 300

// tend follows the clock and sweeps out forgotten requests.
func (p *Probes) tend(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.clock.set()
		if n%sweepEvery == 0 {
			p.sweep()
		}
	}
}

// sweep frees the slots of forgotten requests. One that is closed and taken again
// in this very moment is freed too: it is then nobody's parent, which is no harm.
// The count of a process's open requests stays too high, which costs links and
// makes none.
func (p *Probes) sweep() {
	oldest := p.clock.monotonic() - uint64(staleRequest)
	var r socketRequest
	for slot := uint32(0); slot < p.requests.MaxEntries(); slot++ {
		// 0 is free; 1 is being filled (REQUEST_CLAIMED), with the last one's time.
		if p.requests.Lookup(slot, &r) != nil || r.Id <= 1 || r.StartedNs > oldest {
			continue
		}
		if p.requests.Put(slot, socketRequest{}) == nil {
			p.forgotten.Add(1)
			_ = p.likes.Delete(socketLikeKey{Hash: r.Line, Tgid: uint64(r.Tgid)})
			_ = p.likes.Delete(socketLikeKey{Hash: r.Received, Tgid: uint64(r.Tgid)})
		}
	}
}

// detach takes all hooks away. The order is that of harm: first what costs the
// traced programs most, then what fills the ring, then what watches processes.
func (p *Probes) detach() {
	err := errors.Join(p.outward.detach(), p.uprobes.removeAll(), p.family.detach(), p.processes.detach())
	if err != nil {
		p.log.Warn("detaching failed", zap.Error(err))
	}
}

// Close detaches and frees everything. Doing it after a failed New is right too.
func (p *Probes) Close() error {
	var errs []error
	errs = append(errs, p.outward.Close())
	if p.uprobes != nil {
		errs = append(errs, p.uprobes.Close())
	}
	if p.family != nil {
		errs = append(errs, p.family.Close())
	}
	if p.processes != nil {
		errs = append(errs, p.processes.Close())
	}
	if p.ring != nil {
		errs = append(errs, p.ring.Close())
	}
	return errors.Join(errs...)
}
