package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// databaseClients is how many connections pgbench and redis-benchmark have. Both
// sides are watched: each query is seen twice.
const databaseClients = "8"

// postgres starts PostgreSQL, to be put under load by pgbench: a prepared SELECT
// of one row at a time.
func postgres(ctx context.Context, _ options, scene *rig.Scene) (server, error) {
	database, err := servers.StartPostgres(ctx, scene, servers.Config{Watched: true})
	if err != nil {
		return server{}, err
	}
	connection := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(database.Port), "-U", "postgres"}
	if _, err := generate(scene, "pgbench", append(connection, "-i", "-q", "postgres")...); err != nil {
		return server{}, err
	}
	return server{process: database.Process, load: func(_ context.Context, scene *rig.Scene, _ mode, duration time.Duration) (load, error) {
		dir, err := os.MkdirTemp(scene.Dir, "pgbench-")
		if err != nil {
			return load{}, fmt.Errorf("make a directory for pgbench: %w", err)
		}
		defer os.RemoveAll(dir)
		report, err := generate(scene, "pgbench", append(connection, "-n", "-S", "-M", "prepared", "-c", databaseClients,
			"-T", strconv.Itoa(int(duration.Seconds())), "--log", "--log-prefix="+filepath.Join(dir, "log"), "postgres")...)
		if err != nil {
			return load{}, err
		}
		logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
		if err != nil || len(logs) != 1 {
			return load{}, fmt.Errorf("find pgbench's log: there are %d", len(logs))
		}
		log, err := os.ReadFile(logs[0])
		if err != nil {
			return load{}, fmt.Errorf("read pgbench's log: %w", err)
		}
		return readPgbench(report, log)
	}}, nil
}

// redis starts Redis, to be put under load by redis-benchmark with further
// arguments: one GET after the other.
func redis(arguments ...string) func(context.Context, options, *rig.Scene) (server, error) {
	return func(ctx context.Context, _ options, scene *rig.Scene) (server, error) {
		database, err := servers.StartRedis(ctx, scene, servers.Config{Watched: true})
		if err != nil {
			return server{}, err
		}
		_, port, _ := strings.Cut(database.Address, ":")
		// It is told a number of requests, no duration: the first runs are short,
		// and show how many that is.
		rate := 10_000.0
		return server{process: database.Process, load: func(_ context.Context, scene *rig.Scene, _ mode, duration time.Duration) (load, error) {
			requests := int64(rate * duration.Seconds())
			report, err := generate(scene, "redis-benchmark", append([]string{"-h", "127.0.0.1", "-p", port, "-a", database.Password,
				"--csv", "-t", "get", "-c", databaseClients, "-n", strconv.FormatInt(requests, 10)}, arguments...)...)
			if err != nil {
				return load{}, err
			}
			measured, err := readRedisBenchmark(report, requests)
			rate = measured.throughput
			return measured, err
		}}, nil
	}
}

// generate runs a generator of load where it is watched, to its end.
func generate(scene *rig.Scene, name string, arguments ...string) (string, error) {
	process, err := scene.Start(rig.Command{Name: name, Path: name, Args: arguments})
	if err != nil {
		return "", err
	}
	err = process.Wait()
	return process.Output(), err
}

// Lines of pgbench's report.
var (
	pgbenchThroughput = regexp.MustCompile(`(?m)^tps = ([0-9.]+) `)
	pgbenchFailed     = regexp.MustCompile(`(?m)^number of failed transactions: 0 `)
)

// readPgbench reads pgbench's report and its log, in which each transaction is a
// line: client, number, microseconds, …
func readPgbench(report string, log []byte) (load, error) {
	match := pgbenchThroughput.FindStringSubmatch(report)
	if match == nil || !pgbenchFailed.MatchString(report) {
		return load{}, fmt.Errorf("read pgbench's report: no throughput without failures in:\n%s", report)
	}
	throughput, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return load{}, fmt.Errorf("read pgbench's report: %w", err)
	}
	var took []int64
	for line := range bytes.Lines(log) {
		fields := bytes.Fields(line)
		if len(fields) < 3 {
			return load{}, fmt.Errorf("read pgbench's log: %q", line)
		}
		n, err := strconv.ParseInt(string(fields[2]), 10, 64)
		if err != nil {
			return load{}, fmt.Errorf("read pgbench's log: %w", err)
		}
		took = append(took, n)
	}
	if len(took) == 0 {
		return load{}, fmt.Errorf("read pgbench's log: there is nothing in it")
	}
	slices.Sort(took)
	at := func(percent int) time.Duration {
		return time.Duration(took[(len(took)-1)*percent/100]) * time.Microsecond
	}
	return load{requests: int64(len(took)), throughput: throughput, p50: at(50), p99: at(99)}, nil
}

// readRedisBenchmark reads the report of redis-benchmark --csv of that many
// requests: a line of names, and one of values.
func readRedisBenchmark(report string, requests int64) (load, error) {
	lines := strings.Split(strings.TrimSpace(report), "\n")
	if len(lines) != 2 {
		return load{}, fmt.Errorf("read redis-benchmark's report: %q", report)
	}
	names, values := strings.Split(lines[0], ","), strings.Split(lines[1], ",")
	figures := make(map[string]float64)
	for i, name := range names {
		if i == 0 || i >= len(values) {
			continue
		}
		figure, err := strconv.ParseFloat(strings.Trim(values[i], `"`), 64)
		if err != nil {
			return load{}, fmt.Errorf("read redis-benchmark's report: %w", err)
		}
		figures[strings.Trim(name, `"`)] = figure
	}
	milliseconds := func(name string) time.Duration { return time.Duration(figures[name] * float64(time.Millisecond)) }
	l := load{requests: requests, throughput: figures["rps"], p50: milliseconds("p50_latency_ms"), p99: milliseconds("p99_latency_ms")}
	if l.throughput == 0 || l.p50 == 0 || l.p99 == 0 {
		return load{}, fmt.Errorf("read redis-benchmark's report: figures are missing in %q", report)
	}
	return l, nil
}
