package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rigged are trials whose children misbehave.
var rigged = map[string][]check{
	"hang": {
		{"good", func(*bench) error { return nil }},
		{"bad", func(*bench) error { return errors.New("is bad") }},
		{"stuck", func(*bench) error { select {} }},
	},
	"faulty": {
		{"good", func(*bench) error { return nil }},
		{"bad", func(*bench) error { return errors.New("is bad") }},
		{"worse", func(*bench) error { return errors.New("is worse") }},
	},
	"panic": {{"mad", func(*bench) error { panic("out of its mind") }}},
	"exit":  {{"mute", func(*bench) error { os.Exit(7); return nil }}},
}

func TestMain(m *testing.M) {
	if checks, ok := rigged[os.Getenv(variable)]; ok {
		os.Exit(child(os.Getenv(variable), checks))
	}
	Child()
	os.Exit(m.Run())
}

// witness is a Setting that looks at the child and its cgroup.
type witness struct {
	t      *testing.T
	pid    int
	cgroup string
	checks int
}

func (w *witness) setting() Setting { return Setting{Enter: w.enter, Check: w.check} }

func (w *witness) enter(pid uint32, cgroup string) error {
	w.pid, w.cgroup = int(pid), cgroup
	if w.members() != strconv.Itoa(w.pid)+"\n" {
		w.t.Errorf("in %s run %q, want %d alone", cgroup, w.members(), pid)
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(files) < 5 {
		w.t.Errorf("files of the child: %v, %v", files, err)
	}
	for _, file := range files {
		if target, _ := os.Readlink(file); strings.HasPrefix(target, "socket:") {
			w.t.Errorf("the child has %s before it may", target)
		}
	}
	return nil
}

func (w *witness) members() string {
	pids, err := os.ReadFile(filepath.Join(w.cgroup, "cgroup.procs"))
	if err != nil {
		w.t.Error(err)
	}
	return string(pids)
}

func (w *witness) check() error {
	w.checks++
	if w.members() == "" {
		w.t.Error("the child is gone before it may")
	}
	return nil
}

// gone makes sure that nothing is left.
func (w *witness) gone() {
	w.t.Helper()
	if _, err := os.Stat(w.cgroup); w.cgroup == "" || !os.IsNotExist(err) {
		w.t.Errorf("cgroup %q is left: %v", w.cgroup, err)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", w.pid)); !os.IsNotExist(err) {
		w.t.Errorf("child %d is left: %v", w.pid, err)
	}
}

// Without any BPF nothing is harmed, so the trial of the option passes, and that
// of headers finds that none is written.
func TestRun(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	w := &witness{t: t}
	if err := Run(t.Context(), TCP, w.setting()); err != nil {
		t.Error(err)
	}
	w.gone()
	if w.checks != 1 {
		t.Errorf("%d checks by the parent, want 1", w.checks)
	}
	if err := Run(t.Context(), TCP, Setting{}); err != nil {
		t.Error(err)
	}

	w = &witness{t: t}
	err := Run(t.Context(), Headers, w.setting())
	if err == nil || err.Error() != "header: no request carries a traceparent, 2s after the first one" {
		t.Errorf("error: %v", err)
	}
	w.gone()
	if w.checks != 0 {
		t.Error("the parent checks although the child has found something")
	}
}

func TestRunUnknown(t *testing.T) {
	if err := Run(t.Context(), "tls", Setting{}); err == nil || err.Error() != `there is no trial "tls"` {
		t.Errorf("error: %v", err)
	}
	for _, name := range Names() {
		if len(trials[name]) == 0 {
			t.Errorf("trial %s has no checks", name)
		}
	}
	if len(Names()) != len(trials) {
		t.Errorf("Names() = %v", Names())
	}
}

// Whatever the child does, the reason says so in one line, and nothing is left.
func TestBadChildren(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	for name, want := range map[string]string{
		"hang":   "bad: is bad; stuck: the child hangs: context deadline exceeded",
		"faulty": "bad: is bad; worse: is worse",
		"panic":  "mad: the child ended early (exit status 2): panic: out of its mind",
		"exit":   "mute: the child ended early (exit status 7)",
		"nobody": "start: the child ended early (exit status 2): clew: the variable CLEW_TRIAL=nobody is for clew's own use: unset it",
	} {
		w, limit := &witness{t: t}, Deadline
		if name == "hang" {
			limit = time.Second
		}
		setting := Setting{Enter: w.enter, Check: w.check}
		if name == "nobody" { // may be gone before it can be looked at
			setting.Enter = func(pid uint32, cgroup string) error { w.pid, w.cgroup = int(pid), cgroup; return nil }
		}
		err := run(t.Context(), name, setting, limit)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
		if hangs := name == "hang"; errors.Is(err, context.DeadlineExceeded) != hangs {
			t.Errorf("%s: deadline exceeded: %v", name, !hangs)
		}
		w.gone()
	}
}

// What goes wrong around the child is a reason too.
func TestBadSettings(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	broken := errors.New("no such map")
	w := &witness{t: t}
	err := Run(t.Context(), TCP, Setting{
		Enter: func(pid uint32, cgroup string) error { return errors.Join(w.enter(pid, cgroup), broken) },
		Check: w.check,
	})
	if !errors.Is(err, broken) || err.Error() != "prepare the kernel: no such map" || w.checks > 0 {
		t.Errorf("error: %v, %d checks", err, w.checks)
	}
	w.gone()

	w = &witness{t: t}
	err = Run(t.Context(), TCP, Setting{Enter: w.enter, Check: func() error { return broken }})
	if !errors.Is(err, broken) {
		t.Errorf("error: %v", err)
	}
	w.gone()

	w = &witness{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	err = Run(ctx, Headers, Setting{Enter: func(pid uint32, cgroup string) error { cancel(); return w.enter(pid, cgroup) }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	w.gone()
}

// A child whose parent dies sees its leash end, and ends, in the middle of a check.
func TestOrphan(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	g, err := newGroup()
	if err != nil {
		t.Fatal(err)
	}
	p, err := start("hang", g)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.leash.Write([]byte{1}); err != nil {
		t.Error(err)
	}
	for l := range p.lines {
		if l.Step == "stuck" {
			break
		}
	}
	p.leash.Close()
	<-p.exited
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the child ends by %v", p.command.ProcessState)
	}
	if err := join(p.end(), g.remove()); err != nil {
		t.Error(err)
	}
}

// Somebody who sets the variable of the children gets told, and no hang.
func TestVariableOfOthers(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = []string{variable + "=" + Headers}
	said, err := command.CombinedOutput()
	if command.ProcessState.ExitCode() != 2 || !strings.Contains(string(said), "is for clew's own use") {
		t.Errorf("%v: %s", err, said)
	}
}

// A trial leaves no file open and no goroutine behind.
func TestLeaks(t *testing.T) {
	if reason := obstacle(); reason != "" {
		t.Skip(reason)
	}
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	_ = run(t.Context(), "faulty", Setting{}, Deadline) // what stays open for good is open then
	before := open()
	for range 5 {
		if err := run(t.Context(), "faulty", Setting{}, Deadline); err == nil {
			t.Error("nothing is found")
		}
	}
	if after := open(); after != before {
		t.Errorf("%d files are open, before %d", after, before)
	}
}
