package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
		return b.stress(ctx, nil, nil)
	}
	sink, err := rig.OpenSink(false)
	if err != nil {
		return leg{}, err
	}
	defer sink.Close()
	agent, err := rig.StartAgent(ctx, b.scene, rig.AgentConfig{Binary: b.agent, Endpoint: sink.Endpoint, Env: m.env})
	if err != nil {
		return leg{}, err
	}
	measured, err := b.stress(ctx, agent, sink)
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
func (b *bench) stress(ctx context.Context, agent *rig.Agent, sink *rig.Sink) (leg, error) {
	warmUp, err := b.load(ctx, b.scene, time.Second)
	if err != nil {
		return leg{}, err
	}
	serverBefore, err := b.cpu()
	if err != nil {
		return leg{}, err
	}
	var before rig.Usage
	var spansBefore int64
	var droppedBefore map[string]float64
	if agent != nil {
		if before, err = rig.UsageOf(agent.PID()); err != nil {
			return leg{}, err
		}
		spansBefore = sink.Count()
		if droppedBefore, err = drops(ctx, agent); err != nil {
			return leg{}, err
		}
	}
	measured := leg{warmUp: warmUp.requests}
	if measured.load, err = b.load(ctx, b.scene, b.duration); err != nil {
		return leg{}, err
	}
	serverAfter, err := b.cpu()
	if err != nil {
		return leg{}, err
	}
	measured.cpu = (serverAfter - serverBefore) / time.Duration(measured.load.requests)
	if agent == nil {
		return measured, nil
	}
	after, err := rig.UsageOf(agent.PID())
	if err != nil {
		return leg{}, err
	}
	measured.spans = sink.Count() - spansBefore
	measured.agentCPU, measured.resident = after.CPU-before.CPU, after.Resident
	if measured.dropped, err = drops(ctx, agent); err != nil {
		return leg{}, err
	}
	for name, n := range droppedBefore {
		measured.dropped[name] -= n
	}
	return measured, nil
}

// cpu is what the server and its workers have used so far.
func (b *bench) cpu() (time.Duration, error) {
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

// drops are the agent's counters of what it lost. What was not sampled is not
// lost.
func drops(ctx context.Context, agent *rig.Agent) (map[string]float64, error) {
	metrics, err := agent.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	lost := make(map[string]float64)
	for name, value := range metrics {
		if strings.Contains(name, "_dropped_total") && !strings.Contains(name, "sampled") {
			lost[name] = value
		}
	}
	return lost, nil
}

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
