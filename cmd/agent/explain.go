package main

import (
	"errors"
	"fmt"
	"io"
	"os"
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
	inspector, err := discover.New("", c.rules)
	if err != nil {
		return complain(stderr, exitEnvironment, err)
	}
	lines, err := inspector.Explain(uint32(pid))
	switch {
	case errors.Is(err, discover.ErrGone):
		return complain(stderr, exitEnvironment, fmt.Errorf("process %d does not exist, or has just ended", pid))
	case errors.Is(err, os.ErrPermission):
		return complain(stderr, exitEnvironment, fmt.Errorf("%w; run clew explain as root", err))
	case err != nil:
		return complain(stderr, exitEnvironment, err)
	}
	for _, line := range append(lines, evidence(c, pid)...) {
		fmt.Fprintf(stdout, "%-12s %s\n", line.Name, line.Text)
	}
	return exitOK
}

// evidence says what can tie an outgoing request of the process to an incoming
// one, besides its threads.
func evidence(c config, pid uint64) []discover.Line {
	local := "yes: contexts are handed over between processes of this node, where clew doctor finds the early send hook"
	if !c.local {
		local = "no: CLEW_PROPAGATION is none"
	}
	return []discover.Line{
		{Name: "header", Text: "yes: a traceparent that the program sends or receives is honoured"},
		{Name: "local", Text: local},
		{Name: "goroutine", Text: goroutine(fmt.Sprintf("/proc/%d/exe", pid))},
		{Name: "fork", Text: "yes: for a process or thread that it starts while serving one request"},
	}
}

// goroutine says whether the goroutines of a program can be told apart.
func goroutine(exe string) string {
	layout, err := golang.Inspect(exe)
	var unsupported *golang.UnsupportedError
	switch {
	case errors.Is(err, golang.ErrNotGo):
		return "no: not a Go program"
	case errors.As(err, &unsupported):
		return "no: " + unsupported.Error()
	case err != nil:
		return "unknown: " + err.Error()
	case layout.RoundTrip == 0:
		return fmt.Sprintf("yes: %s; requests of net/http clients cannot be tied: %s", layout.Version, layout.NoRoundTrip)
	}
	return fmt.Sprintf("yes: %s, net/http clients included", layout.Version)
}
