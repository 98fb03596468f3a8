package proc_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/proc/proctest"
)

func open(t *testing.T, root string, pid uint32) *proc.Process {
	t.Helper()
	p, err := proc.New(root).Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestReadSelf(t *testing.T) {
	pid, err := proc.New("").Self()
	if err != nil {
		t.Fatal(err)
	}
	if int(pid) != os.Getpid() {
		t.Errorf("own pid %d, want %d", pid, os.Getpid())
	}
	p := open(t, "", pid)
	stat, err := p.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if int(stat.Parent) != os.Getppid() || stat.Started == 0 || stat.KernelThread || stat.Zombie {
		t.Errorf("stat %+v, parent should be %d", stat, os.Getppid())
	}
	args, err := p.Args()
	if err != nil || !slices.Equal(args.List, os.Args) {
		t.Errorf("arguments %q, %v, want %q", args.List, err, os.Args)
	}
	content, err := p.ReadFile(os.Args[0], 4)
	if err != nil || string(content) != "\x7fELF" {
		t.Errorf("own executable begins with %q, %v", content, err)
	}
}

func TestGone(t *testing.T) {
	if _, err := proc.New("").Open(1 << 30); !errors.Is(err, proc.ErrGone) {
		t.Errorf("open of a pid that cannot be: %v, want ErrGone", err)
	}
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := open(t, "", uint32(command.Process.Pid))
	if _, err := p.Stat(); err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // reports the kill
	_, statErr := p.Stat()
	_, argsErr := p.Args()
	_, environErr := p.Environ("A")
	_, cgroupErr := p.Cgroups()
	_, linkErr := p.Link("exe")
	_, idErr := p.ExeID()
	_, exeErr := p.OpenExe()
	_, fileErr := p.ReadFile("/etc/passwd", 10)
	_, portsErr := (&proc.Listeners{}).Ports(p)
	for i, err := range []error{statErr, argsErr, environErr, cgroupErr, linkErr, idErr, exeErr, fileErr, portsErr} {
		if !errors.Is(err, proc.ErrGone) {
			t.Errorf("read %d of a process that is gone: %v, want ErrGone", i, err)
		}
	}
}

func TestReadFileStaysInRoot(t *testing.T) {
	root := proctest.New(t, proctest.Process{PID: 7, Comm: "x", Files: map[string]string{
		"etc/name": "inside", "big": strings.Repeat("x", 10000),
	}})
	inside := filepath.Join(root, "7", "root")
	secret := filepath.Join(t.TempDir(), "secret")
	proctest.Write(t, secret, "outside")
	for name, target := range map[string]string{
		"absolute": "/etc/name", "escape": secret, "climb": "../../../../../../.." + secret, "loop": "loop", "device": "zero",
	} {
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(inside, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(filepath.Join(inside, "zero"), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))); err != nil && !errors.Is(err, unix.EPERM) {
		t.Fatal(err)
	}
	p := open(t, root, 7)
	for _, name := range []string{"/etc/name", "etc/name", "/absolute", "/../../etc/name"} {
		if content, err := p.ReadFile(name, 100); err != nil || string(content) != "inside" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
	if content, err := p.ReadFile("/big", 4096); err != nil || len(content) != 4096 {
		t.Errorf("a read is bounded: got %d bytes, %v", len(content), err)
	}
	for _, name := range []string{"/escape", "/climb", "/loop", "/fifo", "/zero", "/device", "/etc", "/missing"} {
		if content, err := p.ReadFile(name, 100); err == nil {
			t.Errorf("%s: read %q, want an error", name, content)
		}
	}
}

func TestListeners(t *testing.T) {
	var want []uint16
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("no such family here: %v", err)
		}
		defer listener.Close()
		want = append(want, uint16(listener.Addr().(*net.TCPAddr).Port))
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close() // a connected socket is no listener
	}
	slices.Sort(want)
	listeners := &proc.Listeners{}
	got, err := listeners.Ports(open(t, "", uint32(os.Getpid())))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("own ports %v, %v, want %v", got, err, want)
	}
	wanted := &proc.Listeners{Wanted: func(port uint16) bool { return port == want[0] }}
	if got, err := wanted.Ports(open(t, "", uint32(os.Getpid()))); err != nil || !slices.Equal(got, want[:1]) {
		t.Errorf("wanted ports %v, %v, want %v", got, err, want[:1])
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	if got, err := listeners.Ports(open(t, "", uint32(child.Process.Pid))); err != nil || len(got) != 0 {
		t.Errorf("ports of sleep: %v, %v, want none", got, err)
	}
}

func TestEach(t *testing.T) {
	root := proctest.New(t)
	for pid := range uint32(1200) { // more than one batch
		if err := os.Mkdir(filepath.Join(root, strconv.Itoa(int(pid)+10)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[uint32]bool{}
	if err := proc.New(root).Each(func(pid uint32) bool { seen[pid] = true; return true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1200 {
		t.Errorf("saw %d processes, want 1200", len(seen))
	}
	n := 0
	_ = proc.New(root).Each(func(uint32) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("visited %d processes after being told to stop at 3", n)
	}
	if err := proc.New(root + "/nowhere").Each(func(uint32) bool { return true }); err == nil {
		t.Error("no error without a proc filesystem")
	}
}

func TestGuard(t *testing.T) {
	guard := proc.NewGuard(1, 10*time.Millisecond)
	release := make(chan struct{})
	if _, ok := proc.Within(guard, func() int { <-release; return 1 }); ok {
		t.Error("a call that hangs was reported as done")
	}
	if _, ok := proc.Within(guard, func() int { return 2 }); ok {
		t.Error("a call was made though all slots hang")
	}
	close(release)
	patient := proc.NewGuard(1, time.Minute)
	for want := range 3 {
		if got, ok := proc.Within(patient, func() int { return want }); !ok || got != want {
			t.Errorf("got %d, %v, want %d", got, ok, want)
		}
	}
}
