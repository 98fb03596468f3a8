package probes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// outward decides which of the rungs that reach other hosts are in use: those
// that are wanted, that this kernel can do, that passed their self-test or are
// forced, and that the watchdog has not taken out since.
type outward struct {
	log      *zap.Logger
	config   Config
	family   family
	injector *injector // nil: none of it loads here
	ready    chan struct{}

	mu     sync.Mutex
	states []RungState
}

// outwardRungs are tried in this order.
var outwardRungs = []Rungs{RungHeaders, RungTCP}

// startOutward loads what the rungs need. What is missing is said by states, and
// is no reason not to trace.
func startOutward(log *zap.Logger, config Config, set settings, of *attached) *outward {
	o := &outward{log: log, config: config, family: of.family, ready: make(chan struct{})}
	for _, rung := range outwardRungs {
		state := RungState{Name: rung.String()}
		if config.Propagation.all().Has(rung) {
			state.Trying, state.Reason = true, "its self-test is under way"
		}
		o.states = append(o.states, state)
	}
	var err error
	if o.injector, err = newInjector(log, set, of, config.Propagation.Peers); err != nil {
		for _, rung := range outwardRungs {
			o.set(rung, RungState{Reason: err.Error()})
		}
	}
	return o
}

// set changes the state of a rung that somebody wants.
func (o *outward) set(rung Rungs, state RungState) {
	if !o.config.Propagation.all().Has(rung) {
		return
	}
	state.Name = rung.String()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.states {
		if o.states[i].Name == state.Name {
			o.states[i] = state
		}
	}
}

func (o *outward) isOn(rung Rungs) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.states {
		if s.Name == rung.String() {
			return s.On
		}
	}
	return false
}

// trying says that it is not decided yet which rungs are in use.
func (o *outward) trying() bool {
	if o == nil {
		return false
	}
	select {
	case <-o.ready:
		return false
	default:
		return true
	}
}

// rungs returns the states.
func (o *outward) rungs() []RungState {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]RungState(nil), o.states...)
}

// enter is told of each process that may use one of the rungs.
func (o *outward) enter(pid uint32) {
	if o.injector != nil {
		o.injector.enter(pid)
	}
}

// run tries the rungs, uses those that may be used, and watches over them until
// ctx ends.
func (o *outward) run(ctx context.Context) {
	if o == nil {
		return
	}
	if o.injector == nil {
		close(o.ready)
		return
	}
	var looking sync.WaitGroup
	looking.Go(func() { o.injector.run(ctx) })
	o.try(ctx)
	close(o.ready)
	o.guard(ctx)
	looking.Wait() // what it uses may be closed then
}

// try runs the self-tests and turns on, at once, the rungs that may be used: a
// connection is looked at only once.
func (o *outward) try(ctx context.Context) {
	var wanted []Rungs
	for _, rung := range outwardRungs {
		if o.config.Propagation.all().Has(rung) {
			wanted = append(wanted, rung)
		}
	}
	verdicts := selfTest(ctx, o.log, o.config, o.family, wanted)
	var on Rungs
	for rung, err := range verdicts {
		if err == nil || o.config.Propagation.Forced.Has(rung) && !errors.Is(err, errImpossible) {
			on |= rung
		}
	}
	if ctx.Err() != nil {
		return
	}
	failed := o.injector.enable(on)
	for _, rung := range wanted {
		if failed != nil && on.Has(rung) {
			o.tell(rung, false, failed)
			continue
		}
		o.tell(rung, on.Has(rung), verdicts[rung])
	}
}

// tell sets and logs what came of a rung, of whose self-test err is the result.
func (o *outward) tell(rung Rungs, on bool, err error) {
	state := RungState{On: on, Forced: on && err != nil}
	if err != nil {
		state.Reason = err.Error()
	}
	o.set(rung, state)
	log := o.log.With(zap.Stringer("rung", rung))
	switch {
	case state.Forced:
		log.Warn("propagation to other hosts is forced although its self-test failed: traced programs may be harmed", zap.Error(err))
	case on:
		log.Info("propagation to other hosts works")
	default:
		log.Warn("no propagation to other hosts by this rung", zap.String("reason", state.Reason))
	}
}

// takeOut turns a rung off for good.
func (o *outward) takeOut(rung Rungs, reason string) {
	err := o.injector.disable(rung)
	o.set(rung, RungState{Reason: reason})
	o.log.Error("propagation to other hosts was taken out", zap.Stringer("rung", rung), zap.String("reason", reason), zap.Error(err))
}

// detach restores every socket and leaves every cgroup.
func (o *outward) detach() error {
	if o == nil || o.injector == nil {
		return nil
	}
	if err := errors.Join(o.injector.disable(RungHeaders|RungTCP), o.injector.groups.Close()); err != nil {
		return fmt.Errorf("take propagation away: %w", err)
	}
	return nil
}

// Close does the same and frees everything.
func (o *outward) Close() error {
	if o == nil || o.injector == nil {
		return nil
	}
	return o.injector.Close()
}
