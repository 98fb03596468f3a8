package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/clewtrace/clew/context/assemble"
	"github.com/clewtrace/clew/context/workload"
	"github.com/clewtrace/clew/export"
	"github.com/clewtrace/clew/probes"
	"github.com/clewtrace/clew/probes/discover"
)

// flushTime bounds how long spans that wait may take to leave at the end.
const flushTime = 10 * time.Second

// exporter is the last stage. Close makes Run return.
type exporter interface {
	Export(*assemble.Span)
	Run(context.Context) error
	Close(context.Context) error
	Counts(report func(outcome, reason string, n uint64))
}

// agent is the stages of one run.
//
// They are built from the right, since each is given the next one as a func:
// exporter, spans (assembler, then conversations), probes. They stop from the
// left, so that nothing is handed to a stage that has gone: see drain.
type agent struct {
	log      *zap.Logger
	exporter exporter
	workload *workload.Directory
	spans    *spans
	probes   *probes.Probes
	health   *export.Health // nil when off
}

// newAgent builds all stages and attaches the probes. What was built is closed
// again when a later stage fails.
func newAgent(ctx context.Context, log *zap.Logger, c config, stdout io.Writer) (_ *agent, err error) {
	a := &agent{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.drain(ctx))
		}
	}()
	if a.exporter, err = newExporter(ctx, log, c, stdout); err != nil {
		return nil, err
	}
	a.workload = workload.New(log, workload.Config{Version: version})
	inspector, err := discover.New("", c.rules)
	if err != nil {
		return nil, err
	}
	a.spans = newSpans(c, a.workload.Process, inspector.Listens, a.exporter.Export)
	a.probes, err = probes.New(log, probes.Config{
		Family:          c.hooks,
		Rules:           c.rules,
		Sampler:         c.sampler,
		TracesPerSecond: c.tracesPerSecond,
		KeepErrors:      c.keepErrors,
		KeepSlow:        c.keepSlow,
		Propagation:     c.propagation,
	})
	if err != nil {
		return nil, err
	}
	if c.metricsAddr != "" {
		a.health, err = export.NewHealth(c.metricsAddr, log, a.sources())
	}
	return a, err
}

func newExporter(ctx context.Context, log *zap.Logger, c config, stdout io.Writer) (exporter, error) {
	switch c.exporter {
	case exporterOTLP:
		return export.NewOTLP(ctx, log, export.WithVersion(version), export.WithBatching(c.batching))
	case exporterConsole:
		options := export.ConsoleOptions{JSON: c.json}
		if file, ok := stdout.(*os.File); ok {
			options = options.ForTerminal(file, os.Getenv)
		}
		return export.NewConsole(stdout, options), nil
	}
	return &discard{}, nil
}

// sources is what the agent tells of itself.
func (a *agent) sources() export.HealthSources {
	s := export.HealthSources{
		Counts: map[string]export.CountSource{
			"probes":   a.probes.Counts,
			"protocol": a.spans.conversations.Counts,
			"assemble": a.spans.assembler.Counts,
			"workload": a.workload.Counts,
			"export":   a.exporter.Counts,
		},
		Values: []export.ValueSource{a.probes.Gauges, buildInfo},
		Ready:  map[string]func() error{"probes": a.probes.Ready},
	}
	if otlp, ok := a.exporter.(*export.OTLP); ok {
		s.Values = append(s.Values, func(report func(string, string, map[string]string, float64)) {
			waiting, limit := otlp.Waiting()
			report("clew_export_queue_spans", "Spans that wait to be sent.", nil, float64(waiting))
			report("clew_export_queue_limit_spans", "Spans that may wait.", nil, float64(limit))
		})
		s.Ready["export"] = func() error {
			if !otlp.Accepted() {
				return errors.New("the backend has not accepted a request yet")
			}
			return nil
		}
	}
	return s
}

func buildInfo(report func(name, help string, labels map[string]string, value float64)) {
	report("clew_build_info", "1, with the version of the agent.", map[string]string{"version": version}, 1)
}

// summary is the one line that a person reads at the start.
func (a *agent) summary(c config) string {
	what := "every process"
	if !c.rules.Everything() {
		what = "the processes that CLEW_TARGETS chooses"
	}
	where := "nowhere"
	switch c.exporter {
	case exporterOTLP:
		where = "to " + c.endpoint
	case exporterConsole:
		where = "to the console"
	}
	return fmt.Sprintf("%s traces %s by %s hooks; traces go %s; %s",
		version, what, a.probes.Family(), where, carriers(a.probes.Rungs()))
}

// carriers says how context gets from one program to the next, in the words of
// CLEW_PROPAGATION.
func carriers(rungs []probes.RungState) string {
	var used, tried []string
	for _, r := range rungs {
		switch {
		case r.Trying:
			tried = append(tried, r.Name)
		case r.On && r.Forced:
			used = append(used, r.Name+"!")
		case r.On:
			used = append(used, r.Name)
		}
	}
	text := "context goes by " + strings.Join(used, ",")
	if used == nil {
		text = "context is not passed on"
	}
	if tried == nil {
		return text
	}
	return text + "; being tried: " + strings.Join(tried, ",")
}

// logRungs tells of the rungs that are wanted and cannot be had, and of those
// that are used at somebody's own risk. Of those being tried the probes tell.
func logRungs(log *zap.Logger, rungs []probes.RungState) {
	for _, r := range rungs {
		switch {
		case r.On && r.Forced:
			log.Warn("propagation is forced although its self-test fails", zap.String("rung", r.Name), zap.String("reason", r.Reason))
		case !r.On && !r.Trying && r.Reason != "":
			log.Info("propagation is off", zap.String("rung", r.Name), zap.String("reason", r.Reason))
		}
	}
}

// run lets the stages work until ctx ends or one of them fails, then drains.
func (a *agent) run(ctx context.Context) error {
	// Only the source of spans sees the signal; the stages after it go on until
	// what it still had is through.
	working, stop := context.WithCancel(ctx)
	defer stop()
	lasting := context.WithoutCancel(ctx)
	failed := make(chan error, 4) // one for each stage below
	var source, sinks sync.WaitGroup
	start := func(group *sync.WaitGroup, ctx context.Context, run func(context.Context) error) {
		group.Go(func() {
			if err := run(ctx); err != nil {
				failed <- err
			}
		})
	}
	start(&sinks, lasting, a.exporter.Run)
	if a.health != nil {
		start(&sinks, lasting, a.health.Run)
	}
	start(&source, working, a.spans.run)
	start(&source, working, func(ctx context.Context) error {
		return a.probes.Run(ctx, probes.Sinks{
			Message: a.spans.message, Segment: a.spans.segment, Lifecycle: a.lifecycle,
		})
	})

	var cause error
	select {
	case <-ctx.Done():
		a.log.Debug("draining")
	case cause = <-failed:
	}
	stop()
	source.Wait()
	if err := a.drain(lasting); err != nil {
		// Being told to stop while the backend is away is no failure.
		a.log.Warn("not everything could be brought to an end", zap.Error(err))
	}
	sinks.Wait()
	return cause
}

// lifecycle tells the directory of processes what befell one.
func (a *agent) lifecycle(e probes.Lifecycle) {
	switch e.Happening {
	case probes.Exec:
		a.workload.Start(workload.Exec{PID: e.PID, Parent: e.Parent, Comm: e.Comm, Filename: e.Filename, Time: e.Time})
	case probes.Found:
		a.workload.Find(e.PID)
	case probes.Fork:
		a.workload.Fork(e.Parent, e.PID)
	case probes.Exit:
		a.workload.Exit(e.PID)
	}
}

// drain stops what was built, from the left: the hooks are detached, so that no
// new record comes (what the ring still held has been read when Run returned);
// spans that wait are sent; the health server answers until the very end.
// Exchanges without an end are not turned into spans: nobody knows how they
// would have ended.
func (a *agent) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	var errs []error
	if a.probes != nil {
		errs = append(errs, a.probes.Close())
	}
	if a.exporter != nil {
		errs = append(errs, a.exporter.Close(ctx))
	}
	if a.health != nil {
		errs = append(errs, a.health.Close(ctx))
	}
	return errors.Join(errs...)
}
