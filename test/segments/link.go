package segments

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/test/rig"
)

// device is the name of the TUN device in the host's namespace.
const device = "tun0"

// Link is a network beside a host of the rig, all of whose addresses are the
// test's.
type Link struct {
	tun *os.File

	mu        sync.Mutex
	conns     map[ends]*Conn
	listeners map[netip.AddrPort]*Listener
	err       error // what was received and could not be read
}

// ends are the two ends of a connection: ours and the kernel's.
type ends struct{ local, remote netip.AddrPort }

// Open makes the network beside the host. A host has one.
func Open(h *rig.Host, network netip.Prefix) (*Link, error) {
	l := &Link{conns: make(map[ends]*Conn), listeners: make(map[netip.AddrPort]*Listener)}
	if err := h.Within(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(device)
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		l.tun = os.NewFile(uintptr(fd), device)
		for _, command := range [][]string{{"link", "set", device, "up"}, {"route", "add", network.String(), "dev", device}} {
			if output, err := exec.Command("ip", command...).CombinedOutput(); err != nil {
				return errors.Join(fmt.Errorf("%w: %s", err, output), l.tun.Close())
			}
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("make a network by hand: %w", err)
	}
	go l.read()
	return l, nil
}

// Close removes the network, and says if a packet could not be read.
func (l *Link) Close() error {
	err := l.tun.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(err, l.err)
}

// read gives packets to those they are for, until the device is closed.
func (l *Link) read() {
	packet := make([]byte, 1<<16)
	for {
		n, err := l.tun.Read(packet)
		if err != nil {
			if !errors.Is(err, fs.ErrClosed) {
				l.fail(err)
			}
			return
		}
		e, s, err := parse(append([]byte(nil), packet[:n]...))
		switch {
		case errors.Is(err, errOther):
		case err != nil:
			l.fail(err)
		default:
			l.deliver(e, s)
		}
	}
}

func (l *Link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

func (l *Link) deliver(e ends, s Segment) {
	l.mu.Lock()
	conn, listener := l.conns[e], l.listeners[e.local]
	if conn == nil && listener != nil && s.Flags&(SYN|ACK) == SYN {
		conn = newConn(l, e)
		conn.configure(listener.options)
		l.conns[e] = conn
		defer func() { listener.accepted <- conn }()
	}
	l.mu.Unlock()
	if conn != nil {
		conn.receive(s)
	}
}

func (l *Link) send(e ends, s Segment) error {
	if _, err := l.tun.Write(s.packet(e)); err != nil {
		return fmt.Errorf("send a segment: %w", err)
	}
	return nil
}

// Listener is where connections are accepted.
type Listener struct {
	accepted chan *Conn
	options  func(*Conn)
}

// Listen accepts connections at the address. Configure, if not nil, sets each up
// before it answers.
func (l *Link) Listen(at netip.AddrPort, configure func(*Conn)) *Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	listener := &Listener{accepted: make(chan *Conn, 1024), options: configure}
	l.listeners[at] = listener
	return listener
}
