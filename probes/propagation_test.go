package probes

import (
	"context"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"go.uber.org/zap"

	"github.com/clewtrace/clew/probes/discover"
)

// exceptions are rules and rungs by turns.
func exceptions(t *testing.T, pairs ...any) []Exception {
	t.Helper()
	var list []Exception
	for pair := range slices.Chunk(pairs, 2) {
		rules, err := discover.ParseRules(pair[0].(string))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Exception{Rules: rules, Rungs: pair[1].(Rungs)})
	}
	return list
}

func TestRungNames(t *testing.T) {
	for rungs, want := range map[Rungs]string{
		0: "none", RungLocal: "local", RungTCP: "tcp", RungLocal | RungHeaders | RungTCP: "local,headers,tcp",
	} {
		if got := rungs.String(); got != want {
			t.Errorf("%d is written %q, want %q", rungs, got, want)
		}
	}
	for _, name := range []string{"local", "headers", "tcp"} {
		if rung, ok := ParseRung(name); !ok || rung.String() != name {
			t.Errorf("%s is read as %s, %v", name, rung, ok)
		}
	}
	for _, name := range []string{"", "none", "Local", "tls"} {
		if rung, ok := ParseRung(name); ok {
			t.Errorf("%q is read as %s", name, rung)
		}
	}
}

// TestFirstExceptionDecides checks the rungs of processes, and the flags that
// tell the kernel of them.
func TestFirstExceptionDecides(t *testing.T) {
	p := Propagation{
		Rungs: RungLocal | RungHeaders | RungTCP,
		Exceptions: exceptions(t,
			"exe=curl", Rungs(0),
			"exe=c*,port=80", RungHeaders,
			"cgroup=/shop/**,!exe=nginx", RungLocal|RungTCP),
	}
	for name, test := range map[string]struct {
		facts discover.Facts
		rungs Rungs
		by    string
		flags socketTargetFlags
	}{
		"none fits":        {discover.Facts{Exe: "/bin/ls"}, p.Rungs, "", socketTargetFlagsTARGET_HEADERS | socketTargetFlagsTARGET_TCP},
		"first of two":     {discover.Facts{Exe: "/bin/curl"}, 0, "exe=curl", socketTargetFlagsTARGET_NO_LOCAL},
		"by a part":        {discover.Facts{Exe: "/bin/x", Ports: []uint16{80}}, RungHeaders, "exe=c*,port=80", socketTargetFlagsTARGET_HEADERS | socketTargetFlagsTARGET_NO_LOCAL},
		"by its cgroup":    {discover.Facts{Exe: "/bin/x", Cgroups: []string{"/shop/a"}}, RungLocal | RungTCP, "cgroup=/shop/**,!exe=nginx", socketTargetFlagsTARGET_TCP},
		"not by exclusion": {discover.Facts{Exe: "/sbin/nginx", Cgroups: []string{"/shop/a"}}, p.Rungs, "", socketTargetFlagsTARGET_HEADERS | socketTargetFlagsTARGET_TCP},
	} {
		rungs, exception := p.Of(test.facts)
		by := ""
		if exception != nil {
			by = exception.Rules.String()
		}
		if rungs != test.rungs || by != test.by {
			t.Errorf("%s: got %s by %q, want %s by %q", name, rungs, by, test.rungs, test.by)
		}
		if flags := p.flags(test.facts); flags != test.flags {
			t.Errorf("%s: flags %#x, want %#x", name, flags, test.flags)
		}
	}
}

func TestPropagationProperties(t *testing.T) {
	for name, test := range map[string]struct {
		propagation         Propagation
		all                 Rungs
		outward, mayChanges bool
	}{
		"nothing":         {Propagation{}, 0, false, false},
		"local":           {Propagation{Rungs: RungLocal}, RungLocal, false, false},
		"by an exception": {Propagation{Rungs: RungLocal, Exceptions: exceptions(t, "exe=a", RungTCP)}, RungLocal | RungTCP, true, false},
		"by a port":       {Propagation{Rungs: RungHeaders, Exceptions: exceptions(t, "exe=a", Rungs(0), "port=1", Rungs(0))}, RungHeaders, true, true},
	} {
		p := test.propagation
		if p.all() != test.all || p.Outward() != test.outward || p.mayChange() != test.mayChanges {
			t.Errorf("%s: all %s, outward %v, may change %v", name, p.all(), p.Outward(), p.mayChange())
		}
		if len(p.Asked()) != len(p.Exceptions) {
			t.Errorf("%s: asks %d rules of %d", name, len(p.Asked()), len(p.Exceptions))
		}
	}
}

// watching is a watcher without kernel programs: only its map is real.
func watching(t *testing.T, p Propagation, rules string) *watcher {
	t.Helper()
	spec, err := loadSocket()
	if err != nil {
		t.Fatal(err)
	}
	targets, err := ebpf.NewMap(spec.Maps["targets"])
	if err != nil {
		t.Skip("needs root: ", err)
	}
	t.Cleanup(func() { _ = targets.Close() })
	parsed, err := discover.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	inspector, err := discover.New("", parsed, p.Asked()...)
	if err != nil {
		t.Fatal(err)
	}
	return newWatcher(zap.NewNop(), inspector, p, map[string]*ebpf.Map{"targets": targets}, nil)
}

func flagsOf(t *testing.T, w *watcher, pid uint32) socketTargetFlags {
	t.Helper()
	var target socketTarget
	if err := w.targets.Lookup(pid, &target); err != nil {
		t.Fatal(err)
	}
	return target.Flags
}

// TestRungsOfNewProcess: the kernel knows a process's rungs from its exec on.
func TestRungsOfNewProcess(t *testing.T) {
	command := exec.Command("/bin/sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	pid := uint32(command.Process.Pid)
	w := watching(t, Propagation{Rungs: RungLocal | RungHeaders, Exceptions: exceptions(t, "exe=sleep", RungTCP)}, "exe=sleep")
	if !w.executed(pid) {
		t.Fatal("not watched")
	}
	if got, want := flagsOf(t, w, pid), socketTargetFlagsTARGET_KNOWN|socketTargetFlagsTARGET_TCP|socketTargetFlagsTARGET_NO_LOCAL; got != want {
		t.Errorf("flags %#x, want %#x", got, want)
	}
}

// TestRungsOfListener: a program listens some time after its exec; an exception
// for its port then fits, and what else is known of the program stays.
func TestRungsOfListener(t *testing.T) {
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip("Python is not installed")
	}
	port := freePort(t)
	server := exec.Command(python, "-c", `
import socket, sys
sys.stdin.readline()
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
sys.stdin.read()
`, port)
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = server.Wait() })
	pid := uint32(server.Process.Pid)
	w := watching(t, Propagation{Rungs: RungHeaders, Exceptions: exceptions(t, "port="+port, RungLocal)}, "pid="+strconv.Itoa(server.Process.Pid))
	found := 0
	w.notify = func(Lifecycle) { found++ }

	w.scan(context.Background())
	if got, want := flagsOf(t, w, pid), socketTargetFlagsTARGET_KNOWN|socketTargetFlagsTARGET_HEADERS|socketTargetFlagsTARGET_NO_LOCAL; got != want {
		t.Errorf("before it listens: flags %#x, want %#x", got, want)
	}
	w.targets.change(pid, func(target *socketTarget) { target.Flags |= socketTargetFlagsTARGET_PROXY; target.TrustedNs = 7 })
	if _, err := stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	w.scan(context.Background())
	var target socketTarget
	if err := w.targets.Lookup(pid, &target); err != nil {
		t.Fatal(err)
	}
	if want := socketTargetFlagsTARGET_KNOWN | socketTargetFlagsTARGET_PROXY; target.Flags != want || target.TrustedNs != 7 {
		t.Errorf("once it listens: %+v, want flags %#x", target, want)
	}
	if found != 1 {
		t.Errorf("found %d times, want once", found)
	}
}

// TestReachGrows: whoever attaches to a process's sockets hears of one that comes
// to be allowed a rung outward, once.
func TestReachGrows(t *testing.T) {
	w := watching(t, Propagation{Rungs: RungLocal, Exceptions: exceptions(t, "cgroup=/shop", RungTCP)}, "")
	var heard []uint32
	w.entered = func(pid uint32) { heard = append(heard, pid) }
	target := discover.Target{Facts: discover.Facts{PID: uint32(os.Getpid()), Exe: "/bin/x", Cgroups: []string{"/"}}}
	w.enter(target, 0)
	w.revise(target.Facts)
	if heard != nil {
		t.Errorf("heard of %v, which may not reach other hosts", heard)
	}
	target.Cgroups = []string{"/shop"}
	w.revise(target.Facts)
	w.revise(target.Facts)
	if !slices.Equal(heard, []uint32{target.PID}) {
		t.Errorf("heard of %v, want of %d once", heard, target.PID)
	}
	w.enter(target, 0)
	if len(heard) != 2 {
		t.Errorf("heard %d times, want again of a program that starts so", len(heard))
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestChangeOfWhoHasGone leaves the table as it is.
func TestChangeOfWhoHasGone(t *testing.T) {
	w := watching(t, Propagation{}, "")
	if w.targets.change(1, func(*socketTarget) { t.Error("changed what is not there") }) {
		t.Error("says that there is a process")
	}
	if w.known(1) {
		t.Error("knows a process that nobody entered")
	}
}
