package assemble

import "sync/atomic"

// outcome is what became of an exchange, as an index of counters.
type outcome uint8

const (
	seen           outcome = iota
	kept                   // as it is
	targetDropped          // kept, named by its operation: the service has too many names
	targetUnproved         // kept, named by its operation: nothing shows that the target exists
	parentConflict         // kept, as an orphan: what was said of its parent contradicts itself
	noIdentity             // an id is missing
	noProcess              // nobody knows who it was
	ownClient              // the program exports this client span itself
	ownServer              // the program exports this server span itself
	numOutcomes
)

// outcomes names them for Counts.
var outcomes = [numOutcomes]struct{ outcome, reason string }{
	seen:           {"seen", ""},
	kept:           {"kept", ""},
	targetDropped:  {"kept", "target_dropped"},
	targetUnproved: {"kept", "target_unproved"},
	parentConflict: {"kept", "parent_conflict"},
	noIdentity:     {"dropped", "no_identity"},
	noProcess:      {"dropped", "process_unknown"},
	ownClient:      {"dropped", "own_client_span"},
	ownServer:      {"dropped", "own_server_span"},
}

// counters are written by one goroutine and read by any.
type counters [numOutcomes]atomic.Uint64

func (c *counters) add(o outcome) { c[o].Add(1) }

// Counts reports how many exchanges were seen, and how many spans were kept and
// dropped, by reason. Every exchange counts once among kept and dropped. Any
// goroutine may call it.
func (a *Assembler) Counts(report func(outcome, reason string, n uint64)) {
	for i := range outcomes {
		report(outcomes[i].outcome, outcomes[i].reason, a.counters[i].Load())
	}
}
