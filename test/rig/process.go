package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end after SIGTERM. Generous: it
// is only ever waited for in full when something is wrong.
const stopGrace = 30 * time.Second

// Command says how to start a program.
type Command struct {
	Name string // for messages
	Path string // looked up in PATH when it has no slash
	Args []string
	Env  []string // added to the environment
	Dir  string   // working directory; "" is the scene's

	// Stdout is where its standard output goes; nil is a file of the scene.
	Stdout *os.File
}

// Process is a program started by a Scene. Its output goes to files of the
// scene's directory. It dies with the process that started it.
type Process struct {
	Name string

	cmd            *exec.Cmd
	stdout, stderr string // file names
	done           chan struct{}
	err            error // how it ended; to be read once done is closed
}

// start runs c, inside the cgroup that the descriptor is open on unless it is
// negative.
func start(c Command, dir string, cgroup int) (*Process, error) {
	p := &Process{Name: c.Name, done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Dir = dir
	if c.Dir != "" {
		p.cmd.Dir = c.Dir
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:   syscall.SIGKILL,
		Setpgid:     true, // Ctrl-C is for us; we stop our programs in order
		UseCgroupFD: cgroup >= 0,
		CgroupFD:    cgroup,
	}
	out, err := os.CreateTemp(dir, filepath.Base(c.Name)+"-*.out")
	if err != nil {
		return nil, fmt.Errorf("make the output file of %s: %w", c.Name, err)
	}
	defer out.Close()
	problems, err := os.Create(strings.TrimSuffix(out.Name(), ".out") + ".err")
	if err != nil {
		return nil, fmt.Errorf("make the error file of %s: %w", c.Name, err)
	}
	defer problems.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, problems
	p.stdout, p.stderr = out.Name(), problems.Name()
	if c.Stdout != nil {
		p.cmd.Stdout = c.Stdout
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits until the process has ended by itself. The error is not nil when
// its exit status was not 0.
func (p *Process) Wait() error {
	<-p.done
	if p.err != nil {
		return fmt.Errorf("run %s: %w\n%s", p.Name, p.err, p.Errors())
	}
	return nil
}

// Stop asks the process to end with SIGTERM, and waits for it. It is an error
// if it has to be killed, or ends otherwise than by that signal or with status 0.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		p.Kill()
		return fmt.Errorf("stop %s: still running %v after SIGTERM", p.Name, stopGrace)
	}
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() && status.Signal() == syscall.SIGTERM {
		return nil
	}
	if p.err != nil {
		return fmt.Errorf("stop %s: %w", p.Name, p.err)
	}
	return nil
}

// Kill ends the process with SIGKILL, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended already
	<-p.done
}

// Running says whether the process is still there.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ended says how the process, which is no longer running, has ended.
func (p *Process) ended() error {
	if p.err == nil {
		return fmt.Errorf("%s has ended with status 0", p.Name)
	}
	return fmt.Errorf("%s has ended: %w", p.Name, p.err)
}

// Output is what the process wrote to its standard output so far.
func (p *Process) Output() string { return contents(p.stdout) }

// Errors is what the process wrote to its standard error so far.
func (p *Process) Errors() string { return contents(p.stderr) }

func contents(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
