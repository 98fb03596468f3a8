package probes

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/rlimit"
	"go.uber.org/zap/zaptest"

	"github.com/clewtrace/clew/probes/trial"
)

func TestMain(m *testing.M) {
	trial.Child()
	os.Exit(m.Run())
}

// A rung passes on a kernel that does it right. Of headers one fault is known, of
// some kernels; whatever else the self-test finds is ours.
func TestSelfTest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading programs and making cgroups needs root")
	}
	_ = rlimit.RemoveMemlock() // the maps say so themselves if it matters
	f, ok := anyFamily(t)
	if !ok {
		t.Skip("no family but kprobe attaches here, and that has no rung but 0")
	}
	verdicts := selfTest(t.Context(), zaptest.NewLogger(t), Config{}, f, outwardRungs)
	if err := verdicts[RungTCP]; err != nil {
		t.Errorf("tcp: %v", err)
	}
	err := verdicts[RungHeaders]
	if err != nil && (!strings.HasPrefix(err.Error(), "fionread: ") || strings.Contains(err.Error(), ";")) {
		t.Errorf("headers: %v", err)
	}
	t.Logf("headers: %v", err)
}

// anyFamily returns the best family that attaches here and can reach other hosts.
func anyFamily(t *testing.T) (family, bool) {
	set, err := trialSettings(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families()[:2] {
		if a, err := f.attach(set, nil); err == nil {
			defer a.Close()
			return a.family, true
		}
	}
	return family{}, false
}
