package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// result sums up the legs of one server in one mode: medians over the rounds.
// The ratios are made in each round before the median is taken.
type result struct {
	server, mode string

	throughput, kept  float64 // requests a second; share of that without agent
	p50, p99          time.Duration
	p50Ratio          float64
	p99Ratio          float64
	cpu, added        time.Duration // of what is measured for each request; more than without agent
	agentCPU          time.Duration // for each exported span
	resident          int64
	spansEach         float64 // spans for each request
	dropped           map[string]float64
	droppedAltogether float64
}

// summarise makes a result of the legs of one mode and those without agent.
func summarise(server, mode string, legs, without []leg) result {
	over := func(figure func(leg, leg) float64) float64 {
		values := make([]float64, len(legs))
		for i := range legs {
			values[i] = figure(legs[i], without[i])
		}
		return median(values)
	}
	each := func(figure func(leg) time.Duration) time.Duration {
		return time.Duration(over(func(l, _ leg) float64 { return float64(figure(l)) }))
	}
	r := result{
		server: server, mode: mode,
		throughput: over(func(l, _ leg) float64 { return l.load.throughput }),
		kept:       over(func(l, w leg) float64 { return l.load.throughput / w.load.throughput }),
		p50:        each(func(l leg) time.Duration { return l.load.p50 }),
		p99:        each(func(l leg) time.Duration { return l.load.p99 }),
		p50Ratio:   over(func(l, w leg) float64 { return float64(l.load.p50) / float64(w.load.p50) }),
		p99Ratio:   over(func(l, w leg) float64 { return float64(l.load.p99) / float64(w.load.p99) }),
		cpu:        each(func(l leg) time.Duration { return l.cpu }),
		added:      time.Duration(over(func(l, w leg) float64 { return float64(l.cpu - w.cpu) })),
		agentCPU:   each(func(l leg) time.Duration { return l.agentCPU / time.Duration(max(1, l.spans)) }),
		resident:   int64(over(func(l, _ leg) float64 { return float64(l.resident) })),
		spansEach:  over(func(l, _ leg) float64 { return l.spansEach }),
		dropped:    make(map[string]float64),
	}
	for _, l := range legs {
		for name, n := range l.dropped {
			r.dropped[name] += n
			r.droppedAltogether += n
		}
	}
	return r
}

// median is the middle of the values, 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}

// print writes the results as a Markdown table, and below it what was lost.
func print(w io.Writer, results []result) {
	fmt.Fprintln(w, "| server | agent | requests/s | kept | p50 | p99 | CPU/request | added | agent CPU/span | agent memory | spans/request | records lost |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %s | %.0f ", r.server, r.mode, r.throughput)
		if r.resident == 0 {
			fmt.Fprintf(w, "| | %v | %v | %.1f µs | | | | | |\n", r.p50, r.p99, microseconds(r.cpu))
			continue
		}
		fmt.Fprintf(w, "| %.1f %% | %v (× %.2f) | %v (× %.2f) | %.1f µs | %+.1f µs | %.1f µs | %.0f MB | %.3f | %.0f |\n",
			100*r.kept, r.p50, r.p50Ratio, r.p99, r.p99Ratio, microseconds(r.cpu), microseconds(r.added),
			microseconds(r.agentCPU), float64(r.resident)/1e6, r.spansEach, r.droppedAltogether)
	}
	for _, r := range results {
		for _, name := range slices.Sorted(maps.Keys(r.dropped)) {
			if n := r.dropped[name]; n != 0 {
				fmt.Fprintf(w, "\n%s, agent %s: %.0f %s\n", r.server, r.mode, n, name)
			}
		}
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
