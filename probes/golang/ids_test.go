//go:build linux && amd64

package golang

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// checkIDs runs a program that starts goroutines before and after reading its
// standard input, does the reads of the kernel at the end of that system call,
// and compares what they prove of a goroutine's age with the program's own word.
func checkIDs(t *testing.T, path string) {
	t.Helper()
	for _, processors := range []int{1, 4} {
		t.Run(fmt.Sprintf("ids-%d", processors), func(t *testing.T) {
			layout := inspectFile(t, path)
			t.Setenv("GOMAXPROCS", strconv.Itoa(processors))
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			p := start(t, path, "ids")
			defer p.stop()
			p.attach(unix.PTRACE_O_TRACESYSGOOD)
			regs := p.runToRead()
			g := p.word(regs.Fs_base + uint64(int64(layout.TLSOffset)))
			self := p.word(g + uint64(layout.GoID))
			u := p.unused(layout, g)
			if u.next >= u.end && processors == 1 {
				t.Errorf("no ids are left: %+v", u)
			}
			p.finish()
			said := p.lists()
			if said[0][0] != self {
				t.Errorf("goroutine %d, want %d", self, said[0][0])
			}
			u.compare(t, said[1], said[2], processors)
		})
	}
}

// unused is what the kernel knows of ids: those from next up to end, and those
// above last, were not used.
type unused struct{ next, end, last uint64 }

func (u unused) has(id uint64) bool {
	return u.end-u.next <= GoidBatch && id >= u.next && id < u.end || id > u.last
}

// compare expects no goroutine from before among the unused ids, and those from
// after the read there, up to the ids that other processors had taken already.
func (u unused) compare(t *testing.T, before, after []uint64, processors int) {
	t.Helper()
	if len(before) < 20 || len(after) < 200 {
		t.Fatalf("%d and %d goroutines", len(before), len(after))
	}
	for _, id := range before {
		if u.has(id) {
			t.Errorf("goroutine %d from before counts as unused: %+v", id, u)
		}
	}
	unproved := 0
	for _, id := range after {
		if !u.has(id) {
			unproved++
		}
	}
	allowed := 0
	if processors > 1 { // the own one's too, if another thread was just refilling it
		allowed = processors * GoidBatch
	}
	if unproved > allowed {
		t.Errorf("%d of %d goroutines from after do not count as unused, want %d at most: %+v", unproved, len(after), allowed, u)
	}
}

// unused does the kernel's reads.
func (p *traced) unused(layout *Layout, g uint64) unused {
	p.t.Helper()
	m := p.word(g + uint64(layout.M))
	current, old := p.word(m+uint64(layout.P)), p.word(m+uint64(layout.OldP))
	if current == 0 {
		current = old
	} else if current != old {
		p.t.Errorf("p is %#x and was %#x before the system call", current, old)
	}
	at := current + uint64(layout.GoidCache)
	next, end := p.word(at), p.word(at+8)
	goidGen, err := layout.GoidGenAt(uint32(p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return unused{next: next, end: end, last: p.word(goidGen)}
}

// checkOwnIDs checks that, outside of system calls, the p is there. It is the
// goroutine's own then, so that its words belong together.
func (p *traced) checkOwnIDs(layout *Layout, g uint64) {
	p.t.Helper()
	own := p.word(p.word(g+uint64(layout.M)) + uint64(layout.P))
	if own == 0 {
		p.t.Error("no p outside of system calls")
		return
	}
	next, end := p.word(own+uint64(layout.GoidCache)), p.word(own+uint64(layout.GoidCache)+8)
	if next > end || end-next > GoidBatch {
		p.t.Errorf("p has ids from %d to %d", next, end)
	}
}

// runToRead runs until the first thread, the only one that is traced, leaves the
// read of standard input.
func (p *traced) runToRead() unix.PtraceRegs {
	p.t.Helper()
	for entered := false; ; {
		status := p.step(unix.PtraceSyscall)
		if status.Exited() || status.Signaled() {
			p.t.Fatalf("program ended before it read: %v", status)
		}
		var regs unix.PtraceRegs
		if err := unix.PtraceGetRegs(p.pid, &regs); err != nil {
			p.t.Fatal(err)
		}
		if regs.Orig_rax != unix.SYS_READ || regs.Rdi != 0 || status.StopSignal() != unix.SIGTRAP|sysgood {
			continue
		}
		if entered {
			return regs
		}
		entered = true
	}
}

const sysgood = 0x80 // in the stops at system calls

// step lets the first thread run to its next stop.
func (p *traced) step(resume func(pid, signal int) error) unix.WaitStatus {
	p.t.Helper()
	if err := resume(p.pid, p.signal); err != nil {
		p.t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.pid, &status, unix.WALL, nil); err != nil {
		p.t.Fatal(err)
	}
	p.signal = 0
	if s := status.StopSignal(); status.Stopped() && s&^sysgood != unix.SIGTRAP {
		p.signal = int(s)
	}
	return status
}

// finish lets the program end.
func (p *traced) finish() {
	p.t.Helper()
	for {
		status := p.step(unix.PtraceCont)
		if status.Exited() && status.ExitStatus() == 0 {
			return
		}
		if !status.Stopped() {
			p.t.Fatalf("program ended: %v", status)
		}
	}
}

// lists reads the three lines of numbers that the program wrote.
func (p *traced) lists() [3][]uint64 {
	p.t.Helper()
	raw, err := io.ReadAll(p.stdout)
	if err != nil {
		p.t.Fatal(err)
	}
	var lists [3][]uint64
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != len(lists) {
		p.t.Fatalf("program wrote %q", raw)
	}
	for i, line := range lines {
		for _, field := range strings.Fields(line) {
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			lists[i] = append(lists[i], n)
		}
	}
	return lists
}
