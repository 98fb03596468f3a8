package trial

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A sending is a way of putting a request on the wire.
type sending func(c *client, head, body []byte) error

// inOne sends head and body by one write.
func inOne(c *client, head, body []byte) error {
	return c.send(append(append([]byte(nil), head...), body...))
}

// inTwo sends the head with the first half of the body, then the other half.
func inTwo(c *client, head, body []byte) error {
	if err := inOne(c, head, body[:len(body)/2]); err != nil {
		return err
	}
	return c.send(body[len(body)/2:])
}

// bodyApart sends the body by a write of its own.
func bodyApart(c *client, head, body []byte) error {
	if err := c.send(head); err != nil {
		return err
	}
	return c.send(body)
}

// gathered sends head and body by one writev: without anybody in between they
// share a segment.
func gathered(c *client, head, body []byte) error {
	sent := 0
	for {
		n, err := unix.Writev(c.fd, [][]byte{head, body})
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("writev: %w", err)
		}
		sent = n
		break
	}
	all := append(append([]byte(nil), head...), body...)
	return c.send(all[sent:])
}

// pieces are sizes around the borders that buffers have: of a segment, a page, a
// socket buffer's fragment.
var pieces = []int{1, 7, 1459, 1461, 4095, 4097, 32769, 65537, 300_001}

// inPieces sends from a non-blocking socket: the head whole, the body in odd
// pieces, waiting by poll when the kernel takes no more.
func inPieces(c *client, head, body []byte) error {
	if err := unix.SetNonblock(c.fd, true); err != nil {
		return fmt.Errorf("make the socket non-blocking: %w", err)
	}
	defer unix.SetNonblock(c.fd, false) //nolint:errcheck // of an open socket this cannot fail
	if err := c.send(head); err != nil {
		return err
	}
	for i := 0; len(body) > 0; i++ {
		piece := body[:min(len(body), pieces[i%len(pieces)])]
		n, err := unix.Write(c.fd, piece)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			ready, err := c.wait(unix.POLLOUT, c.patience)
			if err != nil {
				return err
			}
			if !ready {
				return fmt.Errorf("with %d bytes to send the socket stays unwritable: %w", len(body), errTimeout)
			}
		case err != nil:
			return fmt.Errorf("send: %w", err)
		default:
			body = body[n:]
		}
	}
	return nil
}

// fromFile sends the body by sendfile(2).
func fromFile(c *client, head, body []byte) error {
	file, err := unix.MemfdCreate("clew-trial", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file in memory: %w", err)
	}
	defer unix.Close(file)
	err = c.transfer(len(body), func(done int) (int, error) { return unix.Pwrite(file, body[done:], int64(done)) })
	if err != nil {
		return fmt.Errorf("fill a file in memory: %w", err)
	}
	if err := c.send(head); err != nil {
		return err
	}
	err = c.transfer(len(body), func(done int) (int, error) {
		offset := int64(done)
		return unix.Sendfile(c.fd, file, &offset, len(body)-done)
	})
	if err != nil {
		return fmt.Errorf("sendfile: %w", err)
	}
	return nil
}

// spliced receives exactly n bytes by splice(2) through a pipe.
func (c *client) spliced(n int) ([]byte, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	b := make([]byte, n)
	err := c.transfer(n, func(done int) (int, error) {
		moved, err := unix.Splice(c.fd, nil, pipe[1], nil, n-done, 0)
		if err != nil || moved <= 0 {
			return 0, err
		}
		// What was moved lies in the pipe: reading it never waits.
		part := b[done : done+int(moved)]
		return len(part), c.transfer(len(part), func(read int) (int, error) { return unix.Read(pipe[0], part[read:]) })
	})
	if err != nil {
		return nil, fmt.Errorf("splice: %w", err)
	}
	return b, nil
}
