package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// load is what a generator of load reports.
type load struct {
	requests   int64
	throughput float64 // requests a second
	p50, p99   time.Duration
}

// web starts a program of the catalogue, to be put under load by wrk.
func web(program string) func(context.Context, options, *rig.Scene) (server, error) {
	return func(ctx context.Context, o options, scene *rig.Scene) (server, error) {
		workshop, err := programs.OpenWorkshop(scene.Dir)
		if err != nil {
			return server{}, err
		}
		started, err := workshop.Start(ctx, scene, programs.Named(program), programs.Config{Service: program})
		if err != nil {
			return server{}, err
		}
		return server{process: started.Process, load: func(ctx context.Context, _ *rig.Scene, _ mode, duration time.Duration) (load, error) {
			return wrk(ctx, started.URL+"/", o.connections, duration)
		}}, nil
	}
}

// wrk puts load on a URL. The client runs where nothing is traced.
func wrk(ctx context.Context, target string, connections int, duration time.Duration) (load, error) {
	output, err := exec.CommandContext(ctx, "wrk", wrkArguments(target, connections, duration)...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("run wrk: %w\n%s", err, output)
	}
	return readWrk(string(output))
}

func wrkArguments(target string, connections int, duration time.Duration) []string {
	return []string{"--latency", "-t1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(int(duration.Seconds())) + "s", target}
}

// Lines of wrk's report.
var (
	wrkRequests   = regexp.MustCompile(`(?m)^ *(\d+) requests in `)
	wrkThroughput = regexp.MustCompile(`(?m)^Requests/sec: *([0-9.]+)$`)
	wrkP50        = regexp.MustCompile(`(?m)^ *50% +([0-9.]+[a-z]+)$`)
	wrkP99        = regexp.MustCompile(`(?m)^ *99% +([0-9.]+[a-z]+)$`)
)

// readWrk reads the report of wrk --latency. Failed requests are an error: a
// figure that holds some means nothing.
func readWrk(report string) (load, error) {
	for _, problem := range []string{"Socket errors", "Non-2xx"} {
		if strings.Contains(report, problem) {
			return load{}, fmt.Errorf("read wrk's report: requests failed:\n%s", report)
		}
	}
	var texts [4]string
	for i, line := range []*regexp.Regexp{wrkRequests, wrkThroughput, wrkP50, wrkP99} {
		match := line.FindStringSubmatch(report)
		if match == nil {
			return load{}, fmt.Errorf("read wrk's report: no line like %v in:\n%s", line, report)
		}
		texts[i] = match[1]
	}
	var l load
	var err error
	if l.requests, err = strconv.ParseInt(texts[0], 10, 64); err == nil && l.requests == 0 {
		err = fmt.Errorf("no request was served")
	}
	if err == nil {
		l.throughput, err = strconv.ParseFloat(texts[1], 64)
	}
	if err == nil {
		l.p50, err = time.ParseDuration(texts[2])
	}
	if err == nil {
		l.p99, err = time.ParseDuration(texts[3])
	}
	if err != nil {
		return load{}, fmt.Errorf("read wrk's report: %w", err)
	}
	return l, nil
}
