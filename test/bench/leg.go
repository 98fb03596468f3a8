package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/test/rig"
)

// bench is one server under load.
type bench struct {
	options
	scene *rig.Scene
	server
}

// leg is what was measured in one run of the load.
type leg struct {
	load   load
	warmUp int64         // requests before
	cpu    time.Duration // of the server, for each request

	// Of the agent; zero without one.
	spans     int64   // that arrived under load
	spansEach float64 // for each request from start to end, the last ones included
	agentCPU  time.Duration
	resident  int64              // bytes
	dropped   map[string]float64 // its counters of drops, by name, sampling excepted
}

// measure runs the load once, after a warm-up, with the agent as the mode says.
func (b *bench) measure(ctx context.Context, m mode) (leg, error) {
	if !m.agent {
		return b.stress(ctx, m, nil, nil)
	}
	sink, err := rig.OpenSink(false)
	if err != nil {
		return leg{}, err
	}
	defer sink.Close()
	env := m.env
	if m.target {
		env = append(slices.Clone(env), "CLEW_TARGETS="+b.scene.Target()+","+b.target)
	}
	agent, err := rig.StartAgent(ctx, b.scene, rig.AgentConfig{Binary: b.agent, Endpoint: sink.Endpoint, Env: env})
	if err != nil {
		return leg{}, err
	}
	measured, err := b.stress(ctx, m, agent, sink)
	if err != nil {
		agent.Kill()
		return leg{}, fmt.Errorf("%w\n%s", err, agent.Errors())
	}
	if err := agent.Stop(); err != nil { // sends what it still holds
		return leg{}, err
	}
	measured.spansEach = float64(sink.Count()) / float64(measured.warmUp+measured.load.requests)
	return measured, nil
}

// stress warms up and measures. The agent and its sink are nil without an agent.
func (b *bench) stress(ctx context.Context, m mode, agent *rig.Agent, sink *rig.Sink) (leg, error) {
	warmUp, err := b.warmUp(ctx, m, agent)
	if err != nil {
		return leg{}, err
	}
	cpuBefore, err := b.cpu()
	if err != nil {
		return leg{}, err
	}
	var before rig.Usage
	var spansBefore int64
	var metricsBefore map[string]float64
	if agent != nil {
		if before, err = rig.UsageOf(agent.PID()); err != nil {
			return leg{}, err
		}
		spansBefore = sink.Count()
		if metricsBefore, err = agent.Metrics(ctx); err != nil {
			return leg{}, err
		}
	}
	measured := leg{warmUp: warmUp}
	if measured.load, err = b.load(ctx, b.scene, m, b.duration); err != nil {
		return leg{}, err
	}
	cpuAfter, err := b.cpu()
	if err != nil {
		return leg{}, err
	}
	measured.cpu = (cpuAfter - cpuBefore) / time.Duration(measured.load.requests)
	if agent == nil {
		return measured, nil
	}
	after, err := rig.UsageOf(agent.PID())
	if err != nil {
		return leg{}, err
	}
	measured.spans = sink.Count() - spansBefore
	measured.agentCPU, measured.resident = after.CPU-before.CPU, after.Resident
	metrics, err := agent.Metrics(ctx)
	if err != nil {
		return leg{}, err
	}
	measured.dropped = drops(metrics, metricsBefore)
	if n := metrics[m.happens] - metricsBefore[m.happens]; m.happens != "" && n < 0.95*float64(measured.load.requests) {
		return leg{}, fmt.Errorf("only %.0f of %d requests are counted as %s", n, measured.load.requests, m.happens)
	}
	return measured, nil
}

// warmUp runs the load for a moment, and as often as it takes for what the mode is
// about to happen: the agent has to learn. It returns how many requests it took.
func (b *bench) warmUp(ctx context.Context, m mode, agent *rig.Agent) (int64, error) {
	var requests int64
	before := 0.0
	return requests, rig.Until(ctx, "requests that are "+m.happens, func(ctx context.Context) error {
		l, err := b.load(ctx, b.scene, m, time.Second)
		if err != nil {
			return err
		}
		requests += l.requests
		if m.happens == "" {
			return nil
		}
		metrics, err := agent.Metrics(ctx)
		n := metrics[m.happens] - before
		before = metrics[m.happens]
		if err == nil && n < 0.95*float64(l.requests) {
			err = fmt.Errorf("only %.0f of %d are", n, l.requests)
		}
		return err
	})
}

// cpu is what the server and its workers have used so far, or all clients.
func (b *bench) cpu() (time.Duration, error) {
	if b.client {
		// All that this process has started; only clients end meanwhile.
		usage, err := rig.UsageOf(os.Getpid())
		return usage.Ended, err
	}
	children, err := rig.Children(b.process.PID())
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range append(children, b.process.PID()) {
		usage, err := rig.UsageOf(pid)
		if pid != b.process.PID() && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)) {
			continue // it has ended: the server, read last, has what it used
		}
		if err != nil {
			return 0, err
		}
		sum += usage.CPU + usage.Ended
	}
	return sum, nil
}

// drops are what the agent's counters say that it lost meanwhile. What was not
// sampled is not lost, nor is what goes without its context.
func drops(after, before map[string]float64) map[string]float64 {
	lost := make(map[string]float64)
	for name, value := range after {
		if strings.Contains(name, "_dropped_total") && !notLost.MatchString(name) {
			lost[name] = value - before[name]
		}
	}
	return lost
}

var notLost = regexp.MustCompile(`sampled|inject_|option_|join_`)

// machine names the processor count and the kernel.
func machine() string {
	var name unix.Utsname
	release := "unknown"
	if err := unix.Uname(&name); err == nil {
		release = unix.ByteSliceToString(name.Release[:])
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return "Linux " + release
	}
	return fmt.Sprintf("Linux %s, %d processors", release, strings.Count(string(stat), "\ncpu"))
}
