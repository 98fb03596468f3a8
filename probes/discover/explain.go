package discover

import (
	"fmt"
	"strings"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/program"
)

// Line is one line of an explanation, to be printed as two columns.
type Line struct{ Name, Text string }

// Explain says in words whether a process is watched, by which rule, and what
// else discovery knows of it; and returns what it has found, with all facts
// filled. Its errors are those of Inspect.
func (i *Inspector) Explain(pid uint32) (Target, []Line, error) {
	target, err := i.inspect(pid, &proc.Listeners{}, complete)
	if err != nil {
		return Target{}, nil, err
	}
	verdict := "no: "
	if target.Watch {
		verdict = "yes: "
	}
	lines := []Line{
		{"watched", verdict + target.Reason},
		{"process", fmt.Sprintf("%s, pid %d, parent %d", target.Comm, target.PID, target.Parent)},
	}
	if target.KernelThread {
		return target, lines, nil
	}
	lines = append(lines,
		Line{"executable", target.Exe},
		Line{"runtime", strings.TrimSpace(target.Program.Runtime + " " + target.Program.Version)},
	)
	lines = append(lines,
		Line{"evidence", evidence(target.Program)},
		Line{"listens on", ports(target.Ports)},
	)
	for _, cgroup := range target.Cgroups {
		lines = append(lines, Line{"cgroup", cgroup})
	}
	if target.Container != "" {
		lines = append(lines, Line{"container", target.Container})
	}
	return target, lines, nil
}

// evidence says what can tie an outgoing request of the program to the incoming
// one it serves, when no header does.
func evidence(of program.Info) string {
	switch {
	case of.Runtime == program.Go:
		return "goroutine"
	case of.Multiplexes:
		return "none from threads: it moves work between them"
	}
	return "thread, while exactly one request is open on it"
}

func ports(list []uint16) string {
	if len(list) == 0 {
		return "no TCP port"
	}
	text := make([]string, len(list))
	for i, port := range list {
		text[i] = fmt.Sprint(port)
	}
	return "TCP port " + strings.Join(text, ", ")
}
