package trial

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// variable carries the name of the trial to the child.
const variable = "CLEW_TRIAL"

// What the child inherits besides the standard files.
const (
	leashFile  = 3 // one byte says go; the end of the stream says end
	reportFile = 4 // takes lines of JSON
)

// A check looks for one kind of harm.
type check struct {
	name string
	run  func(*bench) error // what is wrong
}

// trials are the checks of each trial, in their order. If the first one of a trial
// fails, the others would prove nothing.
var trials = map[string][]check{
	Headers: headerChecks,
	TCP:     optionChecks,
}

// line is one record of the child's report: exactly one field is set.
type line struct {
	Step   string `json:"step,omitempty"`   // the check that begins
	Reason string `json:"reason,omitempty"` // why it failed
	Done   bool   `json:"done,omitempty"`   // the last line: all steps have been taken
}

// Child carries out a trial and ends the process, if it is the child of a Run.
// Otherwise it returns at once. It must be the first call of main, so that the
// process has no socket before.
func Child() {
	if name := os.Getenv(variable); name != "" {
		os.Exit(child(name, trials[name]))
	}
}

// child returns the exit code of the process.
func child(name string, checks []check) int {
	leash, out := os.NewFile(leashFile, "leash"), os.NewFile(reportFile, "report")
	if !isPipe(leash) || !isPipe(out) || len(checks) == 0 {
		fmt.Fprintf(os.Stderr, "clew: the variable %s=%s is for clew's own use: unset it\n", variable, name)
		return 2
	}
	var start [1]byte
	if _, err := io.ReadFull(leash, start[:]); err != nil {
		return 0 // let go before it began
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		io.Copy(io.Discard, leash) //nolint:errcheck // however the leash ends, it ends
	}()
	lines := json.NewEncoder(out)
	report := func(l line) {
		if err := lines.Encode(l); err != nil {
			os.Exit(1) // nobody listens any more
		}
	}
	go func() {
		carryOut(checks, direct, report)
		report(line{Done: true}) // not deferred: a panic is no verdict
	}()
	<-released
	return 0
}

func isPipe(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// carryOut takes one step after the other and reports it.
func carryOut(checks []check, through through, report func(line)) {
	b, err := newBench(netip.AddrFrom4([4]byte{127, 0, 0, 1}), through)
	if err != nil {
		report(line{Step: "server"})
		report(line{Reason: err.Error()})
		return
	}
	defer b.close()
	for i, c := range checks {
		report(line{Step: c.name})
		if err := c.run(b); err != nil {
			report(line{Reason: err.Error()})
			if i == 0 {
				return
			}
		}
	}
}
