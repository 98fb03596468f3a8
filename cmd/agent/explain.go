package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/clewtrace/clew/probes/discover"
	"github.com/clewtrace/clew/probes/golang"
)

// explain says whether a process is traced and what could tie its requests
// together. It reads the same environment as the agent, so that the answer is
// the running agent's when it is asked beside it.
func explain(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		return complain(stderr, exitConfiguration, errors.New("explain takes one process number: clew explain PID"))
	}
	pid, err := strconv.ParseUint(args[0], 10, 22) // PID_MAX_LIMIT is 2^22
	if err != nil || pid == 0 {
		return complain(stderr, exitConfiguration, fmt.Errorf("explain: %q is not a process number", args[0]))
	}
	c, err := loadConfig(environ, "")
	if err != nil {
		return complain(stderr, exitConfiguration, err)
	}
	inspector, err := discover.New("", c.rules, c.propagation.Asked()...)
	if err != nil {
		return complain(stderr, exitEnvironment, err)
	}
	target, lines, err := inspector.Explain(uint32(pid))
	switch {
	case errors.Is(err, discover.ErrGone):
		return complain(stderr, exitEnvironment, fmt.Errorf("process %d does not exist, or has just ended", pid))
	case errors.Is(err, os.ErrPermission):
		return complain(stderr, exitEnvironment, fmt.Errorf("%w; run clew explain as root", err))
	case err != nil:
		return complain(stderr, exitEnvironment, err)
	}
	if slices.ContainsFunc(lines, func(l discover.Line) bool { return l.Name == "executable" }) {
		lines = append(lines, evidence(pid)...)
		lines = append(lines, propagation(c, target)...)
	}
	for _, line := range lines {
		fmt.Fprintf(stdout, "%-12s %s\n", line.Name, line.Text)
	}
	return exitOK
}

// evidence says what can tie an outgoing request of the process to an incoming
// one, besides what discovery says of its threads.
func evidence(pid uint64) []discover.Line {
	lines := []discover.Line{{Name: "evidence", Text: "header: a traceparent that it sends or receives"}}
	if text := goroutines(fmt.Sprintf("/proc/%d/exe", pid)); text != "" {
		return append(lines, discover.Line{Name: "goroutines", Text: text})
	}
	return append(lines, discover.Line{Name: "evidence",
		Text: "fork: of a process or thread that it starts while serving one request, the first request"})
}

// propagation says by which rungs the context of the process's requests may
// leave, and why by these.
func propagation(c config, target discover.Target) []discover.Line {
	if !target.Watch {
		return []discover.Line{{Name: "propagation", Text: "none: it is not watched"}}
	}
	rungs, exception := c.propagation.Of(target.Facts)
	why := "CLEW_PROPAGATION makes no exception of it"
	if exception != nil {
		why = "CLEW_PROPAGATION makes an exception of " + exception.Rules.String()
	}
	lines := []discover.Line{{Name: "propagation", Text: rungs.String() + ": " + why}}
	if rungs != 0 {
		lines = append(lines, discover.Line{Name: "propagation", Text: "clew doctor says which of these work on this node"})
	}
	for _, remark := range c.remarks {
		lines = append(lines, discover.Line{Name: "propagation", Text: remark})
	}
	return lines
}

// goroutines says whether the goroutines of a program can be told apart; it is
// empty for programs that have none.
func goroutines(exe string) string {
	layout, err := golang.Inspect(exe)
	var unsupported *golang.UnsupportedError
	switch {
	case errors.Is(err, golang.ErrNotGo):
		return ""
	case errors.As(err, &unsupported):
		return "not told apart: " + unsupported.Error()
	case err != nil:
		return "unknown: " + err.Error()
	case layout.RoundTrip == 0:
		return fmt.Sprintf("told apart (%s), not in its net/http clients: %s", layout.Version, layout.NoRoundTrip)
	}
	return fmt.Sprintf("told apart (%s), also in its net/http clients", layout.Version)
}
