package traceparent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// BoundAll is the Bound under which every trace is sampled: one more than the
// largest number that the low 63 bits of a trace id can hold.
const BoundAll = uint64(1) << 63

// Bound returns what the low 63 bits of a trace id must stay below for a trace
// to be sampled at ratio, computed as OpenTelemetry's TraceIDRatioBased does.
func Bound(ratio float64) uint64 {
	switch {
	case ratio >= 1:
		return BoundAll
	case ratio > 0:
		return uint64(ratio * (1 << 63))
	}
	return 0
}

// Sample reports whether the trace falls into the sampled share of all traces.
func Sample(traceID [16]byte, bound uint64) bool {
	return binary.BigEndian.Uint64(traceID[8:])>>1 < bound
}

// Kind says whether a Sampler listens to the caller.
type Kind uint8

const (
	// KindRoot decides every request by its trace id alone.
	KindRoot Kind = iota
	// KindParentBased follows the sampled flag of the caller, if there is one.
	KindParentBased
)

// Sampler is one of OpenTelemetry's standard samplers. "Always on" is a bound
// that every trace id stays below, "always off" one that none does. The zero
// Sampler samples nothing.
type Sampler struct {
	Kind  Kind
	Bound uint64
}

// Sample decides a request; parent is the context it arrived with, or nil.
func (s Sampler) Sample(traceID [16]byte, parent *Context) bool {
	if s.Kind == KindParentBased && parent != nil {
		return parent.Sampled()
	}
	return Sample(traceID, s.Bound)
}

var errRatio = errors.New("must be a number from 0 to 1")

// ParseSampler reads the values of OTEL_TRACES_SAMPLER and
// OTEL_TRACES_SAMPLER_ARG. An empty name is the standard's default,
// parentbased_always_on; an empty argument of a ratio is 1; the other samplers
// take no argument and ignore one. The error names the variable at fault.
func ParseSampler(name, arg string) (Sampler, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		name = "parentbased_always_on"
	}
	root, parentBased := strings.CutPrefix(name, "parentbased_")
	var s Sampler
	if parentBased {
		s.Kind = KindParentBased
	}
	switch root {
	case "always_on":
		s.Bound = BoundAll
	case "always_off":
	case "traceidratio":
		ratio, err := parseRatio(arg)
		if err != nil {
			return Sampler{}, fmt.Errorf("read OTEL_TRACES_SAMPLER_ARG %q: %w", arg, err)
		}
		s.Bound = Bound(ratio)
	default:
		return Sampler{}, fmt.Errorf("read OTEL_TRACES_SAMPLER %q: not one of always_on, always_off, "+
			"traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio", name)
	}
	return s, nil
}

func parseRatio(arg string) (float64, error) {
	arg = strings.TrimSpace(arg)
	if arg == "" {
		return 1, nil
	}
	ratio, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) { // so written, NaN is refused too
		return 0, errRatio
	}
	return ratio, nil
}
