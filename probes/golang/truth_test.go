//go:build linux && amd64

package golang

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTruth runs real programs, stops each at the probe point as a uprobe would,
// does the reads that the kernel is to do, and compares with what the program
// itself says.
func TestTruth(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.String(), func(t *testing.T) {
			path := buildProgram(t, s)
			checkTruth(t, path, "tcp")
			checkIDs(t, path)
		})
	}
	t.Run("c-archive", func(t *testing.T) {
		path := buildArchive(t)
		checkTruth(t, path, "tcp")
		checkIDs(t, path)
	})
}

func TestTruthOfOtherToolchains(t *testing.T) {
	for _, s := range otherShapes() {
		t.Run(s.String(), func(t *testing.T) {
			path := buildProgram(t, s)
			checkTruth(t, path, "tcp")
			checkTruth(t, path, "tls")
			checkIDs(t, path)
		})
	}
}

func TestTruthOfConnections(t *testing.T) {
	path := buildProgram(t, static)
	for _, kind := range []string{"tcp", "unix", "tls", "wrapped"} {
		t.Run(kind, func(t *testing.T) { checkTruth(t, path, kind) })
	}
}

func checkTruth(t *testing.T, path, kind string) {
	t.Helper()
	layout := inspectFile(t, path)
	if layout.RoundTrip == 0 {
		t.Fatalf("no probe point: %s", layout.NoRoundTrip)
	}
	// All calls of ptrace have to come from one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := start(t, path, kind)
	defer p.stop()
	p.attach(unix.PTRACE_O_TRACECLONE)
	regs := p.runTo(layout.RoundTrip)

	var fd, id, parent uint64
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &fd, &id, &parent); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	g := p.word(regs.Fs_base + uint64(int64(layout.TLSOffset)))
	if got := p.word(g + uint64(layout.GoID)); got != id {
		t.Errorf("goroutine %d, want %d", got, id)
	}
	if got := p.word(g + uint64(layout.ParentGoID)); got != parent {
		t.Errorf("parent goroutine %d, want %d", got, parent)
	}
	p.checkOwnIDs(layout, g)
	got, ok := p.follow(layout.Conn, regs.Rax)
	if want := kind != "wrapped"; ok != want {
		t.Errorf("connection of a known type: %v, want %v", ok, want)
	} else if ok && got != fd {
		t.Errorf("descriptor %d, want %d", got, fd)
	}
}

// traced is a program under our ptrace.
type traced struct {
	t      *testing.T
	pid    int
	stdout *bufio.Reader
	memory *os.File
	signal int // to be delivered to the first thread when it goes on
}

func start(t *testing.T, path, kind string) *traced {
	t.Helper()
	command := exec.Command(path, kind)
	command.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // it is killed before it could clean up
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return &traced{t: t, pid: command.Process.Pid, stdout: bufio.NewReader(stdout)}
}

// attach waits for the stop at the program's start.
func (p *traced) attach(options int) {
	p.t.Helper()
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.pid, &status, unix.WALL, nil); err != nil {
		p.t.Fatal(err)
	}
	if err := unix.PtraceSetOptions(p.pid, options|unix.PTRACE_O_EXITKILL); err != nil {
		p.t.Fatal(err)
	}
	var err error
	if p.memory, err = os.Open(fmt.Sprintf("/proc/%d/mem", p.pid)); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the program and waits for each of its threads, which only their
// tracer can.
func (p *traced) stop() {
	_ = unix.Kill(p.pid, unix.SIGKILL)
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-p.pid, &status, unix.WALL, nil)
		if err != nil && err != unix.EINTR || tid == p.pid && !status.Stopped() {
			break
		}
	}
	if p.memory != nil {
		p.memory.Close()
	}
}

// runTo puts a breakpoint at an offset of the executable, where it expects
// "push %rbp", and runs until a thread gets there.
func (p *traced) runTo(offset uint64) unix.PtraceRegs {
	p.t.Helper()
	const pushRBP, breakpoint = 0x55, 0xcc
	addr := p.mapped(offset)
	code := make([]byte, 1)
	if _, err := p.memory.ReadAt(code, int64(addr)); err != nil || code[0] != pushRBP {
		p.t.Fatalf("probe point holds % x (%v), not push %%rbp", code, err)
	}
	if _, err := unix.PtracePokeText(p.pid, uintptr(addr), []byte{breakpoint}); err != nil {
		p.t.Fatal(err)
	}
	tid, signal := p.pid, 0
	for {
		if err := unix.PtraceCont(tid, signal); err != nil && err != unix.ESRCH {
			p.t.Fatal(err)
		}
		var status unix.WaitStatus
		var err error
		if tid, err = unix.Wait4(-p.pid, &status, unix.WALL, nil); err != nil {
			p.t.Fatal(err)
		}
		signal = 0
		switch {
		case !status.Stopped():
			if tid == p.pid {
				p.t.Fatalf("program ended before it got to the probe point: %v", status)
			}
		case status.StopSignal() == unix.SIGTRAP:
			var regs unix.PtraceRegs
			if err := unix.PtraceGetRegs(tid, &regs); err == nil && regs.Rip == addr+1 {
				return regs
			}
		case status.StopSignal() != unix.SIGSTOP: // a new thread's first stop
			signal = int(status.StopSignal())
		}
	}
}

// mapped returns the address at which an offset of the executable is mapped as
// code, as the kernel finds it for a uprobe.
func (p *traced) mapped(offset uint64) uint64 {
	p.t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if len(fields) != 6 || fields[5] != exe || !strings.Contains(fields[1], "x") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, _ := strconv.ParseUint(from, 16, 64)
		end, _ := strconv.ParseUint(to, 16, 64)
		first, _ := strconv.ParseUint(fields[2], 16, 64)
		if offset >= first && offset-first < end-start {
			return start + offset - first
		}
	}
	p.t.Fatalf("offset %#x of the program is not mapped as code", offset)
	return 0
}

func (p *traced) word(addr uint64) uint64 {
	p.t.Helper()
	raw := make([]byte, 8)
	if _, err := p.memory.ReadAt(raw, int64(addr)); err != nil {
		p.t.Fatalf("read %#x: %v", addr, err)
	}
	return binary.LittleEndian.Uint64(raw)
}

// follow is what the kernel is to do at the probe.
func (p *traced) follow(c ConnLayout, persistConn uint64) (fd uint64, ok bool) {
	at := persistConn + uint64(c.Persist)
	hash := p.typeHash(at)
	if hash == c.TLSHash {
		at = p.word(at+InterfaceData) + uint64(c.TLS)
		hash = p.typeHash(at)
	}
	if hash != c.TCPHash && hash != c.UnixHash {
		return 0, false
	}
	netFD := p.word(p.word(at+InterfaceData) + uint64(c.FD))
	return p.word(netFD + uint64(c.Sysfd)), true
}

func (p *traced) typeHash(iface uint64) uint32 {
	dynamic := p.word(p.word(iface) + ItabType)
	return uint32(p.word(dynamic + TypeHash))
}
