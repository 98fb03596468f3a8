package workload

import (
	"os"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// BenchmarkStart is what an exec event costs.
func BenchmarkStart(b *testing.B) {
	d := New(zap.NewNop(), Config{Version: "test"})
	e := Exec{PID: uint32(os.Getpid()), Parent: uint32(os.Getppid()), Comm: "test"}
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		d.Start(e)
	}
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has spent, which unlike the time on the
// clock does not depend on what else the machine does.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkProcess is what a span pays to know who made it.
func BenchmarkProcess(b *testing.B) {
	d := New(zap.NewNop(), Config{Version: "test"})
	b.ReportAllocs()
	for b.Loop() {
		d.Process(uint32(os.Getpid()))
	}
}

// BenchmarkResource is what the first span of a process pays.
func BenchmarkResource(b *testing.B) {
	d := New(zap.NewNop(), Config{Version: "test"})
	f := d.lookup(uint32(os.Getpid()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.host.resource(f); err != nil {
			b.Fatal(err)
		}
	}
}
