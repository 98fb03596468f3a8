package export

import "sync/atomic"

// Reasons for a lost span, as reported by Counts.
const (
	reasonQueueFull    = "queue_full"      // the backend, or the console's reader, is slower than the traffic
	reasonExportFailed = "export_failed"   // the backend was not reached in time, or refused the request
	reasonRejected     = "rejected"        // the backend took the request but not every span in it
	reasonShutdown     = "shutdown"        // too late to be sent before the agent ended
	reasonTraceFull    = "trace_too_large" // the console keeps so many spans of one trace
	reasonTraces       = "too_many_traces" // the console keeps so many unfinished traces
	reasonWrite        = "write_failed"    // the console could not be written to
)

// tally counts what became of the spans given to an exporter. At rest, seen is
// the sum of all others.
type tally struct {
	seen, kept atomic.Uint64

	queueFull, exportFailed, rejected atomic.Uint64
	shutdown                          atomic.Uint64
	traceFull, traces, write          atomic.Uint64
}

// lost returns how many spans were dropped, for whatever reason.
func (t *tally) lost() uint64 {
	return t.queueFull.Load() + t.exportFailed.Load() + t.rejected.Load() + t.shutdown.Load() +
		t.traceFull.Load() + t.traces.Load() + t.write.Load()
}
