package discover_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/probes/discover"
	"github.com/clewtrace/clew/probes/discover/proc/proctest"
	"github.com/clewtrace/clew/probes/discover/program"
)

func inspector(t testing.TB, root, rules string) *discover.Inspector {
	t.Helper()
	parsed, err := discover.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	i, err := discover.New(root, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func sleep(t testing.TB) *exec.Cmd {
	t.Helper()
	command := exec.Command("/bin/sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return command
}

func TestInspectReal(t *testing.T) {
	pid := uint32(sleep(t).Process.Pid)
	target, err := inspector(t, "", "exe=sleep,!cgroup=/none").Inspect(pid)
	if err != nil {
		t.Fatal(err)
	}
	if !target.Watch || target.Reason != "chosen by exe=sleep" || target.PID != pid || target.Comm != "sleep" ||
		int(target.Parent) != os.Getpid() || filepath.Base(target.Exe) != "sleep" || len(target.Cgroups) == 0 ||
		target.Program.Runtime != program.Native || target.Program.Multiplexes || target.KernelThread || target.Self {
		t.Errorf("sleep is %+v", target)
	}
	target, err = inspector(t, "", "!exe=sleep").Inspect(pid)
	if err != nil || target.Watch || target.Program.Runtime != "" {
		t.Errorf("excluded sleep is %+v, %v: its program need not be read", target, err)
	}
	target, err = inspector(t, "", "").Inspect(uint32(os.Getpid()))
	if err != nil || target.Watch || !target.Self {
		t.Errorf("the reader itself is %+v, %v", target, err)
	}
}

// TestFactsForOthers: rules that somebody else applies find their facts, and
// decide nothing here.
func TestFactsForOthers(t *testing.T) {
	root := proctest.New(t, proctest.Process{PID: 5, Comm: "x", Exe: "/bin/x", Cgroup: "0::/shop\n"})
	other, err := discover.ParseRules("!cgroup=/shop")
	if err != nil {
		t.Fatal(err)
	}
	i, err := discover.New(root, discover.Rules{}, discover.Rules{}, other)
	if err != nil {
		t.Fatal(err)
	}
	target, err := i.Inspect(5)
	if err != nil || !target.Watch || !slices.Equal(target.Cgroups, []string{"/shop"}) {
		t.Errorf("got %+v, %v", target, err)
	}
	err = i.Facts(context.Background(), []uint32{4, 5}, func(facts discover.Facts) {
		if facts.PID != 5 || !slices.Equal(facts.Cgroups, []string{"/shop"}) {
			t.Errorf("facts %+v", facts)
		}
		target.PID = 0
	})
	if err != nil || target.PID != 0 {
		t.Errorf("facts of no process (%v)", err)
	}
	if target, err := inspector(t, root, "").Inspect(5); err != nil || target.Cgroups != nil {
		t.Errorf("got %+v, %v: nobody asks for cgroups", target, err)
	}
}

// TestInspectKernelThread needs to see the kernel's threads, as the agent does.
func TestInspectKernelThread(t *testing.T) {
	root := proctest.New(t,
		proctest.Process{PID: 2, Comm: "kthreadd", Flags: 0x208040, Cgroup: "0::/\n"},
		proctest.Process{PID: 3, Comm: "dead", State: 'Z', Cgroup: "0::/\n"},
	)
	i := inspector(t, root, "")
	target, err := i.Inspect(2)
	if err != nil || target.Watch || target.Reason != "it is a kernel thread" {
		t.Errorf("kernel thread: %+v, %v", target, err)
	}
	if _, lines, err := i.Explain(2); err != nil || lines[0].Text != "no: it is a kernel thread" {
		t.Errorf("explanation %v, %v", lines, err)
	}
	if _, err := i.Inspect(3); !errors.Is(err, discover.ErrGone) {
		t.Errorf("zombie: %v, want ErrGone", err)
	}
}

// TestInspectVanishing takes away one file after the other, as a process does
// that dies between two reads.
func TestInspectVanishing(t *testing.T) {
	complete := proctest.Process{PID: 5, Comm: "x", Exe: "/bin/x", Cgroup: "0::/\n"}
	for _, missing := range []string{"", "stat", "cgroup", "exe"} {
		root := proctest.New(t, complete)
		if missing != "" {
			if err := os.Remove(filepath.Join(root, "5", missing)); err != nil {
				t.Fatal(err)
			}
		}
		target, err := inspector(t, root, "!cgroup=/none").Inspect(5)
		if missing == "" && (err != nil || !target.Watch) {
			t.Errorf("complete process: %+v, %v", target, err)
		}
		if missing != "" && !errors.Is(err, discover.ErrGone) {
			t.Errorf("without %s: %v, want ErrGone", missing, err)
		}
	}
	if _, err := inspector(t, proctest.New(t), "").Inspect(77); !errors.Is(err, discover.ErrGone) {
		t.Errorf("no such pid: %v, want ErrGone", err)
	}
}

// TestInspectFifo reads a process whose file is a fifo that nobody writes: that
// must be an error at once, and not a wait.
func TestInspectFifo(t *testing.T) {
	root := proctest.New(t, proctest.Process{PID: 6, Comm: "x", Cgroup: "0::/\n", Exe: "/bin/x"})
	stat := filepath.Join(root, "6", "stat")
	if err := os.Remove(stat); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(stat, 0o644); err != nil {
		t.Fatal(err)
	}
	if target, err := inspector(t, root, "").Inspect(6); err == nil || errors.Is(err, discover.ErrStuck) {
		t.Errorf("inspected %+v without a stat: %v", target, err)
	}
}

func TestPorts(t *testing.T) {
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip("Python is not installed")
	}
	// A pre-forking server: the worker inherits the socket. Both say so and wait.
	server := exec.Command(python, "-c", `
import os, socket, sys
s = socket.create_server(("127.0.0.1", 0))
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
print(s.getsockname()[1], child, flush=True)
sys.stdin.read()
`)
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
	var port uint16
	var child uint32
	if _, err := fmt.Fscan(stdout, &port, &child); err != nil {
		t.Fatal(err)
	}
	other := uint32(sleep(t).Process.Pid)
	parent := uint32(server.Process.Pid)
	rule := fmt.Sprintf("port=%d", port)
	var watched []uint32
	err = inspector(t, "", rule).InspectAll(context.Background(), []uint32{parent, 1 << 30, child, other}, func(target discover.Target) {
		if target.Watch {
			watched = append(watched, target.PID)
		}
		if want := target.PID != other; slices.Equal(target.Ports, []uint16{port}) != want {
			t.Errorf("process %d listens on %v", target.PID, target.Ports)
		}
	})
	if err != nil || !slices.Equal(watched, []uint32{parent, child}) {
		t.Errorf("%s watches %v, %v, want %v", rule, watched, err, []uint32{parent, child})
	}
	found, lines, err := inspector(t, "", "").Explain(child)
	if err != nil {
		t.Fatal(err)
	}
	if found.PID != child || !slices.Equal(found.Ports, []uint16{port}) || len(found.Cgroups) == 0 {
		t.Errorf("explained %+v, want all facts of %d", found, child)
	}
	text := fmt.Sprint(lines)
	for _, part := range []string{"yes: every process is watched", "cpython", fmt.Sprintf("TCP port %d", port), "thread, while exactly one", fmt.Sprintf("parent %d", parent)} {
		if !strings.Contains(text, part) {
			t.Errorf("explanation %s does not say %q", text, part)
		}
	}
}

func TestScan(t *testing.T) {
	pid := uint32(sleep(t).Process.Pid)
	i := inspector(t, "", "")
	seen := map[uint32]int{}
	if err := i.Scan(context.Background(), func(pid uint32) { seen[pid]++ }); err != nil {
		t.Fatal(err)
	}
	if seen[pid] != 1 || seen[uint32(os.Getpid())] != 0 {
		t.Errorf("saw the child %d times and the reader %d times, want 1 and 0", seen[pid], seen[uint32(os.Getpid())])
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := i.Scan(ctx, func(uint32) { t.Error("visited after the end") }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled scan: %v", err)
	}
	if err := i.InspectAll(ctx, []uint32{pid}, func(discover.Target) { t.Error("visited after the end") }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled pass: %v", err)
	}
}

// TestScanWhileProcessesVanish inspects everything while processes come and go;
// a race may only ever show as ErrGone.
func TestScanWhileProcessesVanish(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = exec.Command("/bin/true").Run()
			}
		}
	}()
	i := inspector(t, "", "port=1-65535,exe=true")
	for range 5 {
		var pids []uint32
		if err := i.Scan(context.Background(), func(pid uint32) { pids = append(pids, pid) }); err != nil {
			t.Error(err)
		}
		for _, pid := range pids {
			if _, err := i.Inspect(pid); err != nil && !errors.Is(err, discover.ErrGone) && !errors.Is(err, discover.ErrStuck) && !errors.Is(err, os.ErrPermission) {
				t.Errorf("process %d: %v", pid, err)
			}
		}
	}
	close(stop)
	<-stopped
}

func TestNewWithoutProc(t *testing.T) {
	if _, err := discover.New(t.TempDir(), discover.Rules{}); err == nil {
		t.Error("no error without a proc filesystem")
	}
}

func BenchmarkInspect(b *testing.B) {
	i := inspector(b, "", "")
	pid := uint32(sleep(b).Process.Pid)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Inspect(pid); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFacts is what it costs to look again at one process, when rules ask
// for its cgroups.
func BenchmarkFacts(b *testing.B) {
	i := inspector(b, "", "!cgroup=/none")
	pids := []uint32{uint32(sleep(b).Process.Pid)}
	for b.Loop() {
		if err := i.Facts(context.Background(), pids, func(discover.Facts) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInspectAllPorts is one pass of a port rule over 300 processes, with
// 1,000 connected sockets in the namespace, when somebody listens on the port
// and when nobody does.
func BenchmarkInspectAllPorts(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	for range 500 {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
	}
	pids := make([]uint32, 300)
	for i := range pids {
		pids[i] = uint32(sleep(b).Process.Pid)
	}
	for name, port := range map[string]int{"present": listener.Addr().(*net.TCPAddr).Port, "absent": 1} {
		b.Run(name, func(b *testing.B) {
			i := inspector(b, "", fmt.Sprintf("port=%d", port))
			before := processorTime(b)
			for b.Loop() {
				n := 0
				if err := i.InspectAll(context.Background(), pids, func(discover.Target) { n++ }); err != nil || n != len(pids) {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N*len(pids)), "cpu-ns/process")
		})
	}
}

// processorTime is what this process has spent, which unlike the time on the
// clock does not depend on what else the machine does.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
