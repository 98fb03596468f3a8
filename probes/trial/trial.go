package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Names of the trials.
const (
	// Headers tries the writing of a traceparent header by sk_msg.
	Headers = "headers"
	// TCP tries the TCP option. The loopback addresses must be among the peers
	// that options are sent to.
	TCP = "tcp"
)

// Names returns the names of all trials.
func Names() []string { return []string{Headers, TCP} }

// Deadline is the time that a trial has in all. One that finds nothing wrong takes
// a small part of it, on a node that has nothing else to do.
const Deadline = 15 * time.Second

// dying bounds the wait for a killed child.
const dying = time.Second

// Setting is what surrounds a trial. Either function may be nil.
type Setting struct {
	// Enter is called once the child exists and before it opens a socket: it makes
	// the kernel side watch the process and attaches what is tried to the cgroup,
	// given as the path of its directory. An error ends the trial.
	Enter func(pid uint32, cgroup string) error
	// Check is called while the child still lives, after all its checks have
	// passed. An error is a reason against the rung.
	Check func() error
}

// Run carries out the trial of that name and returns nil if nothing speaks against
// the rung. Otherwise the text of the error is the reason in one line, several
// joined by "; ", those of checks as "CHECK: REASON". An error may also mean that
// the trial could not be made; then too the rung is not known to be harmless. That
// the context ended is found by errors.Is.
func Run(ctx context.Context, name string, s Setting) error {
	if _, known := trials[name]; !known {
		return fmt.Errorf("there is no trial %q", name)
	}
	return run(ctx, name, s, Deadline)
}

func run(ctx context.Context, name string, s Setting, limit time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	g, err := newGroup()
	if err != nil {
		return err
	}
	defer func() { err = join(err, g.remove()) }()
	p, err := start(name, g)
	if err != nil {
		return err
	}
	return join(p.attempt(ctx, s, g.path), p.end())
}

// process is the parent's view of the child.
type process struct {
	command *exec.Cmd
	stderr  *beginning
	leash   *os.File
	report  *os.File
	lines   chan line     // closed at the end of the report
	exited  chan struct{} // closed when it has ended and is reaped
	step    string        // the check that the child is at
	faults  []error
}

// start makes the child, inside its cgroup from its first instruction on.
func start(name string, g *group) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own executable: %w", err)
	}
	leash, leashWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer leash.Close()
	report, reportWrite, err := os.Pipe()
	if err != nil {
		leashWrite.Close()
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer reportWrite.Close()
	p := &process{stderr: &beginning{}, leash: leashWrite, report: report, step: "start",
		lines: make(chan line), exited: make(chan struct{})}
	p.command = exec.Command(self)
	p.command.Env = []string{variable + "=" + name}
	p.command.Stderr = p.stderr
	p.command.ExtraFiles = []*os.File{leashFile - 3: leash, reportFile - 3: reportWrite}
	p.command.WaitDelay = dying
	p.command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.dir.Fd())}
	if err := p.command.Start(); err != nil {
		leashWrite.Close()
		report.Close()
		return nil, fmt.Errorf("start a child in the private cgroup: %w", err)
	}
	go p.read()
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // its ProcessState says how it ended
	}()
	return p, nil
}

// read passes the report on, line by line. A report that cannot be read ends there.
func (p *process) read() {
	defer close(p.lines)
	for lines := json.NewDecoder(p.report); ; {
		var l line
		if lines.Decode(&l) != nil {
			return
		}
		p.lines <- l
	}
}

// attempt leads the child through the trial.
func (p *process) attempt(ctx context.Context, s Setting, cgroup string) error {
	if s.Enter != nil {
		if err := s.Enter(uint32(p.command.Process.Pid), cgroup); err != nil {
			return fmt.Errorf("prepare the kernel: %w", err)
		}
	}
	if _, err := p.leash.Write([]byte{1}); err != nil {
		return p.fell()
	}
	for {
		select {
		case <-ctx.Done():
			return join(append(p.faults, p.stopped(ctx.Err()))...)
		case l, open := <-p.lines:
			switch {
			case !open:
				return join(append(p.faults, p.fell())...)
			case l.Done && len(p.faults) == 0 && s.Check != nil:
				return s.Check()
			case l.Done:
				return join(p.faults...)
			case l.Reason != "":
				p.faults = append(p.faults, fmt.Errorf("%s: %s", p.step, l.Reason))
			default:
				p.step = l.Step
			}
		}
	}
}

// stopped says where the child was when its time was over, or the caller's.
func (p *process) stopped(why error) error {
	if errors.Is(why, context.DeadlineExceeded) {
		return fmt.Errorf("%s: the child hangs: %w", p.step, why)
	}
	return fmt.Errorf("%s: the trial is broken off: %w", p.step, why)
}

// fell says how the child ended before its report did.
func (p *process) fell() error {
	select {
	case <-p.exited:
		if said := p.stderr.line(); said != "" {
			return fmt.Errorf("%s: the child ended early (%v): %s", p.step, p.command.ProcessState, said)
		}
		return fmt.Errorf("%s: the child ended early (%v)", p.step, p.command.ProcessState)
	case <-time.After(dying):
		return fmt.Errorf("%s: the child reports no more", p.step)
	}
}

// end kills the child, which has nothing to put in order, and reaps it.
func (p *process) end() error {
	defer func() {
		p.leash.Close()
		p.report.Close()
		for range p.lines { // lets read come to its end
		}
	}()
	_ = p.command.Process.Kill() // it may have exited already
	select {
	case <-p.exited:
		return nil
	case <-time.After(dying):
		return fmt.Errorf("%s: the child does not die", p.step)
	}
}

// beginning keeps the first part of what is written to it, to quote from.
type beginning struct{ text []byte }

// Write never fails: a child must not see its standard error end.
func (b *beginning) Write(text []byte) (int, error) {
	const limit = 1 << 10
	b.text = append(b.text, text[:min(len(text), limit-len(b.text))]...)
	return len(text), nil
}

// line is the first line of it.
func (b *beginning) line() string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(b.text)), "\n")
	return first
}

// reasons is several errors in one line.
type reasons []error

// join returns the errors that are not nil as one, or nil.
func join(errs ...error) error {
	var r reasons
	for _, err := range errs {
		if err != nil {
			r = append(r, err)
		}
	}
	switch len(r) {
	case 0:
		return nil
	case 1:
		return r[0]
	}
	return r
}

func (r reasons) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (r reasons) Unwrap() []error { return r }
