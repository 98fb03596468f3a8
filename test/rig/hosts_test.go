package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestHosts checks that hosts reach one another by their addresses and nothing
// else, and that what is started on one is in its network and its cgroup.
func TestHosts(t *testing.T) {
	s := open(t)
	hosts, err := s.Hosts(3)
	if err != nil {
		t.Fatal(err)
	}
	home := namespaceOf(t, "self")
	seen := map[string]bool{home: true}
	for _, h := range hosts {
		p, err := h.Start(Command{Name: "shell", Path: "/bin/sh", Args: []string{"-c", "cat /proc/self/cgroup; sleep 1000 & sleep 1000"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := Until(t.Context(), "the shell's cgroup", func(context.Context) error {
			if want := "0::" + s.name + "/" + h.Name + "\n"; !strings.Contains(p.Output(), want) {
				return errors.New(p.Output())
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		netns := namespaceOf(t, strconv.Itoa(p.PID()))
		if seen[netns] {
			t.Errorf("the network of %s is another's", h.Name)
		}
		seen[netns] = true
		for _, from := range hosts {
			if err := talk(t, from, h); err != nil {
				t.Errorf("from %s to %s: %v", from.Name, h.Name, err)
			}
		}
	}
	if got := namespaceOf(t, "self"); got != home {
		t.Error("the test has left its network")
	}
	routes := ""
	if err := hosts[0].Within(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/route")
		routes = string(text)
		return err
	}); err != nil || strings.Count(routes, "\n") != 2 || !strings.Contains(routes, "eth0") {
		t.Errorf("host h0 has other routes than to its network: %v\n%s", err, routes)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	delete(seen, home)
	for netns := range seen {
		if users := inNamespace(t, netns); users != nil {
			t.Errorf("left in %s: %v", netns, users)
		}
	}
}

// talk has one host say something to another, which must know it by its address.
func talk(t *testing.T, from, to *Host) error {
	t.Helper()
	listener, err := to.Listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	dialed := make(chan error, 1)
	go func() {
		conn, err := from.DialContext(t.Context(), "tcp", listener.Addr().String())
		if err == nil {
			_, err = io.WriteString(conn, "hello")
			err = errors.Join(err, conn.Close())
		}
		dialed <- err
		if err != nil {
			listener.Close()
		}
	}()
	conn, err := listener.Accept()
	if err != nil {
		return errors.Join(err, <-dialed)
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err == nil && (string(said) != "hello" || conn.RemoteAddr().(*net.TCPAddr).IP.String() != from.Address.String()) {
		err = fmt.Errorf("%v said %q", conn.RemoteAddr(), said)
	}
	return errors.Join(err, <-dialed)
}

func namespaceOf(t *testing.T, pid string) string {
	t.Helper()
	name, err := os.Readlink("/proc/" + pid + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// inNamespace are the processes in a network namespace.
func inNamespace(t *testing.T, netns string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range all {
		if name, err := os.Readlink(link); err == nil && name == netns {
			found = append(found, link)
		}
	}
	return found
}

// TestHostsSurviveNobody kills a process that holds hosts, and checks that they
// go with it. The process is this test binary again.
func TestHostsSurviveNobody(t *testing.T) {
	if os.Getenv("RIG_TEST_HOLD") != "" {
		s := open(t)
		hosts, err := s.Hosts(2)
		if err != nil {
			t.Fatal(err)
		}
		p, err := hosts[1].Start(Command{Name: "shell", Path: "/bin/sh", Args: []string{"-c", "(setsid sleep 1000 &) ; sleep 1000"}})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("holding", s.cgroup.Name(), s.Dir, namespaceOf(t, strconv.Itoa(p.PID())))
		select {}
	}
	s := open(t)
	holder, err := s.StartOutside(Command{
		Name: "holder", Path: "/proc/self/exe", Args: []string{"-test.run=^TestHostsSurviveNobody$"}, Env: []string{"RIG_TEST_HOLD=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	if err := Until(t.Context(), "the hosts", func(context.Context) error {
		_, line, found := strings.Cut(holder.Output(), "holding ")
		if !found || !strings.Contains(line, "\n") {
			return errors.New(holder.Output() + holder.Errors())
		}
		held = strings.Fields(line)[:3]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	holder.Kill()
	if err := Until(t.Context(), "the end of the hosts", func(context.Context) error {
		for _, left := range held[:2] {
			if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is still there", left)
			}
		}
		if users := inNamespace(t, held[2]); users != nil {
			return fmt.Errorf("left in %s: %v", held[2], users)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
