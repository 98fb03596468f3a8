package trial

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of the time that an exchange takes in the median: far above what it takes
// over loopback, and below the stall that is looked for.
const (
	// A delayed acknowledgement holds up a sender with Nagle's algorithm for 40 ms.
	acknowledged = 30 * time.Millisecond
	// What does not arrive at all is sent again after 200 ms.
	retransmitted = 100 * time.Millisecond
)

// brisk repeats an exchange and judges the median of the times it took.
func (p *pair) brisk(times int, limit time.Duration, r request, may rewriting) error {
	taken := make([]time.Duration, times)
	for i := range taken {
		begin := time.Now()
		if _, err := p.exchange(r, may); err != nil {
			return err
		}
		taken[i] = time.Since(begin)
	}
	slices.Sort(taken)
	if median := taken[times/2]; median > limit {
		return fmt.Errorf("half of the requests take %v or longer", median.Round(time.Millisecond))
	}
	return p.finish()
}

// halfClose ends the client's stream behind its request, as programs do that say
// so how long it is; the answer must still come, and its end.
func (p *pair) halfClose(may rewriting) error {
	if _, err := p.deliver(get("half-close"), may); err != nil {
		return err
	}
	if err := p.closeWrite(); err != nil {
		return err
	}
	if err := p.serverEnded(); err != nil {
		return err
	}
	want := answer(answerSize)
	if err := p.respond(want); err != nil {
		return err
	}
	if err := p.conn.CloseWrite(); err != nil {
		return fmt.Errorf("end the answer: %w", err)
	}
	got, err := p.receive(len(want))
	if err != nil {
		return fmt.Errorf("the answer after a half-close is missed: %w", err)
	}
	if err := compareBytes("the answer", want, got); err != nil {
		return err
	}
	return p.ended()
}

// bigBody sends a large body by one call of a blocking socket, and in odd pieces
// from one that does not block.
func (b *bench) bigBody() error {
	body := noise(bodySize)
	return b.onMember("body", func(p *pair) error {
		for _, send := range []sending{inOne, inPieces} {
			if _, err := p.exchange(post("body", body).by(send), rewritten); err != nil {
				return err
			}
		}
		return p.finish()
	})
}

// sendfile sends a body that no buffer of the program holds.
func (b *bench) sendfile() error {
	return b.onMember("sendfile", func(p *pair) error {
		if _, err := p.exchange(post("sendfile", noise(bodySize/4)).by(fromFile), rewritten); err != nil {
			return err
		}
		return p.finish()
	})
}

// splice receives an answer without reading it, as proxies do.
func (b *bench) splice() error {
	return b.onMember("splice", func(p *pair) error {
		if _, err := p.deliver(get("splice"), rewritten); err != nil {
			return err
		}
		want := answer(bodySize / 4)
		answered := make(chan error, 1)
		go func() { answered <- p.respond(want) }()
		got, err := p.spliced(len(want))
		if err != nil {
			p.conn.Close() // the server may wait for this reader
		}
		if answerErr := <-answered; err == nil {
			err = answerErr
		}
		if err != nil {
			return err
		}
		if err := compareBytes("the answer received by splice", want, got); err != nil {
			return err
		}
		return p.finish()
	})
}

// readiness holds poll, epoll and MSG_PEEK against what has been sent: event loops
// hang or spin where these are wrong.
func (b *bench) readiness() error {
	return b.onMember("readiness", func(p *pair) error {
		if _, err := p.deliver(get("readiness"), rewritten); err != nil {
			return err
		}
		if err := p.drained("before there is an answer"); err != nil {
			return err
		}
		want := answer(answerSize)
		if err := p.respond(want); err != nil {
			return err
		}
		if err := p.epoll(); err != nil {
			return err
		}
		if err := p.peekThenRead(want); err != nil {
			return err
		}
		if err := p.drained("after all has been read"); err != nil {
			return err
		}
		return p.finish()
	})
}

// drained makes sure that neither poll nor a read finds anything.
func (p *pair) drained(when string) error {
	ready, err := p.wait(unix.POLLIN, 0)
	if err != nil {
		return err
	}
	if ready {
		return fmt.Errorf("poll says readable %s", when)
	}
	left, err := p.peek(1)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("MSG_PEEK finds a byte %s", when)
	}
	return err
}

// epoll waits for the socket by epoll, edge-triggered as most event loops do.
func (p *pair) epoll() error {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make an epoll set: %w", err)
	}
	defer unix.Close(set)
	interest := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: int32(p.fd)}
	if err := unix.EpollCtl(set, unix.EPOLL_CTL_ADD, p.fd, &interest); err != nil {
		return fmt.Errorf("add the socket to an epoll set: %w", err)
	}
	for end := time.Now().Add(p.patience); ; {
		var events [1]unix.EpollEvent
		n, err := unix.EpollWait(set, events[:], int(max(0, time.Until(end)).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait by epoll: %w", err)
		case n == 0 || events[0].Events&unix.EPOLLIN == 0:
			return errors.New("epoll does not say readable though there is an answer")
		}
		return nil
	}
}

// peekThenRead looks at an answer twice and reads it in two parts.
func (p *pair) peekThenRead(want []byte) error {
	seen, err := p.arrived(len(want))
	if err != nil {
		return err
	}
	first, err := p.receive(len(want) / 3)
	if err != nil {
		return err
	}
	rest, err := p.peek(len(want))
	if err != nil {
		return err
	}
	if len(seen) != len(want) || len(rest) != len(want)-len(first) {
		return fmt.Errorf("MSG_PEEK sees %d of %d bytes, and %d of the last %d", len(seen), len(want), len(rest), len(want)-len(first))
	}
	if err := compareBytes("what MSG_PEEK sees", want, seen); err != nil {
		return err
	}
	read, err := p.receive(len(rest))
	if err != nil {
		return err
	}
	return compareBytes("what is read after MSG_PEEK", want, append(first, read...))
}
