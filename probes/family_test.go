package probes

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// A kernel that has a function by the name of a tracepoint does not have the
// tracepoint, nor the reverse: the program would sink the others.
func TestPresent(t *testing.T) {
	proto := &btf.FuncProto{Return: &btf.Void{}}
	kernel := kernelWith(t,
		&btf.Func{Name: "function", Type: proto},
		&btf.Typedef{Name: "btf_trace_tracepoint", Type: &btf.Pointer{Target: proto}})
	function := &ebpf.ProgramSpec{AttachType: ebpf.AttachTraceFExit}
	kprobe := &ebpf.ProgramSpec{Type: ebpf.Kprobe}
	tracepoint := &ebpf.ProgramSpec{AttachType: ebpf.AttachTraceRawTp}
	for _, c := range []struct {
		program *ebpf.ProgramSpec
		symbol  string
		want    bool
	}{
		{function, "function", true},
		{kprobe, "function", true},
		{tracepoint, "tracepoint", true},
		{function, "tracepoint", false},
		{kprobe, "tracepoint", false},
		{tracepoint, "function", false},
		{function, "nothing", false},
		{tracepoint, "nothing", false},
	} {
		if got := present(kernel, c.program, c.symbol); got != c.want {
			t.Errorf("program with attach type %v at %s: present %t, want %t", c.program.AttachType, c.symbol, got, c.want)
		}
	}
}

// kernelWith is the BTF of a kernel that has only these types.
func kernelWith(t *testing.T, types ...btf.Type) *btf.Spec {
	t.Helper()
	builder, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}
