package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Host stands for a machine: a network namespace with one address, from which
// the other hosts of the scene are reached and nothing else, and a cgroup below
// the scene's. The namespaces have no name and hold no process of the rig, so
// that they go with the last of their programs.
type Host struct {
	Name    string // "h0", "h1", …: also its cgroup's
	Address netip.Addr

	scene  *Scene
	cgroup *os.File
	netns  *os.File
}

// Hosts makes n hosts on one bridge. Their network is a private one of its own:
// 10.x.y.0/24. A scene has hosts once.
func (s *Scene) Hosts(n int) ([]*Host, error) {
	lan, err := s.namespace("link add br0 type bridge\nlink set br0 up\n")
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(lan.Fd()), &stat); err != nil {
		return nil, fmt.Errorf("number the network: %w", err)
	}
	hosts := make([]*Host, n)
	for i := range hosts {
		// No two namespaces that live at the same time have the same inode.
		address := netip.AddrFrom4([4]byte{10, byte(stat.Ino >> 8), byte(stat.Ino), byte(i + 1)})
		if hosts[i], err = s.host(lan, fmt.Sprintf("h%d", i), address); err != nil {
			return nil, err
		}
	}
	return hosts, nil
}

func (s *Scene) host(lan *os.File, name string, address netip.Addr) (*Host, error) {
	h := &Host{Name: name, Address: address, scene: s}
	path := filepath.Join(s.cgroup.Name(), name)
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("make the cgroup of host %s: %w", name, err)
	}
	var err error
	if h.cgroup, err = os.Open(path); err != nil {
		return nil, fmt.Errorf("open the cgroup of host %s: %w", name, err)
	}
	s.keep(h.cgroup)
	if h.netns, err = s.namespace("link set lo up\n"); err != nil {
		return nil, err
	}
	if err := configure(lan, fmt.Sprintf(
		"link add %[1]s type veth peer name eth0 netns /proc/%[2]d/fd/%[3]d\nlink set %[1]s master br0 up\n",
		name, os.Getpid(), h.netns.Fd())); err != nil {
		return nil, err
	}
	return h, configure(h.netns, fmt.Sprintf("address add %s/24 dev eth0\nlink set eth0 up\n", address))
}

// Target is the value of CLEW_TARGETS that names the host's cgroup.
func (h *Host) Target() string { return h.scene.Target() + "/" + h.Name }

// Start runs a program on the host.
func (h *Host) Start(c Command) (p *Process, err error) {
	err = h.Within(func() error {
		p, err = h.scene.start(c, int(h.cgroup.Fd()))
		return err
	})
	return p, err
}

// StartAgent runs an agent that watches only this host. The agent itself is in
// the network of the test, where the backend is.
func (h *Host) StartAgent(ctx context.Context, c AgentConfig) (*Agent, error) {
	c.Env = append([]string{"CLEW_TARGETS=" + h.Target()}, c.Env...)
	return StartAgent(ctx, h.scene, c)
}

// Within calls do on a thread that is on the host's network: what do connects,
// listens to or starts is there. The goroutines that do starts are not.
func (h *Host) Within(do func() error) error { return within(h.netns, do) }

// DialContext connects from the host to an address, which must not be a name.
func (h *Host) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = h.Within(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens on a free TCP port of the host.
func (h *Host) Listen() (listener net.Listener, err error) {
	err = h.Within(func() error {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(h.Address, 0).String())
		return err
	})
	return listener, err
}

// Forward lets programs of the host reach a TCP address of the test's own network,
// such as that of a backend, and returns the address at which they do.
func (h *Host) Forward(address string) (string, error) {
	listener, err := h.Listen()
	if err != nil {
		return "", fmt.Errorf("forward from host %s: %w", h.Name, err)
	}
	h.scene.keep(listener)
	go func() {
		for {
			inner, err := listener.Accept()
			if err != nil {
				return // closed with the scene
			}
			outer, err := net.Dial("tcp", address)
			if err != nil {
				inner.Close()
				continue
			}
			go pour(inner, outer)
			go pour(outer, inner)
		}
	}()
	return listener.Addr().String(), nil
}

// pour copies what comes until either side ends, and then ends both.
func pour(to, from net.Conn) {
	_, _ = io.Copy(to, from) // how it ended is told to the programs by the end
	to.Close()
	from.Close()
}

// FreePort is a TCP port of the host that nobody uses now.
func (h *Host) FreePort() (int, error) {
	listener, err := h.Listen()
	if err != nil {
		return 0, fmt.Errorf("find a free port of host %s: %w", h.Name, err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Listening waits until somebody on the host's network listens at the TCP
// address, or p has ended.
func (h *Host) Listening(ctx context.Context, p *Process, address string) error {
	return Reached(ctx, p, address, func(ctx context.Context) error {
		conn, err := h.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// namespace makes a network namespace, which lives at least as long as the
// scene, and configures it.
func (s *Scene) namespace(commands string) (*os.File, error) {
	var netns *os.File
	err := away(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		netns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	s.keep(netns)
	return netns, configure(netns, commands)
}

// configure runs commands of ip(8), one a line, in a network namespace.
func configure(netns *os.File, commands string) error {
	return within(netns, func() error {
		ip := exec.Command("ip", "-batch", "-")
		ip.Stdin = strings.NewReader(commands)
		if output, err := ip.CombinedOutput(); err != nil {
			return fmt.Errorf("configure a network: %w\n%s", err, bytes.TrimSpace(output))
		}
		return nil
	})
}

// within calls do on a thread that is in the network namespace.
func within(netns *os.File, do func() error) error {
	return away(func() error {
		if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return do()
	})
}

// away calls do on a thread whose network namespace do may change, and changes
// it back. The thread must go on living, for programs die with the thread that
// started them.
func away(do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("note the own network namespace: %w", err)
	}
	defer home.Close()
	err = do()
	if failed := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); failed != nil {
		// The thread stays locked: it ends with its goroutine, and nothing
		// else ever runs on it.
		return errors.Join(err, fmt.Errorf("return to the own network namespace: %w", failed))
	}
	runtime.UnlockOSThread()
	return err
}
