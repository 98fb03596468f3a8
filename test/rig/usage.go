package rig

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU      time.Duration // user and system
	Ended    time.Duration // likewise, of its children that have ended
	Resident int64         // bytes
}

// UsageOf reads the usage of a process.
func UsageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read the usage of %d: %w", pid, err)
	}
	// The name, in parentheses, may hold spaces. After it come the fields from
	// number 3 on; utime and stime are 14 and 15, in ticks of 10 ms, and those of
	// children that ended 16 and 17.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks [4]time.Duration
	for i, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("read the usage of %d: %w", pid, err)
		}
		ticks[i] = time.Duration(n) * 10 * time.Millisecond
	}
	usage := Usage{CPU: ticks[0] + ticks[1], Ended: ticks[2] + ticks[3]}

	status, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read the usage of %d: %w", pid, err)
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return Usage{}, fmt.Errorf("read the usage of %d: %w", pid, err)
			}
			usage.Resident = kilobytes << 10
		}
	}
	return usage, nil
}

// Children are the processes that a process has started and that still run.
func Children(pid int) ([]int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, fmt.Errorf("list the children of %d: %w", pid, err)
	}
	var children []int
	for _, field := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list the children of %d: %w", pid, err)
		}
		children = append(children, child)
	}
	return children, nil
}
