package probes

import (
	"context"
	"fmt"
	"time"
)

// guardEvery is how often the watchdog looks.
const guardEvery = 5 * time.Second

// Bounds of the watchdog. So many requests have to fare badly, and so much more
// often than those that nothing was written to, before it is taken for harm.
const (
	harmCount  = 10
	harmFactor = 3
	// Stalls come from the way, which is nearly the same for all.
	stalledShare = 0.05
	// Servers that fail are more uneven.
	unansweredShare = 0.25
)

// fate is how requests fared: bpf/include/outcome.h.
type fate struct{ answered, stalled, unanswered uint64 }

func (f fate) minus(g fate) fate {
	return fate{f.answered - g.answered, f.stalled - g.stalled, f.unanswered - g.unanswered}
}

// worse says in what respect requests fare worse with a rung than without it, ""
// if in none.
func (f fate) worse(without fate) string {
	all, allWithout := f.answered+f.unanswered, without.answered+without.unanswered
	if exceeds(f.unanswered, all, without.unanswered, allWithout, unansweredShare) {
		return fmt.Sprintf("%d of %d requests were not answered, %d of %d without it",
			f.unanswered, all, without.unanswered, allWithout)
	}
	if exceeds(f.stalled, f.answered, without.stalled, without.answered, stalledShare) {
		return fmt.Sprintf("%d of %d requests had to be sent again, %d of %d without it",
			f.stalled, f.answered, without.stalled, without.answered)
	}
	return ""
}

// exceeds compares two shares. Of few requests without the rung little is known: as
// much is then allowed as they could hide (Laplace's rule of succession).
func exceeds(bad, all, badWithout, allWithout uint64, slack float64) bool {
	before := float64(badWithout+1) / float64(allWithout+2)
	return bad >= harmCount && float64(bad)/float64(all) > harmFactor*before+slack
}

// guard compares how requests fare with a rung and without, and takes a rung out
// that does harm.
func (o *outward) guard(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	last := make(map[socketClass]fate)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		without := o.injector.fate(socketClassCLASS_PLAIN)
		for class, rung := range map[socketClass]Rungs{
			socketClassCLASS_HEADER: RungHeaders,
			socketClassCLASS_OPTION: RungTCP,
		} {
			now := o.injector.fate(class)
			if why := now.minus(last[class]).worse(without); why != "" && o.isOn(rung) {
				o.takeOut(rung, "taken out by the watchdog: "+why)
			}
			last[class] = now
		}
	}
}

// fate sums up what the processors counted of a class.
func (i *injector) fate(class socketClass) fate {
	var sum fate
	var perCPU []socketOutcome
	if i.outcomes.Lookup(uint32(class), &perCPU) != nil {
		return sum
	}
	for _, o := range perCPU {
		sum.answered += o.Answered
		sum.stalled += o.Stalled
		sum.unanswered += o.Unanswered
	}
	return sum
}
