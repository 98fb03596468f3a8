package probes

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// newestHelper is the last helper that Linux 5.15 has, the oldest kernel
// supported: helpers are numbered in the order they came.
const newestHelper = asm.FnTaskPtRegs

func objects() map[string]func() (*ebpf.CollectionSpec, error) {
	all := map[string]func() (*ebpf.CollectionSpec, error){"uprobe": loadUprobe, "processes": loadProcess}
	for _, f := range families() {
		all[f.name] = f.spec
	}
	return all
}

// No program calls what the oldest kernel does not have. Kernel functions are
// weak: where there are none, the calls are dead code.
func TestObjectsFitTheOldestKernel(t *testing.T) {
	for name, load := range objects() {
		spec, err := load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		calls := 0
		for program, p := range spec.Programs {
			for _, ins := range p.Instructions {
				if ins.IsBuiltinCall() {
					calls++
					if fn := asm.BuiltinFunc(ins.Constant); fn > newestHelper {
						t.Errorf("%s: program %s calls %v, which is newer than Linux 5.15", name, program, fn)
					}
				}
			}
		}
		if calls == 0 {
			t.Errorf("%s: no helper is called: the check looks at the wrong thing", name)
		}
	}
}

// The kernel keeps 15 characters of a name: more would make two look alike.
func TestNamesFit(t *testing.T) {
	for name, load := range objects() {
		spec, err := load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for program := range spec.Programs {
			if len(program) > 15 {
				t.Errorf("%s: the name of program %s is longer than 15 characters", name, program)
			}
		}
		for m := range spec.Maps {
			if len(m) > 15 {
				t.Errorf("%s: the name of map %s is longer than 15 characters", name, m)
			}
		}
	}
}

// Every row of the hook tables names a program of its object, and the reverse.
func TestHookTables(t *testing.T) {
	for _, f := range append(families(), processes()) {
		spec, err := f.spec()
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		named := make(map[string]bool)
		for _, h := range f.hooks {
			if spec.Programs[h.program] == nil {
				t.Errorf("%s: no program %s in the object", f.name, h.program)
			}
			if h.optional && h.gives == "" {
				t.Errorf("%s: optional hook %s does not say what it gives", f.name, h.symbol)
			}
			named[h.program] = true
		}
		for program := range spec.Programs {
			if !named[program] {
				t.Errorf("%s: program %s has no row in the hook table", f.name, program)
			}
		}
	}
}
