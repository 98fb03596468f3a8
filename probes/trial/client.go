package trial

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// errTimeout says that a socket made no progress for as long as it was given.
var errTimeout = errors.New("timed out")

// client is the client's end of a connection: a TCP socket used by system calls.
type client struct {
	fd       int
	patience time.Duration // that no single wait exceeds
}

func connect(to netip.AddrPort, patience time.Duration) (*client, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	c := &client{fd: fd, patience: patience}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	err = join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit))
	if err == nil {
		err = c.finishConnect(unix.Connect(fd, address))
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("connect to %v: %w", to, err)
	}
	return c, nil
}

// finishConnect waits for a connect that a signal interrupted: it goes on in the
// kernel.
func (c *client) finishConnect(err error) error {
	if !errors.Is(err, unix.EINTR) {
		return err
	}
	if ready, err := c.wait(unix.POLLOUT, c.patience); err != nil || !ready {
		return join(err, errTimeout)
	}
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

func (c *client) close() { unix.Close(c.fd) }

// noDelay switches Nagle's algorithm off.
func (c *client) noDelay() error {
	return unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// wait polls for events and reports whether one of them came within the time.
// Zero time looks and does not wait.
func (c *client) wait(events int16, limit time.Duration) (bool, error) {
	end := time.Now().Add(limit)
	for {
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: events}}
		// Rounded up, or the last part of a millisecond would be spent spinning.
		left := max(0, time.Until(end)+time.Millisecond-1)
		_, err := unix.Poll(fds, int(left.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("poll: %w", err)
		}
		return fds[0].Revents&events != 0, nil
	}
}

// transfer repeats a system call that moves at most n bytes until all have been
// moved. The call is told how many have been, and returns how many more.
func (c *client) transfer(n int, call func(done int) (int, error)) error {
	for done := 0; done < n; {
		moved, err := call(done)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("after %d of %d bytes: %w", done, n, errTimeout)
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", done, n, err)
		case moved == 0:
			return fmt.Errorf("after %d of %d bytes: end of stream", done, n)
		}
		done += moved
	}
	return nil
}

// send writes all of b, in one call as far as the kernel allows.
func (c *client) send(b []byte) error {
	err := c.transfer(len(b), func(done int) (int, error) { return unix.Write(c.fd, b[done:]) })
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// receive reads exactly n bytes.
func (c *client) receive(n int) ([]byte, error) {
	b := make([]byte, n)
	err := c.transfer(n, func(done int) (int, error) { return unix.Read(c.fd, b[done:]) })
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	return b, nil
}

// peek returns what has arrived and not been read, at most limit bytes. It does
// not wait.
func (c *client) peek(limit int) ([]byte, error) {
	b := make([]byte, limit)
	for {
		n, _, err := unix.Recvfrom(c.fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("peek: %w", err)
		}
		return b[:n], nil
	}
}

// arrived waits until that many bytes can be peeked at, and returns what can be.
func (c *client) arrived(n int) ([]byte, error) {
	for end := time.Now().Add(c.patience); ; time.Sleep(time.Millisecond) {
		if _, err := c.wait(unix.POLLIN, time.Until(end)); err != nil {
			return nil, err
		}
		seen, err := c.peek(n + 1)
		if err != nil || len(seen) >= n || !time.Now().Before(end) {
			return seen, err
		}
	}
}

// ended reports by its error whether the stream ends here: no byte more.
func (c *client) ended() error {
	var b [1]byte
	for {
		n, err := unix.Read(c.fd, b[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return errors.New("the client sees no end of the stream")
		case err != nil:
			return fmt.Errorf("wait for the end of the stream: %w", err)
		case n > 0:
			return errors.New("the client receives more than was answered")
		}
		return nil
	}
}

// closeWrite ends the stream toward the server only.
func (c *client) closeWrite() error {
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shut down the sending side: %w", err)
	}
	return nil
}
