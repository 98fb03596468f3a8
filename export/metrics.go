package export

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// CountSource reports what a stage has counted since the start. A reason may be
// reported more than once; the numbers are added up.
type CountSource func(report func(outcome, reason string, n uint64))

// ValueSource reports values as they are now. A name that ends in "_total" is a
// counter, any other a gauge. Values of one name have the same label names.
type ValueSource func(report func(name, help string, labels map[string]string, value float64))

// sources is a prometheus.Collector that asks the stages when it is scraped, so
// that counting costs the stages nothing but an atomic addition.
//
// It describes no metric in advance: which reasons and programs there are is
// known only to their stages.
type sources struct {
	counts map[string]CountSource // by stage
	values []ValueSource
}

// newRegistry returns a registry of its own with the given sources and the
// agent's CPU time, memory, file descriptors and Go runtime.
func newRegistry(s *sources) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(s, // cannot fail: the names of these three are different
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector())
	return r
}

// Describe says nothing, which makes the collector an unchecked one.
func (s *sources) Describe(chan<- *prometheus.Desc) {}

// Collect sends what the sources report.
func (s *sources) Collect(metrics chan<- prometheus.Metric) {
	for _, stage := range slices.Sorted(maps.Keys(s.counts)) {
		s.collectCounts(stage, metrics)
	}
	for _, source := range s.values {
		source(func(name, help string, labels map[string]string, value float64) {
			metrics <- valueMetric(name, help, labels, value)
		})
	}
}

func (s *sources) collectCounts(stage string, metrics chan<- prometheus.Metric) {
	type key struct{ outcome, reason string }
	sums := make(map[key]uint64)
	s.counts[stage](func(outcome, reason string, n uint64) {
		sums[key{outcome, reason}] += n
	})
	for k, n := range sums {
		desc := prometheus.NewDesc(
			"clew_"+metricName(stage)+"_"+metricName(k.outcome)+"_total",
			"What stage "+stage+" has "+k.outcome+", by reason.",
			[]string{"reason"}, nil)
		m, err := prometheus.NewConstMetric(desc, prometheus.CounterValue, float64(n), k.reason)
		if err != nil {
			m = prometheus.NewInvalidMetric(desc, err)
		}
		metrics <- m
	}
}

func valueMetric(name, help string, labels map[string]string, value float64) prometheus.Metric {
	names := slices.Sorted(maps.Keys(labels))
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = strings.ToValidUTF8(labels[n], "\uFFFD")
	}
	kind := prometheus.GaugeValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	desc := prometheus.NewDesc(name, help, names, nil)
	m, err := prometheus.NewConstMetric(desc, kind, value, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

// metricName makes a word fit for a part of a metric name.
func metricName(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, word)
}
