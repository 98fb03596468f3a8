package proc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Stat is the part of /proc/PID/stat and status that says who a process is. See
// proc_pid_stat(5).
type Stat struct {
	Comm   string // at most 15 bytes of the kernel's name
	Parent uint32
	// Started is when the process was forked, in clock ticks since boot. With
	// the pid it identifies a process until the next boot; exec keeps it.
	Started      uint64
	KernelThread bool
	Zombie       bool // dead, and not yet collected by its parent
}

// flagKernelThread is PF_KTHREAD of linux/sched.h.
const flagKernelThread = 0x00200000

// statLimit is far above the longest line: 52 numbers and a name.
const statLimit = 4096

// Stat reads the process's stat.
func (p *Process) Stat() (Stat, error) {
	line, err := p.Read("stat", statLimit)
	if err != nil {
		return Stat{}, err
	}
	return parseStat(line)
}

// parseStat reads a line of the form "pid (comm) state ppid …". The name may
// itself hold spaces and parentheses, so it ends at the last one.
func parseStat(line []byte) (Stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return Stat{}, errors.New("parse stat: no name in parentheses")
	}
	stat := Stat{Comm: string(line[open+1 : end])}
	fields := bytes.Fields(line[end+1:])
	// Counted from the state, which is field 3 of the manual page.
	const state, parent, flags, started = 0, 1, 6, 19
	if len(fields) <= started {
		return Stat{}, fmt.Errorf("parse stat: %d fields after the name", len(fields))
	}
	ppid, err := strconv.ParseUint(string(fields[parent]), 10, 32)
	if err != nil {
		return Stat{}, fmt.Errorf("parse parent of stat: %w", err)
	}
	bits, err := strconv.ParseUint(string(fields[flags]), 10, 64)
	if err != nil {
		return Stat{}, fmt.Errorf("parse flags of stat: %w", err)
	}
	if stat.Started, err = strconv.ParseUint(string(fields[started]), 10, 64); err != nil {
		return Stat{}, fmt.Errorf("parse start of stat: %w", err)
	}
	stat.Parent = uint32(ppid)
	stat.KernelThread = bits&flagKernelThread != 0
	stat.Zombie = fields[state][0] == 'Z' || fields[state][0] == 'X'
	return stat, nil
}
