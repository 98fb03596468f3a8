package main

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	msg  unix.Msghdr
	sent uint32
	_    [4]byte
}

// mmsg sends each part as a message of one sendmmsg, and by write what is left.
func (w *wire) mmsg(parts [][]byte) error {
	vectors := make([]unix.Iovec, len(parts))
	messages := make([]mmsghdr, len(parts))
	for i, part := range parts {
		vectors[i].Base = unsafe.SliceData(part)
		vectors[i].SetLen(len(part))
		messages[i].msg.Iov = &vectors[i]
		messages[i].msg.SetIovlen(1)
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR && errno != unix.EAGAIN {
		return errno
	}
	if errno != 0 {
		n = 0
	}
	for i, part := range parts {
		done := 0
		if i < int(n) {
			done = int(messages[i].sent)
		}
		// A message that was cut short is the last that was sent.
		if err := w.write(part[done:], 0); err != nil {
			return err
		}
	}
	return nil
}

// sendfile sends what is in a file.
func (w *wire) sendfile(all []byte) error {
	if len(all) == 0 {
		return w.corkNothing()
	}
	fd, err := unix.MemfdCreate("body", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "body")
	defer file.Close()
	if _, err := file.Write(all); err != nil {
		return fmt.Errorf("fill a file: %w", err)
	}
	for offset := int64(0); offset < int64(len(all)); {
		_, err := unix.Sendfile(w.fd, fd, &offset, len(all)-int(offset))
		if errors.Is(err, unix.EAGAIN) {
			err = w.wait(unix.POLLOUT)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// corkNothing lets go what MSG_MORE held back.
func (w *wire) corkNothing() error {
	return errors.Join(unix.SetsockoptInt(w.fd, unix.SOL_TCP, unix.TCP_CORK, 1), unix.SetsockoptInt(w.fd, unix.SOL_TCP, unix.TCP_CORK, 0))
}

// spliceOut sends through a pipe.
func (w *wire) spliceOut(all []byte) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for len(all) > 0 {
		n, err := unix.Write(pipe[1], all[:min(len(all), 32<<10)])
		if err != nil {
			return fmt.Errorf("fill a pipe: %w", err)
		}
		all = all[n:]
		for n > 0 {
			moved, err := unix.Splice(pipe[0], nil, w.fd, nil, n, 0)
			if errors.Is(err, unix.EAGAIN) {
				err = w.wait(unix.POLLOUT)
			}
			if err != nil && !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("splice: %w", err)
			}
			n -= int(max(moved, 0))
		}
	}
	return nil
}

// spliceIn receives through a pipe.
func (w *wire) spliceIn(b []byte) (int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	n, err := unix.Splice(w.fd, nil, pipe[1], nil, min(len(b), 32<<10), 0)
	if err != nil || n == 0 {
		return 0, err
	}
	for got := 0; got < int(n); {
		more, err := unix.Read(pipe[0], b[got:n])
		if err != nil {
			return 0, fmt.Errorf("empty a pipe: %w", err)
		}
		got += more
	}
	return int(n), nil
}

// zerocopy sends with MSG_ZEROCOPY, and waits until the kernel has let go of the
// memory.
func (w *wire) zerocopy(all []byte) error {
	if err := unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return fmt.Errorf("set SO_ZEROCOPY: %w", err)
	}
	for len(all) > 0 {
		n, err := unix.SendmsgN(w.fd, all, nil, nil, unix.MSG_ZEROCOPY|unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		all = all[n:]
		if err := w.released(); err != nil {
			return err
		}
	}
	return nil
}

// released waits for a message on the error queue.
func (w *wire) released() error {
	control := make([]byte, 256)
	for {
		_, n, _, _, err := unix.Recvmsg(w.fd, nil, control, unix.MSG_ERRQUEUE)
		if err == nil && n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("read the error queue: %w", err)
		}
		if err := w.wait(0); err != nil { // POLLERR is always reported
			return fmt.Errorf("wait for the error queue: %w", err)
		}
	}
}
