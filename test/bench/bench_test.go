package main

import (
	"strings"
	"testing"
	"time"
)

const report = `Running 1s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   617.35us  432.52us   7.71ms   84.27%
    Req/Sec    50.61k     3.36k   57.94k    70.00%
  Latency Distribution
     50%  502.00us
     75%  773.00us
     90%    1.14ms
     99%    2.26ms
  50380 requests in 1.00s, 11.87MB read
Requests/sec:  50366.89
Transfer/sec:     11.86MB
`

func TestReadWrk(t *testing.T) {
	got, err := readWrk(report)
	want := load{requests: 50380, throughput: 50366.89, p50: 502 * time.Microsecond, p99: 2260 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, bad := range map[string]string{
		"empty":   "",
		"cut":     report[:300],
		"failing": report + "  Non-2xx or 3xx responses: 5\n",
		"none":    strings.Replace(report, "50380", "0", 1),
	} {
		if _, err := readWrk(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSummarise(t *testing.T) {
	at := func(throughput float64, cpu time.Duration) leg {
		return leg{load: load{requests: 100, throughput: throughput, p50: 10, p99: 20}, cpu: cpu, spans: 50, spansEach: 0.5,
			agentCPU: 100 * time.Microsecond, dropped: map[string]float64{"a": 1}}
	}
	without := []leg{at(1000, 10), at(100, 20), at(10, 30)}
	with := []leg{at(900, 11), at(80, 22), at(9.9, 33)} // 0.9, 0.8, 0.99
	got := summarise("s", "m", with, without)
	if got.kept != 0.9 || got.throughput != 80 || got.added != 2 || got.cpu != 22 || got.spansEach != 0.5 ||
		got.agentCPU != 2*time.Microsecond || got.droppedAltogether != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: got %v, want %v", c.values, got, c.want)
		}
	}
}
