package probes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"go.uber.org/zap"

	"github.com/clewtrace/clew/probes/trial"
)

// selfTest tries rungs that reach other hosts on sockets of its own: with a second
// set of programs and maps, in which nothing but the trial's own process is
// watched. It returns what speaks against each of them, nil if nothing does.
func selfTest(ctx context.Context, log *zap.Logger, config Config, f family, rungs []Rungs) map[Rungs]error {
	verdicts := make(map[Rungs]error)
	if len(rungs) == 0 {
		return verdicts
	}
	t, err := openTrial(ctx, log, config, f)
	if err == nil {
		defer t.close()
	}
	for _, rung := range rungs {
		if err != nil {
			verdicts[rung] = fmt.Errorf("make ready for the self-test: %w", err)
			continue
		}
		if verdicts[rung] = t.injector.lacks(rung); verdicts[rung] != nil {
			continue
		}
		verdicts[rung] = trial.Run(ctx, rung.String(), trial.Setting{
			Enter: func(pid uint32, cgroup string) error { return t.enter(pid, cgroup, rung) },
			Check: func() error { return t.check(rung) },
		})
	}
	return verdicts
}

// trials is the second set.
type trials struct {
	*attached
	injector  *injector
	cancel    context.CancelFunc
	listening chan struct{}
}

func openTrial(ctx context.Context, log *zap.Logger, config Config, f family) (*trials, error) {
	set, err := trialSettings(config)
	if err != nil {
		return nil, err
	}
	a, err := f.attach(set, nil)
	if err != nil {
		return nil, err
	}
	peers := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	i, err := newInjector(log, set, a, peers)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	listening, err := i.listen(ctx, a.collection.Maps["events"])
	if err != nil {
		cancel()
		return nil, errors.Join(err, i.Close(), a.Close())
	}
	return &trials{attached: a, injector: i, cancel: cancel, listening: listening}, nil
}

func (t *trials) close() {
	t.cancel()
	<-t.listening
	_ = t.injector.Close() // nothing but the trial's own sockets was in it
	_ = t.Close()
}

// trialSettings keep the trial to itself: no process is found, nothing is
// sampled, and rung 0 does not hide the others.
func trialSettings(config Config) (settings, error) {
	trial := Config{Family: config.Family}
	trial.Propagation.Rungs = RungHeaders | RungTCP
	trial.Propagation.Formats = config.Propagation.Formats
	set, err := trial.settings()
	if err != nil {
		return nil, err
	}
	set["watch_everything"] = false
	set["sample_bound"] = uint64(0)
	return set, nil
}

// enter watches the process of a trial, with one rung.
func (t *trials) enter(pid uint32, cgroup string, rung Rungs) error {
	flags := socketTargetFlagsTARGET_KNOWN | socketTargetFlagsTARGET_NO_LOCAL
	if rung == RungHeaders {
		flags |= socketTargetFlagsTARGET_HEADERS
	} else {
		flags |= socketTargetFlagsTARGET_TCP
	}
	if err := t.collection.Maps["targets"].Put(pid, socketTarget{Flags: flags}); err != nil {
		return fmt.Errorf("watch the trial: %w", err)
	}
	if err := t.injector.enable(rung); err != nil {
		return err
	}
	return t.injector.groups.addDir(cgroup, t.injector.collection.Programs["sock_ops"])
}

// listen does for a trial what read does for the rest: it hears which connections
// are to be looked at.
func (i *injector) listen(ctx context.Context, events *ebpf.Map) (done chan struct{}, err error) {
	ring, err := ringbuf.NewReader(events)
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	done = make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { i.run(ctx) })
	go func() {
		defer close(done)
		defer looking.Wait() // what it uses may be closed then
		defer ring.Close()
		var record ringbuf.Record
		for ctx.Err() == nil {
			ring.SetDeadline(time.Now().Add(ringTick))
			if err := ring.ReadInto(&record); errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			} else if err != nil {
				return
			}
			if len(record.RawSample) < int(unsafe.Sizeof(socketSettle{})) {
				continue
			}
			r := (*socketSettle)(unsafe.Pointer(&record.RawSample[0]))
			if r.Kind == socketEventKindEVENT_SETTLE {
				i.ask(r.Tgid)
			}
		}
	}()
	return done, nil
}

// check says whether the kernel did what the trial saw no harm of.
func (t *trials) check(rung Rungs) error {
	counts := t.collection.Maps["stats"]
	wanted := []socketStat{socketStatSTAT_INJECTED}
	if rung == RungTCP {
		wanted = []socketStat{socketStatSTAT_OPTION_SENT, socketStatSTAT_OPTION_RECEIVED}
	}
	for _, s := range wanted {
		if sumCPUs(counts, uint32(s)) == 0 {
			return fmt.Errorf("nothing was written, or nothing of it arrived: no %s", stats()[s].reason)
		}
	}
	return nil
}
