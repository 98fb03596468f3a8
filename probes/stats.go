package probes

import (
	"github.com/cilium/ebpf"
)

// A stat is a counter of the kernel as users see it.
type stat struct {
	outcome string // "seen", "kept" or "dropped"
	reason  string
}

// stats names the counters of bpf/include/stats.h. A test compares the two.
func stats() map[socketStat]stat {
	return map[socketStat]stat{
		socketStatSTAT_SEND:                  {"seen", "send"},
		socketStatSTAT_RECV:                  {"seen", "receive"},
		socketStatSTAT_REQUEST:               {"seen", "request"},
		socketStatSTAT_RESPONSE:              {"seen", "response"},
		socketStatSTAT_RECORD:                {"kept", "record"},
		socketStatSTAT_SEGMENT:               {"kept", "segment"},
		socketStatSTAT_RESCUED:               {"kept", "rescued"},
		socketStatSTAT_RESYNC:                {"seen", "resynchronised"},
		socketStatSTAT_UNSAMPLED:             {"dropped", "unsampled"},
		socketStatSTAT_OVER_BUDGET:           {"dropped", "over_budget"},
		socketStatSTAT_RING_FULL:             {"dropped", "ring_full"},
		socketStatSTAT_READ_FAULT:            {"dropped", "read_fault"},
		socketStatSTAT_NO_BUFFER:             {"dropped", "no_buffer"},
		socketStatSTAT_COMPAT:                {"dropped", "compat_syscall"},
		socketStatSTAT_NO_STORAGE:            {"dropped", "no_storage"},
		socketStatSTAT_HEAD_TOO_LONG:         {"dropped", "head_too_long"},
		socketStatSTAT_HEAD_EVICTED:          {"dropped", "head_evicted"},
		socketStatSTAT_GIVEN_UP:              {"dropped", "unknown_protocol"},
		socketStatSTAT_PIPELINE_DEEP:         {"dropped", "pipeline_too_deep"},
		socketStatSTAT_UNMATCHED_RESPONSE:    {"dropped", "unmatched_response"},
		socketStatSTAT_REQUESTS_FULL:         {"dropped", "requests_full"},
		socketStatSTAT_MALFORMED_TRACEPARENT: {"dropped", "malformed_traceparent"},
		socketStatSTAT_DUPLICATE_TRACEPARENT: {"dropped", "duplicate_traceparent"},
		socketStatSTAT_MALFORMED_B3:          {"dropped", "malformed_b3"},
		socketStatSTAT_EVIDENCE_CONFLICT:     {"dropped", "evidence_conflict"},
		socketStatSTAT_MARK_STALE:            {"dropped", "mark_stale"},
		socketStatSTAT_AMBIGUOUS:             {"dropped", "parent_ambiguous"},
		socketStatSTAT_MULTIPLEXED:           {"dropped", "parent_multiplexed"},
		socketStatSTAT_NO_GOROUTINE:          {"dropped", "goroutine_unreadable"},
		socketStatSTAT_NO_HANDOFF:            {"dropped", "go_connection_unknown"},
		socketStatSTAT_INJECTED:              {"kept", "injected"},
		socketStatSTAT_INJECT_OWN_HEADER:     {"dropped", "inject_own_header"},
		socketStatSTAT_INJECT_SPLIT:          {"dropped", "inject_split"},
		socketStatSTAT_INJECT_PIPELINED:      {"dropped", "inject_pipelined"},
		socketStatSTAT_INJECT_ODD:            {"dropped", "inject_odd"},
		socketStatSTAT_INJECT_IN_FLIGHT:      {"dropped", "inject_in_flight"},
		socketStatSTAT_INJECT_NO_ROOM:        {"dropped", "inject_no_room"},
		socketStatSTAT_INJECT_BUSY:           {"dropped", "inject_busy"},
		socketStatSTAT_INJECT_FAILED:         {"dropped", "inject_failed"},
		socketStatSTAT_JOINED:                {"seen", "joined"},
		socketStatSTAT_JOIN_REFUSED:          {"dropped", "join_refused"},
		socketStatSTAT_OPTION_SENT:           {"kept", "option_sent"},
		socketStatSTAT_OPTION_RECEIVED:       {"seen", "option_received"},
		socketStatSTAT_OPTION_NO_ROOM:        {"dropped", "option_no_room"},
		socketStatSTAT_OPTION_OVERTAKEN:      {"dropped", "option_overtaken"},
		socketStatSTAT_OPTION_LOST:           {"dropped", "option_lost"},
		socketStatSTAT_OPTION_PEER_OFF:       {"dropped", "option_peer_off"},
		socketStatSTAT_OPTION_FORBIDDEN:      {"dropped", "option_forbidden"},
		socketStatSTAT_OPTION_MALFORMED:      {"dropped", "option_malformed"},
		socketStatSTAT_OPTION_PIPELINED:      {"dropped", "option_pipelined"},
	}
}

// Counts reports what the kernel and this package have seen, kept and dropped.
func (p *Probes) Counts(report func(outcome, reason string, n uint64)) {
	for which, s := range stats() {
		report(s.outcome, s.reason, sumCPUs(p.stats, uint32(which)))
	}
	w := p.watch
	report("seen", "process", w.watched.Load())
	report("dropped", "process_gone", w.gone.Load())
	report("dropped", "process_unreadable", w.unreadable.Load())
	report("dropped", "targets_full", w.full.Load())
	report("dropped", "go_backlog", w.backlog.Load())
	report("dropped", "go_layout_unknown", w.goUnknown.Load())
	report("dropped", "go_probe_failed", w.noProbe.Load())
	report("dropped", "record_malformed", p.malformed.Load())
	report("dropped", "request_forgotten", p.forgotten.Load())
	if p.outward != nil && p.outward.injector != nil {
		report("dropped", "cgroup_not_attached", p.outward.injector.unattached.Load())
		report("dropped", "connections_not_looked_at", p.outward.injector.unsettled.Load())
	}
	var missed uint64
	for _, run := range p.runs() {
		missed += run.stats.RecursionMisses
	}
	report("dropped", "hook_recursion", missed)
}

// sumCPUs adds up a per-CPU counter; one that cannot be read is zero.
func sumCPUs(m *ebpf.Map, key uint32) uint64 {
	var values []uint64
	if m.Lookup(key, &values) != nil {
		return 0
	}
	var sum uint64
	for _, v := range values {
		sum += v
	}
	return sum
}

// programRun is what the kernel says of a loaded program.
type programRun struct {
	name  string
	stats *ebpf.ProgramStats
}

func (p *Probes) runs() []programRun {
	var all []programRun
	add := func(c *ebpf.Collection) {
		for name, program := range c.Programs {
			if stats, err := program.Stats(); err == nil {
				all = append(all, programRun{name, stats})
			}
		}
	}
	add(p.family.collection)
	add(p.processes.collection)
	if p.uprobes != nil {
		add(p.uprobes.collection)
	}
	if p.outward != nil && p.outward.injector != nil {
		add(p.outward.injector.collection)
	}
	return all
}

// Gauges reports how things stand: the ring's fill, and the run time and count
// of each program, which the kernel keeps when kernel.bpf_stats_enabled is set.
func (p *Probes) Gauges(report func(name, help string, labels map[string]string, value float64)) {
	report("clew_probes_ring_bytes", "Size of the ring buffer.", nil, float64(p.ring.BufferSize()))
	report("clew_probes_ring_used_bytes", "Bytes waiting in the ring buffer.", nil, float64(p.ring.AvailableBytes()))
	report("clew_probes_uprobes", "Go processes with a uprobe.", nil, float64(p.uprobes.count()))
	for _, s := range p.Rungs() {
		on := 0.0
		if s.On {
			on = 1
		}
		report("clew_probes_rung", "Whether a rung of propagation is in use, and why not.", map[string]string{"rung": s.Name, "reason": s.Reason}, on)
	}
	for _, run := range p.runs() {
		labels := map[string]string{"program": run.name, "family": p.Family()}
		report("clew_probes_bpf_run_seconds", "Run time of a BPF program, if kernel.bpf_stats_enabled.", labels, run.stats.Runtime.Seconds())
		report("clew_probes_bpf_runs", "Runs of a BPF program, if kernel.bpf_stats_enabled.", labels, float64(run.stats.RunCount))
	}
}
