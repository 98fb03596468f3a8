package trial

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// headerChecks are those of trial Headers. The first one proves that requests are
// rewritten at all. The last one comes last, because a program that sends a
// traceparent of its own may be left alone from then on.
var headerChecks = []check{
	{"header", (*bench).join},
	{"fionread", (*bench).fionread},
	{"readiness", (*bench).readiness},
	{"half-close", func(b *bench) error {
		return b.onMember("half-close", func(p *pair) error { return p.halfClose(rewritten) })
	}},
	{"body", (*bench).bigBody},
	{"sendfile", (*bench).sendfile},
	{"splice", (*bench).splice},
	{"body-apart", (*bench).requestInBody},
	{"continue", (*bench).requestAfterContinue},
	{"stall", (*bench).stall},
	{"ipv6", (*bench).ipv6},
	{"own-traceparent", (*bench).ownTraceparent},
}

const (
	// joining is how long it may take until requests are rewritten: the first
	// exchange must have been understood, and what it taught have come back.
	joining = 2 * time.Second
	// bodySize is some dozen times what a socket buffers, and so arrives at the
	// kernel side in many parts whatever the way it is sent.
	bodySize = 3 << 20
)

// join teaches the kernel side that this destination speaks HTTP, and waits for a
// new connection whose first request carries a traceparent. Each head on the way,
// with and without, must arrive intact. Then it goes on with the connection that
// taught: it has joined in the middle of its life, or is about to.
func (b *bench) join() error {
	teacher, err := b.connect()
	if err != nil {
		return err
	}
	defer teacher.close()
	for range 2 {
		if _, err := teacher.exchange(get("header"), either); err != nil {
			return err
		}
	}
	if err := b.joined("header", joining); err != nil {
		return err
	}
	for range 20 {
		if _, err := teacher.exchange(get("header"), either); err != nil {
			return fmt.Errorf("on a connection older than its membership: %w", err)
		}
	}
	return teacher.finish()
}

// errNotJoined says that no request was rewritten.
var errNotJoined = errors.New("no request carries a traceparent")

// joined opens connections until the first request of one is rewritten.
func (b *bench) joined(name string, limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p, err := b.connect()
		if err != nil {
			return err
		}
		added, err := p.exchange(get(name), either)
		if err == nil {
			err = p.finish()
		}
		p.close()
		if err != nil || added {
			return err
		}
	}
	return fmt.Errorf("%w, %v after the first one", errNotJoined, limit)
}

// onMember carries out a check on a new connection that is proved to be a member
// by a request of its own. Most join at connect; one may slip through then and
// join a little later.
func (b *bench) onMember(name string, check func(p *pair) error) error {
	p, err := b.connect()
	if err != nil {
		return err
	}
	defer p.close()
	for end := time.Now().Add(b.patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		added, err := p.exchange(get(name), either)
		if err != nil {
			return fmt.Errorf("a request on a new connection: %w", err)
		}
		if added {
			return check(p)
		}
	}
	return fmt.Errorf("%w on a new connection, %v after its first one", errNotJoined, b.patience)
}

// fionread asks how many bytes can be read when that many are there. Programs
// size their reads by it, and take 0 on a readable socket for the end.
func (b *bench) fionread() error {
	return b.onMember("fionread", func(p *pair) error {
		if _, err := p.deliver(get("fionread"), rewritten); err != nil {
			return err
		}
		want := answer(1000)
		if err := p.respond(want); err != nil {
			return err
		}
		seen, err := p.arrived(len(want))
		if err != nil {
			return err
		}
		if len(seen) != len(want) {
			return fmt.Errorf("MSG_PEEK sees %d of %d bytes", len(seen), len(want))
		}
		n, err := b.waiting(p.fd)
		if err != nil {
			return fmt.Errorf("ask for FIONREAD: %w", err)
		}
		if n != len(want) {
			return fmt.Errorf("FIONREAD reads %d of %d on a socket with sk_msg", n, len(want))
		}
		return nil
	})
}

// requestInBody sends bodies that look like a request, in the message of their
// head and in one of their own.
func (b *bench) requestInBody() error {
	body := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	return b.onMember("body-apart", func(p *pair) error {
		for _, send := range []sending{inOne, bodyApart} {
			if _, err := p.exchange(post("body-apart", body).by(send), rewritten); err != nil {
				return fmt.Errorf("with a body that looks like a request: %w", err)
			}
		}
		return p.finish()
	})
}

// requestAfterContinue sends such a body after the server has asked for it: the
// client sends after it has received, as it does with a new request.
func (b *bench) requestAfterContinue() error {
	r := post("continue", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "Expect: 100-continue")
	interim := []byte("HTTP/1.1 100 Continue\r\n\r\n")
	return b.onMember("continue", func(p *pair) error {
		if _, err := p.deliver(request{head: r.head, send: inOne}, either); err != nil {
			return err
		}
		if err := p.respond(interim); err != nil {
			return err
		}
		got, err := p.receive(len(interim))
		if err != nil {
			return err
		}
		if err := compareBytes("100 Continue", interim, got); err != nil {
			return err
		}
		if err := p.send(r.body); err != nil {
			return err
		}
		if err := p.body(r.body); err != nil {
			return fmt.Errorf("with a body after 100 Continue that looks like a request: %w", err)
		}
		return p.finish()
	})
}

// stall sends requests in the two ways that stall when what was one segment
// becomes several: gathered from two places by a program that leaves Nagle's
// algorithm on, and in two writes by one that switched it off.
func (b *bench) stall() error {
	body := noise(400)
	err := b.onMember("stall", func(p *pair) error {
		return p.brisk(20, acknowledged, post("stall", body).by(gathered), rewritten)
	})
	if err != nil {
		return fmt.Errorf("sent by writev: %w", err)
	}
	err = b.onMember("stall", func(p *pair) error {
		if err := p.noDelay(); err != nil {
			return fmt.Errorf("set TCP_NODELAY: %w", err)
		}
		return p.brisk(20, acknowledged, post("stall", body).by(inTwo), rewritten)
	})
	if err != nil {
		return fmt.Errorf("sent by two writes: %w", err)
	}
	return nil
}

// ipv6 repeats the essence over ::1, if the node has it. To find no traceparent
// there is no fault: nothing is harmed.
func (b *bench) ipv6() error {
	six, err := newBench(netip.IPv6Loopback(), b.through)
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer six.close()
	six.patience = b.patience
	if err := six.joined("ipv6", joining/8); err != nil && !errors.Is(err, errNotJoined) {
		return fmt.Errorf("over ::1: %w", err)
	}
	p, err := six.connect()
	if err != nil {
		return err
	}
	defer p.close()
	if _, err := p.exchange(post("ipv6", noise(bodySize)), either); err != nil {
		return fmt.Errorf("over ::1: %w", err)
	}
	return p.finish()
}

// ownTraceparent sends requests that have a traceparent already.
func (b *bench) ownTraceparent() error {
	const value = ": 00-c0ffee00c0ffee00c0ffee00c0ffee00-c0ffee00c0ffee00-01"
	return b.onMember("own-traceparent", func(p *pair) error {
		for _, name := range []string{"traceparent", "Traceparent"} {
			if _, err := p.exchange(get("own-traceparent", name+value), untouched); err != nil {
				return fmt.Errorf("with a %s of its own: %w", name, err)
			}
		}
		return p.finish()
	})
}
