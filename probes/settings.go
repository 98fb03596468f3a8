package probes

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/clewtrace/clew/context/traceparent"
)

// settings are the constants of bpf/include/settings.h by name.
type settings map[string]any

// settings gives what the kernel side must know of the configuration.
func (c Config) settings() (settings, error) {
	var seed [16]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("seed ids: %w", err)
	}
	s := settings{
		"self_tgid":        uint32(os.Getpid()),
		"watch_everything": c.Rules.Everything(),
		"local_marks":      c.Propagation.all().Has(RungLocal),
		"outward":          c.Propagation.Outward(),
		"formats_read":     uint8(c.Propagation.Formats),
		"keep_errors":      c.KeepErrors,
		"keep_slow_ns":     uint64(c.KeepSlow),
		"parent_based":     c.Sampler.Kind == traceparent.KindParentBased,
		"sample_bound":     c.Sampler.Bound,
		"id_seed": [2]uint64{
			binary.NativeEndian.Uint64(seed[:8]),
			binary.NativeEndian.Uint64(seed[8:]),
		},
	}
	if c.TracesPerSecond > 0 {
		interval := uint64(float64(time.Second) / c.TracesPerSecond)
		s["budget_interval_ns"] = max(interval, 1)
		s["budget_burst_ns"] = max(interval, uint64(time.Second))
	}
	if args, err := recvmsgArguments(); err == nil {
		s["tcp_recvmsg_args"] = args
	}
	return s, nil
}

// apply sets the constants that an object has; not every object has all.
func (s settings) apply(spec *ebpf.CollectionSpec) error {
	for name, value := range s {
		v, ok := spec.Variables[name]
		if !ok {
			continue
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// recvmsgArguments counts the arguments of tcp_recvmsg: one fell away in 5.19.
func recvmsgArguments() (uint32, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, err
	}
	var fn *btf.Func
	if err := kernel.TypeByName("tcp_recvmsg", &fn); err != nil {
		return 0, err
	}
	proto, ok := fn.Type.(*btf.FuncProto)
	if !ok {
		return 0, fmt.Errorf("tcp_recvmsg is a %T", fn.Type)
	}
	return uint32(len(proto.Params)), nil
}
