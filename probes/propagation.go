package probes

import (
	"net/netip"
	"strings"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/probes/discover"
)

// Rungs are the ways in which an outgoing request may carry its context, as a
// set.
type Rungs uint8

const (
	RungLocal   Rungs = 1 << iota // both ends on this host: nothing is written
	RungHeaders                   // a traceparent header in plain HTTP/1.x
	RungTCP                       // a TCP option on the segment of the request
)

// rungNames holds the rungs in their order.
var rungNames = []struct {
	rung Rungs
	name string
}{{RungLocal, "local"}, {RungHeaders, "headers"}, {RungTCP, "tcp"}}

// ParseRung returns the rung of this name: local, headers, tcp.
func ParseRung(name string) (Rungs, bool) {
	for _, r := range rungNames {
		if r.name == name {
			return r.rung, true
		}
	}
	return 0, false
}

// Has reports whether all of the wanted are in the set.
func (r Rungs) Has(wanted Rungs) bool { return r&wanted == wanted }

// String names the rungs as CLEW_PROPAGATION does, "none" if there are none.
func (r Rungs) String() string {
	var names []string
	for _, known := range rungNames {
		if r.Has(known.rung) {
			names = append(names, known.name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ",")
}

// Propagation says how context leaves the programs of this node. The zero value
// writes nothing.
type Propagation struct {
	Rungs      Rungs                  // of every process that no exception names
	Forced     Rungs                  // used even though their self-test fails
	Exceptions []Exception            // the first one that fits a process decides
	Peers      []netip.Prefix         // hosts that options are sent to and taken from
	Formats    traceparent.Propagator // headers that are read
}

// Exception gives some processes rungs of their own.
type Exception struct {
	Rules discover.Rules
	Rungs Rungs
}

// all is the set of rungs that some process may use.
func (p Propagation) all() Rungs {
	rungs := p.Rungs
	for _, e := range p.Exceptions {
		rungs |= e.Rungs
	}
	return rungs
}

// Outward reports whether some process may use a rung that reaches other hosts.
func (p Propagation) Outward() bool { return p.all()&(RungHeaders|RungTCP) != 0 }

// Of returns the rungs that a process may use, and the exception that says so;
// nil if none fits. The facts are to be filled as Asked wants them.
func (p Propagation) Of(facts discover.Facts) (Rungs, *Exception) {
	for i, e := range p.Exceptions {
		if fits, _ := e.Rules.Match(facts); fits {
			return e.Rungs, &p.Exceptions[i]
		}
	}
	return p.Rungs, nil
}

// Asked returns the rules of the exceptions, for discover.New.
func (p Propagation) Asked() []discover.Rules {
	rules := make([]discover.Rules, len(p.Exceptions))
	for i, e := range p.Exceptions {
		rules[i] = e.Rules
	}
	return rules
}

// mayChange says that an exception may come to fit a process that runs, or cease
// to.
func (p Propagation) mayChange() bool {
	for _, e := range p.Exceptions {
		if e.Rules.MayChange() {
			return true
		}
	}
	return false
}

// Flags of targets.h that say which rungs a process may use, and those of rungs
// that reach other hosts.
const (
	rungFlags    = outwardFlags | socketTargetFlagsTARGET_NO_LOCAL
	outwardFlags = socketTargetFlagsTARGET_HEADERS | socketTargetFlagsTARGET_TCP
)

// flags says in the kernel's terms which rungs a process may use.
func (p Propagation) flags(facts discover.Facts) socketTargetFlags {
	rungs, _ := p.Of(facts)
	var flags socketTargetFlags
	if rungs.Has(RungHeaders) {
		flags |= socketTargetFlagsTARGET_HEADERS
	}
	if rungs.Has(RungTCP) {
		flags |= socketTargetFlagsTARGET_TCP
	}
	if !rungs.Has(RungLocal) {
		flags |= socketTargetFlagsTARGET_NO_LOCAL
	}
	return flags
}

// RungState is what became of a rung at the start, or since.
type RungState struct {
	Name   string // as in CLEW_PROPAGATION
	On     bool
	Forced bool // on although its self-test failed
	Trying bool // its self-test is not over
	// Reason says why the rung is off, or what the self-test of one that is
	// forced has found; "" if it works, or nobody asked for it.
	Reason string
}

// Rungs says of every rung whether it is in use, in their order.
func (p *Probes) Rungs() []RungState {
	local := RungState{Name: "local", On: p.watch.propagation.all().Has(RungLocal)}
	if local.On && !p.Local() {
		local.On = false
		local.Reason = "the hooks of family " + p.Family() + " come after the bytes have left; clew doctor says more"
	}
	return append([]RungState{local}, p.outward.rungs()...)
}
