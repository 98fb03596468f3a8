package main

import (
	"maps"
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

func TestReadPgbench(t *testing.T) {
	const report = "number of transactions actually processed: 4\nnumber of failed transactions: 0 (0.000%)\ntps = 1234.500000 (without initial connection time)\n"
	const log = "0 1 300 0 1700000000 1\n1 1 100 0 1700000000 2\n0 2 200 0 1700000000 3\n1 2 900 0 1700000000 4\n"
	got, err := readPgbench(report, []byte(log))
	want := load{requests: 4, throughput: 1234.5, p50: 200 * time.Microsecond, p99: 300 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, bad := range map[string][2]string{
		"no report": {"", log}, "no log": {report, ""}, "cut log": {report, "0 1\n"},
		"failing": {strings.Replace(report, "transactions: 0 ", "transactions: 1 ", 1), log},
	} {
		if _, err := readPgbench(bad[0], []byte(bad[1])); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReadRedisBenchmark(t *testing.T) {
	const report = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"GET","76923.08","0.062","0.024","0.055","0.103","0.199","0.639"
`
	got, err := readRedisBenchmark(report, 5000)
	want := load{requests: 5000, throughput: 76923.08, p50: 55 * time.Microsecond, p99: 199 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, bad := range map[string]string{
		"empty": "", "only names": report[:strings.IndexByte(report, '\n')], "cut": report[:len(report)-40],
		"no number": strings.Replace(report, "76923.08", "many", 1),
	} {
		if _, err := readRedisBenchmark(bad, 1); err == nil {
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

func TestDrops(t *testing.T) {
	before := map[string]float64{`clew_a_dropped_total{reason="full"}`: 2}
	after := map[string]float64{
		`clew_a_dropped_total{reason="full"}`: 5, `clew_a_dropped_total{reason="new"}`: 1,
		`clew_a_kept_total{reason="full"}`: 9, `clew_a_dropped_total{reason="inject_own_header"}`: 7,
		`clew_a_dropped_total{reason="option_no_room"}`: 7, `clew_a_dropped_total{reason="unsampled"}`: 7,
	}
	want := map[string]float64{`clew_a_dropped_total{reason="full"}`: 3, `clew_a_dropped_total{reason="new"}`: 1}
	if got := drops(after, before); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
