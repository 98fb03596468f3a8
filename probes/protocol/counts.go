package protocol

import "sync/atomic"

// outcome is what became of a request, as an index of counters.
type outcome uint8

const (
	seen outcome = iota
	kept
	expired     // kept too: handed on as failed
	malformed   // the bytes are no request, or the response is none
	roleUnknown // neither client nor server
	opaque      // behind an upgrade
	recordLost  // pending when the ring lost a record of the connection
	unpaired    // its response can't be told from others
	tableFull   // too many connections or requests
	tooDeep     // too many requests at once on one connection
	unsampled   // decided here
	endUnseen   // the end of its response never came
	stray       // a response whose request was not seen
	unknownPart
	gap         // bytes with the begins of frames in them went by unseen
	gaveUp      // connections that repeatedly stopped making sense
	auxiliary   // not a query but what surrounds one, and it went well
	unprepared  // kept too: runs a statement that was prepared unseen
	notExecuted // it was only prepared, or left out after an error before it
	quick       // a lookup that went well, and soon
	uncaptured  // what it is stands beyond what is captured
	sealed      // kept too: carries messages whose headers are compressed or not captured
	numOutcomes
)

// outcomes names them for Counts.
var outcomes = [numOutcomes]struct{ outcome, reason string }{
	seen:        {"seen", ""},
	kept:        {"kept", ""},
	expired:     {"kept", "no_response"},
	malformed:   {"dropped", "malformed"},
	roleUnknown: {"dropped", "role_unknown"},
	opaque:      {"dropped", "opaque"},
	recordLost:  {"dropped", "record_lost"},
	unpaired:    {"dropped", "pairing_unsure"},
	tableFull:   {"dropped", "table_full"},
	tooDeep:     {"dropped", "pipeline_too_deep"},
	unsampled:   {"dropped", "unsampled"},
	endUnseen:   {"dropped", "end_unseen"},
	stray:       {"dropped", "response_without_request"},
	unknownPart: {"dropped", "unknown_part"},
	gap:         {"dropped", "bytes_unseen"},
	gaveUp:      {"dropped", "connection_given_up"},
	notExecuted: {"dropped", "not_executed"},
	auxiliary:   {"dropped", "auxiliary"},
	unprepared:  {"kept", "prepared_unseen"},
	quick:       {"dropped", "quick_lookup"},
	uncaptured:  {"dropped", "beyond_capture"},
	sealed:      {"kept", "headers_unseen"},
}

// counters are written by one goroutine and read by any.
type counters [numOutcomes]atomic.Uint64

func (c *counters) add(o outcome) { c[o].Add(1) }

// Counts reports how many requests were seen, kept and dropped, and why; also
// responses without a request, as dropped. Any goroutine may call it.
func (s *Conversations) Counts(report func(outcome, reason string, n uint64)) {
	for i := range outcomes {
		report(outcomes[i].outcome, outcomes[i].reason, s.counters[i].Load())
	}
}
