package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/test/integrity"
)

// deadline is when a call is given up as hung, in seconds.
const deadline = 60

// wire is a TCP socket with blocking calls, unless it is small.
type wire struct {
	fd      int
	receive string // how to read
	ring    *ring  // made when it is first used
}

// dial connects. A small socket has the smallest buffer for sending there is,
// and does not block.
func dial(address netip.AddrPort, small bool) (*wire, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	w := &wire{fd: fd}
	limit := unix.Timeval{Sec: deadline}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1),
	)
	if small {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1))
	}
	if err == nil {
		err = again(func() error {
			return unix.Connect(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()})
		})
	}
	if err == nil && small {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return w, nil
}

func (w *wire) close() {
	if w.ring != nil {
		w.ring.close()
	}
	_ = unix.Close(w.fd)
}

func (w *wire) shutdown() error { return unix.Shutdown(w.fd, unix.SHUT_WR) }

// again repeats what a signal interrupts, as Go's runtime sends them.
func again(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// wait waits until the socket is ready.
func (w *wire) wait(events int16) error {
	return again(func() error {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: events}}, deadline*1000)
		if err == nil && n == 0 {
			return errors.New("timeout")
		}
		return err
	})
}

// pieces cuts bytes.
func pieces(all []byte, cuts []int) [][]byte {
	var parts [][]byte
	from := 0
	for _, at := range cuts {
		if at < len(all) && at > from {
			parts = append(parts, all[from:at])
			from = at
		}
	}
	return append(parts, all[from:])
}

// send sends bytes in the way of the burst.
func (w *wire) send(b integrity.Burst, all []byte) error {
	head := min(len(b.Requests[0].Head), len(all))
	switch b.Tactic {
	case "split", "lines":
		return w.each(pieces(all, b.Cuts), 0)
	case "bytes":
		for len(all) > 0 && head > 0 {
			if err := w.write(all[:1], 0); err != nil {
				return err
			}
			all, head = all[1:], head-1
		}
		return w.write(all, 0)
	case "parts":
		return w.each(pieces(all, []int{head}), 0)
	case "more":
		return w.each(pieces(all, []int{head}), unix.MSG_MORE)
	case "cork":
		return w.corked(pieces(all, []int{head / 3, head / 2, head}))
	case "writev":
		return w.writev(pieces(all, b.Cuts))
	case "mmsg":
		return w.mmsg(pieces(all, b.Cuts))
	case "sendfile":
		if err := w.write(all[:head], unix.MSG_MORE); err != nil {
			return err
		}
		return w.sendfile(all[head:])
	case "splice":
		return w.spliceOut(all)
	case "uring":
		return w.uringSend(all)
	case "zerocopy":
		return w.zerocopy(all)
	}
	return w.write(all, 0)
}

// write sends all, as often as it takes.
func (w *wire) write(all []byte, flags int) error {
	for len(all) > 0 {
		n, err := unix.SendmsgN(w.fd, all, nil, nil, flags|unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			if err = w.wait(unix.POLLOUT); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// each sends parts one by one, with flags for all but the last.
func (w *wire) each(parts [][]byte, flags int) error {
	for i, part := range parts {
		if i == len(parts)-1 {
			flags = 0
		}
		if err := w.write(part, flags); err != nil {
			return err
		}
	}
	return nil
}

func (w *wire) corked(parts [][]byte) error {
	if err := unix.SetsockoptInt(w.fd, unix.SOL_TCP, unix.TCP_CORK, 1); err != nil {
		return fmt.Errorf("cork: %w", err)
	}
	if err := w.each(parts, 0); err != nil {
		return err
	}
	return unix.SetsockoptInt(w.fd, unix.SOL_TCP, unix.TCP_CORK, 0)
}

func (w *wire) writev(parts [][]byte) error {
	for len(parts) > 0 {
		n, err := unix.Writev(w.fd, parts)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			if err = w.wait(unix.POLLOUT); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		for len(parts) > 0 && n >= len(parts[0]) {
			n -= len(parts[0])
			parts = parts[1:]
		}
		if n > 0 {
			parts[0] = parts[0][n:]
		}
	}
	return nil
}

// Read receives in the way of the burst.
func (w *wire) Read(b []byte) (int, error) {
	var n int
	err := again(func() (err error) {
		n, err = w.read(b)
		return err
	})
	if errors.Is(err, unix.EAGAIN) { // a small socket does not block
		if err = w.wait(unix.POLLIN); err == nil {
			return w.Read(b)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", w.receive, err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (w *wire) read(b []byte) (int, error) {
	switch w.receive {
	case "readv":
		return unix.Readv(w.fd, [][]byte{b[:min(7, len(b))], b[min(7, len(b)):]})
	case "peek":
		n, _, err := unix.Recvfrom(w.fd, b, unix.MSG_PEEK)
		if err != nil || n == 0 {
			return n, err
		}
		seen := string(b[:n])
		n, _, err = unix.Recvfrom(w.fd, b[:n], 0)
		if err == nil && seen[:n] != string(b[:n]) {
			return n, errors.New("received other bytes than were peeked")
		}
		return n, err
	case "waitall": // of what is surely there
		n, _, err := unix.Recvfrom(w.fd, b[:1], unix.MSG_WAITALL)
		return n, err
	case "splice":
		return w.spliceIn(b)
	case "poll":
		if err := w.wait(unix.POLLIN); err != nil {
			return 0, err
		}
		n, _, err := unix.Recvfrom(w.fd, b, unix.MSG_DONTWAIT)
		return n, err
	case "uring":
		return w.uringReceive(b)
	}
	return unix.Read(w.fd, b)
}
