package workload

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/clewtrace/clew/probes/discover/proc/proctest"
)

const containerID = "3f4f5e6d7c8b9a00112233445566778899aabbccddeeff00112233445566aabb"

// clock is a time that stands still until it is moved.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func fake(t *testing.T, processes ...proctest.Process) (*Directory, string, *clock) {
	t.Helper()
	root := proctest.New(t, processes...)
	d := New(zap.NewNop(), Config{Proc: root, Version: "test"})
	c := &clock{time.Unix(1_000_000, 0)}
	d.now = c.now
	return d, root, c
}

func counted(d *Directory) map[string]uint64 {
	counts := map[string]uint64{}
	d.Counts(func(outcome, reason string, n uint64) { counts[strings.TrimSuffix(outcome+"/"+reason, "/")] = n })
	return counts
}

// start runs a real program that stays until the test ends.
func start(t *testing.T, dir string, environ []string, name string, args ...string) uint32 {
	t.Helper()
	if _, err := os.Stat(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	command := exec.Command(name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), environ...)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = command.Process.Kill(); _ = command.Wait() })
	executed(t, command.Process.Pid)
	return uint32(command.Process.Pid)
}

// executed waits until the exec is complete. Start returns when the kernel has
// closed the old program's files, which is before it tells the new one's command
// line; the exec event that the agent goes by comes after.
func executed(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(line) > 0 {
			return
		}
	}
	t.Fatalf("process %d has no command line", pid)
}

func TestRealPrograms(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkout")
	proctest.Write(t, filepath.Join(dir, "main.py"), "input()")
	proctest.Write(t, filepath.Join(dir, "index.js"), "process.stdin.resume()")
	proctest.Write(t, filepath.Join(dir, "node/server.js"), "process.stdin.resume()")
	proctest.Write(t, filepath.Join(dir, "node/package.json"), `{"name": "@acme/pay"}`)
	proctest.Write(t, filepath.Join(dir, "Orders.java"), "class Orders { public static void main(String[] a) throws Exception { System.in.read(); } }")
	proctest.Write(t, filepath.Join(dir, "stock.sh"), "read x")
	proctest.Write(t, filepath.Join(dir, "cart.rb"), "gets")
	proctest.Write(t, filepath.Join(dir, "mail.php"), "<?php fgets(STDIN);")
	d := New(zap.NewNop(), Config{Version: "test"})
	for _, test := range []struct {
		name, runtime, service string
		environ, args          []string
	}{
		{"/usr/bin/python3", "cpython", "checkout", nil, []string{"main.py"}},
		{"/usr/bin/python3", "cpython", "shop", []string{"OTEL_SERVICE_NAME=shop"}, []string{"main.py"}},
		{"/usr/bin/python3", "cpython", "till", []string{"OTEL_RESOURCE_ATTRIBUTES=service.name=till,service.version=1"}, []string{"main.py"}},
		{"/usr/bin/node", "nodejs", "checkout", nil, []string{"index.js"}},
		{"/usr/bin/node", "nodejs", "@acme/pay", nil, []string{"node/server.js"}},
		{"/usr/bin/java", "jvm", "Orders", nil, []string{"-Xmx64m", "-cp", "x", "Orders.java"}},
		{"/usr/bin/ruby", "ruby", "cart", nil, []string{"cart.rb"}},
		{"/usr/bin/php", "php", "mail", nil, []string{"mail.php"}},
		{"/bin/sh", "native", "stock", nil, []string{"stock.sh"}},
		{"/bin/sleep", "native", "sleep", nil, []string{"60"}},
	} {
		t.Run(filepath.Base(test.name)+"/"+test.service, func(t *testing.T) {
			pid := start(t, dir, test.environ, test.name, test.args...)
			d.Start(Exec{PID: pid, Parent: uint32(os.Getpid()), Comm: filepath.Base(test.name), Filename: test.name, Time: time.Now()})
			p := d.Process(pid)
			if p.Service != test.service || p.Runtime != test.runtime || p.PID != pid {
				t.Errorf("got %+v, want service %s, runtime %s", p, test.service, test.runtime)
			}
			if got := value(p, "process.parent_pid"); got != fmt.Sprint(os.Getpid()) {
				t.Errorf("parent %s, want %d", got, os.Getpid())
			}
			if again := d.Process(pid); again != p {
				t.Error("the same process was made twice")
			}
			// Another agent, or this one after a restart, must find the same id.
			other := New(zap.NewNop(), Config{Version: "test"}).Process(pid)
			if got, want := value(other, "service.instance.id"), value(p, "service.instance.id"); got != want {
				t.Errorf("instance id %s, and %s when read again", want, got)
			}
		})
	}
}

func TestGoneBeforeRead(t *testing.T) {
	command := exec.Command("/bin/true")
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	pid := uint32(command.Process.Pid)
	d, _, _ := fake(t,
		proctest.Process{PID: 10, Comm: "sh", Exe: "/bin/sh", Cmdline: "sh\x00", Cgroup: "0::/docker/" + containerID + "\n"})
	for _, known := range []bool{false, true} { // the parent, when its child starts
		if known {
			d.Process(10)
		}
		d.Start(Exec{PID: pid, Parent: 10, Comm: "curl", Filename: "/usr/bin/curl", Time: time.Unix(5, 0)})
		d.Exit(pid)
		p := d.Process(pid)
		if p.Service != "curl" || p.Exe != "/usr/bin/curl" || p.Container != containerID || p.Runtime != "native" {
			t.Errorf("parent known %v: got %+v", known, p)
		}
		if value(p, "process.parent_pid") != "10" || value(p, "process.executable.name") != "curl" {
			t.Errorf("attributes %v", p.Attributes)
		}
	}
	d.Start(Exec{PID: pid, Comm: "job.py", Filename: "./job.py"})
	if p := d.Process(pid); p.Service != "job" || p.Exe != "" {
		t.Errorf("script that is gone: %+v", p)
	}
	d.Start(Exec{PID: pid, Comm: "only-comm"})
	if p := d.Process(pid); p.Service != "only-comm" {
		t.Errorf("with the name alone: %+v", p)
	}
	if counts := counted(d); counts["seen"] != 4 || counts["dropped/gone"] != 4 || counts["kept"] != 1 {
		t.Errorf("counts %v, want 4 seen, 4 gone, 1 kept", counts)
	}
}

// TestDyingWhileRead takes away one file after the other.
func TestDyingWhileRead(t *testing.T) {
	complete := proctest.Process{
		PID: 7, Parent: 1, Comm: "python3", Started: 9, Exe: "/usr/bin/python3", Cmdline: "python3\x00/srv/shop.py\x00",
		Environ: "OTEL_SERVICE_NAME=till\x00", Cgroup: "0::/docker/" + containerID + "\n",
	}
	for missing, want := range map[string]string{
		"": "till", "stat": "python3", "cgroup": "till", "exe": "python3", "environ": "shop", "cmdline": "till",
	} {
		d, root, _ := fake(t, complete)
		if missing != "" {
			if err := os.Remove(filepath.Join(root, "7", missing)); err != nil {
				t.Fatal(err)
			}
		}
		d.Start(Exec{PID: 7, Parent: 1, Comm: "python3", Filename: "/usr/bin/python3"})
		if p := d.Process(7); p.Service != want {
			t.Errorf("without %s: %+v, want %s", missing, p, want)
		}
	}
}

func TestGarbage(t *testing.T) {
	noise := strings.Repeat("\xff\xfe garbage without end ", 200_000)
	d, _, _ := fake(t,
		proctest.Process{PID: 8, Comm: "py\xffthon", Exe: "/usr/bin/python3", Cmdline: noise, Environ: noise, Cgroup: noise},
		proctest.Process{PID: 9, Comm: "node", Exe: "/opt/\xff\n/node", Cmdline: strings.Repeat("\x00", 1<<20), Environ: "OTEL_SERVICE_NAME=" + strings.Repeat("x", 1<<20)},
	)
	for _, pid := range []uint32{8, 9} {
		p := d.Process(pid)
		if p.Service == "" || len(p.Service) > maxName {
			t.Errorf("service %.40q", p.Service)
		}
		for _, one := range p.Attributes {
			if text := one.Value.String(); len(text) > 2*maxValue || clean(text, len(text)) != text {
				t.Errorf("%s is %.40q, %d bytes", one.Key, text, len(text))
			}
		}
	}
}

// TestUnreadable cannot be read at its exec, and can later.
func TestUnreadable(t *testing.T) {
	d, root, _ := fake(t, proctest.Process{PID: 50, Comm: "x", Started: 3, Exe: "/bin/x", Cmdline: "x\x00", Environ: "OTEL_SERVICE_NAME=till\x00"})
	stat := filepath.Join(root, "50", "stat")
	line, err := os.ReadFile(stat)
	if err != nil {
		t.Fatal(err)
	}
	proctest.Write(t, stat, "nonsense")
	d.Start(Exec{PID: 50, Comm: "x", Filename: "/bin/x"})
	proctest.Write(t, stat, string(line))
	if p := d.Process(50); p.Service != "till" {
		t.Errorf("read too early, then well: %+v", p)
	}
}

func TestUnknown(t *testing.T) {
	d, _, _ := fake(t)
	p := d.Process(12345)
	if p == nil || p.Service != unknownService || p.PID != 12345 || value(p, "process.pid") != "12345" {
		t.Fatalf("unknown process is %+v", p)
	}
	d.Process(12345)
	if counts := counted(d); counts["dropped/unknown"] != 1 {
		t.Errorf("counts %v: what is not there must not be looked for again and again", counts)
	}
}

func TestFork(t *testing.T) {
	d, root, _ := fake(t, proctest.Process{
		PID: 20, Comm: "php-fpm8.2", Started: 5, Exe: "/usr/sbin/php-fpm8.2", Cmdline: "php-fpm: master process (x)\x00",
		Environ: "OTEL_SERVICE_NAME=\x00OTEL_RESOURCE_ATTRIBUTES=team=a\x00", Cgroup: "0::/docker/" + containerID + "\n",
	})
	d.Fork(20, 21) // and gone before anybody asks
	d.Exit(21)
	p := d.Process(21)
	if p.PID != 21 || p.Service != "php-fpm" || p.Container != containerID || value(p, "process.parent_pid") != "20" || value(p, "team") != "a" {
		t.Errorf("forked and gone: %+v", p)
	}
	if value(p, "service.instance.id") == value(d.Process(20), "service.instance.id") {
		t.Error("parent and child share an instance id")
	}
	d.Fork(20, 22) // gives itself a title, over its environment, and stays
	proctest.Add(t, root, proctest.Process{
		PID: 22, Parent: 20, Started: 6, Comm: "php-fpm8.2", Exe: "/usr/sbin/php-fpm8.2",
		Cmdline: "php-fpm: pool shop\x00\x00\x00", Environ: "rest of a title\x00", Cgroup: "0::/docker/" + containerID + "\n",
	})
	if p := d.Process(22); p.Service != "shop" || value(p, "team") != "a" {
		t.Errorf("forked worker: %+v, want its pool and its parent's environment", p)
	}
	d.Fork(22, 23)
	d.Start(Exec{PID: 23, Parent: 22, Comm: "curl", Filename: "/usr/bin/curl"})
	if p := d.Process(23); p.Service != "curl" || value(p, "team") != "(absent)" {
		t.Errorf("forked, then another program: %+v", p)
	}
}

func TestFoundBeforeDeath(t *testing.T) {
	d, root, _ := fake(t, proctest.Process{PID: 30, Comm: "a", Exe: "/bin/first", Cmdline: "first\x00", Cgroup: "0::/\n"})
	d.Find(30)
	d.Find(31) // never there
	if err := os.RemoveAll(filepath.Join(root, "30")); err != nil {
		t.Fatal(err)
	}
	d.Exit(30)
	if p := d.Process(30); p.Service != "first" {
		t.Errorf("found, then gone: %+v", p)
	}
	if p := d.Process(31); p.Service != unknownService {
		t.Errorf("never found: %+v", p)
	}
}

func TestOutlivesDeath(t *testing.T) {
	d, root, c := fake(t, proctest.Process{PID: 30, Comm: "a", Exe: "/bin/first", Cmdline: "first\x00", Cgroup: "0::/\n"})
	d.Start(Exec{PID: 30, Comm: "a", Filename: "/bin/first"})
	if err := os.RemoveAll(filepath.Join(root, "30")); err != nil {
		t.Fatal(err)
	}
	d.Exit(30)
	d.Exit(30)
	c.Time = c.Add(keepDead - time.Second)
	d.Exit(999) // any event buries
	if p := d.Process(30); p.Service != "first" {
		t.Errorf("within the grace: %+v", p)
	}
	c.Time = c.Add(time.Second)
	d.Exit(999)
	if p := d.Process(30); p.Service != unknownService {
		t.Errorf("after the grace: %+v", p)
	}

	// A pid that is taken over must not be buried with its former owner.
	d.Start(Exec{PID: 31, Comm: "old"})
	d.Exit(31)
	d.Start(Exec{PID: 31, Comm: "new"})
	c.Time = c.Add(2 * keepDead)
	d.Exit(999)
	if p := d.Process(31); p.Service != "new" {
		t.Errorf("new owner of a pid: %+v", p)
	}
}

func TestBounded(t *testing.T) {
	d, _, _ := fake(t)
	const extra = 100
	d.Start(Exec{PID: 1_000_000, Comm: "busy"})
	for pid := range uint32(maxProcesses + extra) {
		d.Start(Exec{PID: pid + 10, Comm: "x"})
		d.Exit(pid + 10)
		d.Process(1_000_000) // in use, so it stays
	}
	if len(d.known) != maxProcesses || d.recent.Len() != maxProcesses || len(d.dead) > maxProcesses {
		t.Errorf("%d known, %d in order, %d dead, want at most %d", len(d.known), d.recent.Len(), len(d.dead), maxProcesses)
	}
	if counts := counted(d); counts["dropped/evicted"] != extra+1 {
		t.Errorf("counts %v, want %d evicted", counts, extra+1)
	}
	if p := d.Process(1_000_000); p.Service != "busy" {
		t.Errorf("the one in use was forgotten: %+v", p)
	}
}

func TestBadResourceIsReportedOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	root := proctest.New(t, proctest.Process{PID: 40, Comm: "x", Exe: "/bin/x", Cmdline: "x\x00", Environ: envResource + "=secret%%\x00"})
	d := New(zap.New(core), Config{Proc: root})
	d.Process(40)
	d.Process(40)
	if logs.Len() != 1 || counted(d)["dropped/bad_resource_attributes"] != 1 {
		t.Errorf("%d log lines, counts %v, want 1 and 1", logs.Len(), counted(d))
	}
	if text := fmt.Sprint(logs.All()); strings.Contains(text, "secret") {
		t.Errorf("the log repeats the value: %s", text)
	}
}

func TestConcurrently(t *testing.T) {
	d := New(zap.NewNop(), Config{})
	own := uint32(os.Getpid())
	var all sync.WaitGroup
	for worker := range uint32(8) {
		all.Go(func() {
			for i := range uint32(50) {
				d.Start(Exec{PID: own, Comm: "test"})
				d.Fork(own, 5_000_000+worker)
				if p := d.Process(own); p.Runtime != "go" {
					t.Errorf("own process is %+v", p)
				}
				if p := d.Process(5_000_000 + worker); p.PID != 5_000_000+worker {
					t.Errorf("asked for %d, got %+v", 5_000_000+worker, p)
				}
				d.Exit(5_000_000 + i%8)
			}
		})
	}
	all.Wait()
}
