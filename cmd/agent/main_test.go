package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the agent as users run it, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

func withBinary(m *testing.M) int {
	// Other users must be able to run it, so not below a private directory.
	dir, err := os.MkdirTemp("", "clew-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "clew")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3-test", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the agent: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// result is what a finished run left behind.
type result struct {
	code           int
	stdout, stderr string
}

// clew runs the agent to its end with a clean environment.
func clew(t *testing.T, credential *syscall.Credential, environ []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, environ...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("clew %v does not end; it said:\n%s%s", args, &stdout, &stderr)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// nobody is a user without any privilege.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become nobody")
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

func TestCommandLine(t *testing.T) {
	tests := map[string]struct {
		args    []string
		environ []string
		code    int
		stdout  string // is in the output
		stderr  string
	}{
		"version":         {[]string{"--version"}, nil, 0, "clew v1.2.3-test linux/", ""},
		"help":            {[]string{"--help"}, nil, 0, "CLEW_TARGETS", ""},
		"help in a word":  {[]string{"help"}, nil, 0, "OTEL_TRACES_SAMPLER", ""},
		"unknown flag":    {[]string{"--verbose"}, nil, 2, "", "verbose"},
		"unknown command": {[]string{"trace"}, nil, 2, "", `unknown command "trace"`},
		"stray argument":  {[]string{"doctor", "now"}, nil, 2, "", `doctor takes no argument`},
		"unknown form":    {[]string{"-o", "xml"}, nil, 2, "", `-o: "xml" is not one of tree, json`},
		"form without console": {[]string{"-o", "json"}, []string{"OTEL_TRACES_EXPORTER=none"}, 2, "",
			"-o: is for the console, and OTEL_TRACES_EXPORTER is none"},
		"all at once": {[]string{"-o", "xml"}, []string{"CLEW_HOOKS=x", "CLEW_TYPO=1"}, 2, "",
			"clew: configuration:\n  -o: \"xml\" is not one of tree, json\n  CLEW_HOOKS: \"x\" is not one of tracepoint, fentry, kprobe\n  CLEW_TYPO: unknown variable\n"},
		"explain nothing":     {[]string{"explain"}, nil, 2, "", "clew explain PID"},
		"explain a word":      {[]string{"explain", "nginx"}, nil, 2, "", `"nginx" is not a process number`},
		"explain zero":        {[]string{"explain", "0"}, nil, 2, "", "not a process number"},
		"explain two":         {[]string{"explain", "1", "2"}, nil, 2, "", "one process number"},
		"explain, bad config": {[]string{"explain", "1"}, []string{"CLEW_TARGETS=x"}, 2, "", "CLEW_TARGETS: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := clew(t, nil, test.environ, test.args...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d", got.code, test.code)
			}
			if !strings.Contains(got.stdout, test.stdout) || test.code != 0 && got.stdout != "" {
				t.Errorf("prints %q", got.stdout)
			}
			if !strings.Contains(got.stderr, test.stderr) || test.code == 0 && got.stderr != "" {
				t.Errorf("complains %q", got.stderr)
			}
		})
	}
}

func TestNotRoot(t *testing.T) {
	got := clew(t, nobody(t), nil)
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	for _, part := range []string{"CAP_BPF", "CAP_PERFMON", "run as root", "clew doctor"} {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("complains without %q:\n%s", part, got.stderr)
		}
	}
}

// TestBadConfigurationComesFirst: what can be mended without privileges is told
// without them.
func TestBadConfigurationComesFirst(t *testing.T) {
	if got := clew(t, nobody(t), []string{"CLEW_HOOKS=x"}); got.code != 2 {
		t.Errorf("exit code %d, want 2; %s", got.code, got.stderr)
	}
}

func TestDoctorWithoutPrivileges(t *testing.T) {
	got := clew(t, nobody(t), nil, "doctor")
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	for _, part := range []string{
		"\nno   CAP_BPF", "\nno   CAP_PERFMON", "\nno   CAP_SYS_PTRACE", "\nyes  kernel", "fix: run as root",
		"not tried", "Clew cannot trace here",
	} {
		if !strings.Contains(got.stdout, part) {
			t.Errorf("no %q in:\n%s", part, got.stdout)
		}
	}
}

func TestExplain(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("reading other processes takes root")
	}
	target := exec.Command("sleep", "60")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = target.Process.Kill()
		_ = target.Wait() // killed
	}()
	pid := fmt.Sprint(target.Process.Pid)

	got := clew(t, nil, nil, "explain", pid)
	if got.code != 0 || !strings.Contains(got.stdout, "watched      yes: every process is watched\n") ||
		!strings.Contains(got.stdout, "evidence     fork: ") || strings.Contains(got.stdout, "goroutines") {
		t.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
	got = clew(t, nil, []string{"CLEW_TARGETS=!exe=sleep"}, "explain", pid)
	if got.code != 0 || !strings.Contains(got.stdout, "watched      no: excluded by !exe=sleep\n") {
		t.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
	got = clew(t, nil, nil, "explain", fmt.Sprint(os.Getpid()))
	if !strings.Contains(got.stdout, "goroutines   told apart (go1.") {
		t.Errorf("this test, a Go program:\n%s%s", got.stdout, got.stderr)
	}
}

func TestExplainVanished(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	got := clew(t, nil, nil, "explain", fmt.Sprint(gone.Process.Pid))
	if got.code != 1 || !strings.Contains(got.stderr, "does not exist, or has just ended") {
		t.Errorf("exit code %d, complains %q", got.code, got.stderr)
	}
}

func TestDisabledWaitsForASignal(t *testing.T) {
	cmd := exec.Command(binary)
	cmd.Env = []string{"OTEL_SDK_DISABLED=true"}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := stderr.Read(line)
	if err != nil || !strings.Contains(string(line[:n]), "OTEL_SDK_DISABLED") {
		t.Errorf("says %q (%v)", line[:n], err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ends with %v, want exit code 0", err)
	}
}
