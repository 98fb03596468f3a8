package probes

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clock turns the kernel's monotonic times into wall time. It is set anew every
// second, so that it follows a clock that is being adjusted.
type clock struct {
	offset atomic.Int64 // wall time minus monotonic time, nanoseconds
}

func (c *clock) set() {
	c.offset.Store(time.Now().UnixNano() - int64(c.monotonic()))
}

// monotonic is CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns. The call cannot
// fail for a clock that every Linux has.
func (c *clock) monotonic() uint64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return uint64(t.Nano())
}

// wall is the time of a kernel stamp; that of none is zero.
func (c *clock) wall(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)+c.offset.Load())
}
