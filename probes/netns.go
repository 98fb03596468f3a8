package probes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// gatherFor is how long requests to look at connections are gathered: looking
// means going through all TCP sockets of a network namespace.
const gatherFor = 10 * time.Millisecond

// look has iter/tcp go through the network namespaces of the process and of those
// that ask meanwhile, each once.
func (i *injector) look(ctx context.Context, pid uint32) {
	if i.settle == nil {
		return // counted by nobody: the state of the rung says so
	}
	spaces := make(map[uint64]uint32) // by inode
	add := func(pid uint32) {
		var stat unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &stat) == nil {
			spaces[stat.Ino] = pid
		}
	}
	add(pid)
	wait := time.NewTimer(gatherFor)
	defer wait.Stop()
	for waiting := true; waiting; {
		select {
		case pid := <-i.asked:
			add(pid)
		case <-wait.C:
			waiting = false
		case <-ctx.Done():
			return
		}
	}
	for _, pid := range spaces {
		if err := i.lookInto(pid); err != nil && !errors.Is(err, os.ErrNotExist) {
			i.unsettled.Add(1)
			i.log.Debug("connections older than the agent carry no context", zap.Uint32("pid", pid), zap.Error(err))
		}
	}
}

// lookInto goes through the TCP sockets of a process's network namespace. The
// iterator belongs to the namespace of the thread that opens it.
func (i *injector) lookInto(pid uint32) error {
	done := make(chan error)
	go func() {
		// A thread that could not be brought back must not serve another goroutine:
		// it ends with this one if it is not unlocked.
		runtime.LockOSThread()
		back, err := enterNetwork(pid)
		if err == nil {
			err = i.iterate()
			if back() == nil {
				runtime.UnlockOSThread()
			}
		} else {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func (i *injector) iterate() error {
	sockets, err := i.settle.Open()
	if err != nil {
		return fmt.Errorf("open the iterator of sockets: %w", err)
	}
	defer sockets.Close()
	if _, err := io.Copy(io.Discard, sockets); err != nil {
		return fmt.Errorf("go through the sockets: %w", err)
	}
	return nil
}

// enterNetwork moves the calling thread to a process's network namespace, and
// returns how to get back.
func enterNetwork(pid uint32) (back func() error, err error) {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open the own network namespace: %w", err)
	}
	other, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		own.Close()
		return nil, fmt.Errorf("open a network namespace: %w", err)
	}
	defer other.Close()
	if same(own, other) {
		return own.Close, nil
	}
	if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNET); err != nil {
		own.Close()
		return nil, fmt.Errorf("enter a network namespace (CAP_SYS_ADMIN): %w", err)
	}
	return func() error {
		defer own.Close()
		return unix.Setns(int(own.Fd()), unix.CLONE_NEWNET)
	}, nil
}

func same(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	return errX == nil && errY == nil && os.SameFile(x, y)
}
