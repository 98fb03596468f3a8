package probes

import (
	"os"
	"testing"
)

// Every object loads on this kernel with the settings it is used with, family by
// family where the family attaches; the best one must.
func TestObjectsLoad(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: BPF programs are loaded")
	}
	set, err := Config{Propagation: Propagation{Rungs: RungLocal}, KeepErrors: true, KeepSlow: 1, TracesPerSecond: 1}.settings()
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, f := range append(families(), processes()) {
		a, err := f.attach(set, nil)
		if err != nil {
			t.Logf("%s: %v", f.name, err)
			continue
		}
		loaded++
		if err := a.Close(); err != nil {
			t.Errorf("%s: detach: %v", f.name, err)
		}
	}
	if loaded < 2 {
		t.Errorf("%d families load, want one for sockets and that for processes", loaded)
	}
}
