package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// BuildAgent compiles the agent into dir and returns the binary's name.
func BuildAgent(dir string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "clew")
	return binary, GoBuild(root, binary, "./cmd/agent")
}

// GoBuild compiles a main package without cgo, with further flags of go build.
func GoBuild(dir, binary, pkg string, flags ...string) error {
	arguments := append(append([]string{"build"}, flags...), "-o", binary, pkg)
	build := exec.Command("go", arguments...)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, output)
	}
	return nil
}

// Agent is a running agent that watches the cgroup of its scene.
type Agent struct {
	*Process
	metrics string // URL
}

// AgentConfig says how to run the agent.
type AgentConfig struct {
	Binary   string
	Endpoint string   // of OTLP; "" for the console
	Args     []string // such as -o json
	Env      []string
	Stdout   *os.File // where traces are printed; nil is a file of the scene
}

// StartAgent runs the agent and waits until it is ready.
func StartAgent(ctx context.Context, s *Scene, c AgentConfig) (*Agent, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	env := []string{
		"CLEW_TARGETS=" + s.Target(),
		"CLEW_PROPAGATION=local", // the self-tests of the others take a second or more
		"CLEW_METRICS_ADDR=" + address,
		"OTEL_BSP_SCHEDULE_DELAY=200", // ms; tests read at once
	}
	if c.Endpoint != "" {
		env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.Endpoint)
	}
	binary, err := filepath.Abs(c.Binary) // it runs in the scene's directory
	if err != nil {
		return nil, err
	}
	process, err := s.StartOutside(Command{
		Name: "clew", Path: binary, Args: c.Args, Env: append(env, c.Env...), Stdout: c.Stdout,
	})
	if err != nil {
		return nil, err
	}
	a := &Agent{Process: process, metrics: "http://" + address}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return a, Until(ctx, "the agent to be ready", func(ctx context.Context) error {
		if !process.Running() {
			cancel()
			return fmt.Errorf("%w\n%s", process.ended(), process.Errors())
		}
		_, err := a.get(ctx, "/readyz")
		return err
	})
}

// get fetches a page of the agent's own endpoint.
func (a *Agent) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.metrics+path, nil)
	if err != nil {
		return "", fmt.Errorf("ask the agent: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the agent: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read the agent's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask the agent for %s: %s: %s", path, response.Status, body)
	}
	return string(body), nil
}

// Metrics are the agent's own metrics, by name with labels as Prometheus writes
// them.
func (a *Agent) Metrics(ctx context.Context) (map[string]float64, error) {
	text, err := a.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	metrics := make(map[string]float64)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read the metric %q: %w", line, err)
		}
		metrics[line[:cut]] = value
	}
	return metrics, nil
}

// Programs are the ids of the BPF programs that the agent holds, directly or
// by a link.
func (a *Agent) Programs() ([]uint32, error) {
	dir := fmt.Sprintf("/proc/%d/fdinfo", a.PID())
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the agent's descriptors: %w", err)
	}
	programID := regexp.MustCompile(`(?m)^prog_id:\s*(\d+)$`)
	seen := make(map[uint32]bool)
	var ids []uint32
	for _, entry := range entries {
		info, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read the agent's descriptor: %w", err)
		}
		if match := programID.FindSubmatch(info); match != nil {
			id, err := strconv.ParseUint(string(match[1]), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("read a program id: %w", err)
			}
			if !seen[uint32(id)] {
				seen[uint32(id)] = true
				ids = append(ids, uint32(id))
			}
		}
	}
	return ids, nil
}
