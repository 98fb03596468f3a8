package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
)

// patience bounds every wait. Emulation is slow and the host may be busy: it
// is there to end a hang, not to judge speed.
const patience = 300 * time.Second

// health is where the agent under test says how it is.
const health = "127.0.0.1:9464"

// program is a process of the test.
type program struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it is gone and all its output is read

	mu     sync.Mutex
	stdout bytes.Buffer
	stderr string // the last line
	err    error  // of Wait
}

// start runs argv as the service of that name. What it writes to stdout is
// kept, what it writes to stderr goes to the console.
func start(name string, env []string, argv ...string) (*program, error) {
	p := &program{name: name, cmd: exec.Command(argv[0], argv[1:]...), exited: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=/bin", "HOME=/tmp"}, env...)
	if env == nil {
		p.cmd.Env = append(p.cmd.Env, "OTEL_SERVICE_NAME="+name)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.collect(stdout) })
	readers.Go(func() { p.show(stderr) })
	go func() {
		defer close(p.exited)
		readers.Wait()
		err := p.cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
	}()
	return p, nil
}

func (p *program) collect(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		p.mu.Lock()
		p.stdout.Write(line)
		p.mu.Unlock()
		if err != nil {
			return
		}
		fmt.Printf("stdout| %s: %s", p.name, line)
	}
}

func (p *program) show(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			p.mu.Lock()
			p.stderr = line
			p.mu.Unlock()
			fmt.Printf("%s| %s\n", p.name, line)
		}
		if err != nil {
			return
		}
	}
}

// output is what it has printed on stdout.
func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

// wait waits for its exit. The error is that of the process, or that it is
// still running.
func (p *program) wait() error {
	select {
	case <-p.exited:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.err
	case <-time.After(patience):
		return fmt.Errorf("still running after %v", patience)
	}
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill() // fails only when it is gone already
	_ = p.wait()             // killed is what it is to be
}

// run runs a client to its end.
func run(name string, argv ...string) error {
	p, err := start(name, nil, argv...)
	if err != nil {
		return err
	}
	defer p.kill()
	return p.wait()
}

// listening waits until somebody listens on that port, without a connection
// that the agent would see.
func listening(port int) error {
	want := fmt.Sprintf(":%04X 00000000:0000 0A ", port) // local port, no peer, TCP_LISTEN
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			return err
		}
		if strings.Contains(string(table), want) {
			return nil
		}
	}
	return fmt.Errorf("does not listen on port %d", port)
}

// says waits until it has said so on stdout.
func (p *program) says(line string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(p.output(), line+"\n") {
			return nil
		}
	}
	return fmt.Errorf("never says %q", line)
}

// startAgent starts the agent under test with one family of triggers, or with
// "any" of them, printing spans as JSON.
func startAgent(hooks string, env ...string) (*program, error) {
	env = append(env, "CLEW_METRICS_ADDR="+health)
	if hooks != "any" {
		env = append(env, "CLEW_HOOKS="+hooks)
	}
	return start("agent", env, "/bin/clew", "-o", "json")
}

// ready waits until the agent says that its hooks are attached.
func (p *program) ready() error {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	last := errors.New("never asked")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		select {
		case <-p.exited:
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.err != nil {
				return fmt.Errorf("the agent is gone: %w: %s", p.err, p.stderr)
			}
			return fmt.Errorf("the agent is gone: exit code 0: %s", p.stderr)
		default:
		}
		response, err := client.Get("http://" + health + "/readyz")
		if err != nil {
			last = err
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		last = fmt.Errorf("/readyz says %s: %s", response.Status, bytes.TrimSpace(body))
	}
	return last
}

// refused tells whether the agent ended by itself with exit code 1 or 2 and an
// explanation that names the hooks it was told to use, as one must that cannot
// work.
func (p *program) refused(hooks string) error {
	select {
	case <-p.exited:
	default:
		return errors.New("it is not ready, but runs on")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if code := p.cmd.ProcessState.ExitCode(); code != 1 && code != 2 {
		return fmt.Errorf("exit code %d, want 1 or 2", code)
	}
	if !strings.Contains(p.stderr, hooks) {
		return fmt.Errorf("its last words do not speak of %s: %q", hooks, p.stderr)
	}
	return nil
}

// stop asks the agent to go; it must hand out what it has and exit cleanly.
func (p *program) stop() result {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return result{false, fmt.Sprintf("stops: %v", err)}
	}
	if err := p.wait(); err != nil {
		return result{false, fmt.Sprintf("stops: %v", err)}
	}
	return result{true, "stops on SIGTERM with exit code 0"}
}

// nothingLeft checks that no BPF program has outlived the agent. The kernel
// frees them a little later.
func nothingLeft() result {
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err = ebpf.ProgramGetNextID(0); errors.Is(err, os.ErrNotExist) {
			return result{true, "leaves no BPF program behind"}
		}
	}
	return result{false, fmt.Sprintf("leaves a BPF program behind (last answer: %v)", err)}
}
