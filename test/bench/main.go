// Bench measures what tracing costs the traced program: nginx with a small file
// and a Go net/http server under wrk, PostgreSQL under pgbench and Redis under
// redis-benchmark, without the agent, with every request traced, and with 1 %
// sampled; and wrk itself, whose requests carry their context in the ways there
// are. The modes alternate within each round, and every figure is compared with
// that of the same round without the agent.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/clewtrace/clew/test/rig"
)

// modes are what alternates in a round. The first is what the others are
// compared with.
var modes = []mode{
	{name: "none"},
	{name: "100 %", agent: true},
	{name: "1 %", agent: true, env: []string{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}},
}

// mode is a way to run the agent.
type mode struct {
	name    string
	agent   bool
	env     []string
	headers []string // that wrk sends besides
	target  bool     // the server is watched too, where it need not be

	// happens is the metric that must grow with each request, else the figures are
	// of something else; "" for none.
	happens string
}

// subjects are what is put under load.
var subjects = []struct {
	name  string
	modes []mode
	start func(ctx context.Context, o options, scene *rig.Scene) (server, error)
}{
	{"nginx", modes, web("nginx")},
	{"go", modes, web("go")},
	{"PostgreSQL, pgbench", modes, postgres},
	{"Redis, redis-benchmark", modes, redis()},
	{"Redis, redis-benchmark -P 16", modes, redis("-P", "16")},
	{"wrk, a client", clientModes, client},
}

// server is a running server, and how to put load on it for a while.
type server struct {
	process *rig.Process
	load    func(ctx context.Context, scene *rig.Scene, m mode, duration time.Duration) (load, error)

	client bool         // what is measured is the load's generator
	target string       // the server in CLEW_TARGETS, where only a mode may want it
	close  func() error // nil for nothing to close
}

// options are the flags of the command line.
type options struct {
	agent       string
	rounds      int
	duration    time.Duration // of one measurement
	connections int
	only        string // server, by the beginning of its name
}

func main() {
	var o options
	flag.StringVar(&o.agent, "agent", "bin/clew", "the agent's binary")
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "length of one measurement, whole seconds")
	flag.IntVar(&o.connections, "connections", 32, "connections of wrk")
	flag.StringVar(&o.only, "only", "", "measure only servers whose name begins so")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything and prints the table.
func run(ctx context.Context, o options) (err error) {
	if obstacle := rig.Obstacle(); obstacle != "" {
		return errors.New(obstacle)
	}
	for _, tool := range []string{"wrk", "pgbench", "redis-benchmark"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; run test/install", err)
		}
	}
	scene, err := rig.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scene.Close()) }()
	var results []result
	for _, s := range subjects {
		if !strings.HasPrefix(s.name, o.only) {
			continue
		}
		server, err := s.start(ctx, o, scene)
		if err != nil {
			return err
		}
		b := &bench{options: o, scene: scene, server: server}
		legs, err := b.rounds(ctx, s.name, s.modes)
		if err := errors.Join(err, server.process.Stop(), server.done()); err != nil {
			return err
		}
		for m := range s.modes {
			results = append(results, summarise(s.name, s.modes[m].name, legs[m], legs[0]))
		}
	}
	fmt.Printf("%d rounds of %v, wrk with %d connections, the others with %s, %s\n\n",
		o.rounds, o.duration, o.connections, databaseClients, machine())
	print(os.Stdout, results)
	return nil
}

// rounds measures all modes again and again. The legs are by mode, then round.
func (b *bench) rounds(ctx context.Context, name string, modes []mode) ([][]leg, error) {
	legs := make([][]leg, len(modes))
	for round := range b.options.rounds {
		for i := range modes {
			m := (i + round) % len(modes) // nobody is always first
			measured, err := b.measure(ctx, modes[m])
			if err != nil {
				return nil, fmt.Errorf("measure %s with agent %s: %w", name, modes[m].name, err)
			}
			legs[m] = append(legs[m], measured)
			fmt.Fprintf(os.Stderr, "%s, round %d of %d, agent %s: %.0f requests/s\n",
				name, round+1, b.options.rounds, modes[m].name, measured.load.throughput)
		}
	}
	return legs, nil
}

// done closes what was opened for the server alone.
func (s server) done() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}
