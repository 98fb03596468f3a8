package probes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"go.uber.org/zap"
)

// Feature is something that a node can or cannot do.
type Feature struct {
	Name   string
	OK     bool
	Detail string // what was found
	Fix    string // what to do about it; empty if OK
}

// Survey tries every family of triggers, attaching each for a moment with nobody
// watched, and says what works. It needs the privileges that tracing needs.
func Survey() []Feature {
	set, err := Config{}.settings()
	if err != nil {
		return []Feature{{Name: "hooks", Detail: err.Error()}}
	}
	var features []Feature
	var first *attached
	for _, f := range families() {
		feature, a := try(f, set)
		features = append(features, feature)
		if a == nil {
			continue
		}
		if first == nil {
			first = a
			defer a.Close()
		} else {
			_ = a.Close() // it only had to attach
		}
	}
	if first == nil {
		return features
	}
	return append(features, surveyRest(first, set)...)
}

func try(f family, set settings) (Feature, *attached) {
	feature := Feature{Name: "hooks: " + f.name}
	a, err := f.attach(set, nil)
	if err != nil {
		feature.Detail = err.Error()
		feature.Fix = "needs " + f.needs
		return feature, nil
	}
	feature.OK = true
	feature.Detail = "attaches"
	if len(a.missing) > 0 {
		feature.Detail += "; without " + strings.Join(a.missing, ", ")
	}
	return feature, a
}

// surveyRest says what works besides the family that would be used.
func surveyRest(a *attached, set settings) []Feature {
	var features []Feature
	process, other := try(processes(), set)
	process.Name = "hooks: process events"
	features = append(features, process)
	if other != nil {
		_ = other.Close()
	}
	local := Feature{Name: "parents by connection on this host (rung 0)", OK: a.early,
		Detail: "with the hooks of family " + a.family.name}
	if !a.early {
		local.Detail = "family " + a.family.name + " has no hook before the bytes leave"
		local.Fix = "Linux 6.16, or CLEW_HOOKS=fentry or kprobe where these attach"
	}
	features = append(features, local)
	features = append(features, surveyOutward(a.family)...)
	return append(features, surveyUprobes(set, a.collection.Maps))
}

// surveyOutward runs the self-tests of what reaches other hosts.
func surveyOutward(f family) []Feature {
	names := map[Rungs]string{
		RungHeaders: "headers to other hosts (rung 1)",
		RungTCP:     "TCP options to other hosts (rung 2)",
	}
	fixes := map[Rungs]string{
		RungHeaders: "another kernel; headers! in CLEW_PROPAGATION uses it all the same, at the harm stated",
		RungTCP:     "another kernel; tcp! in CLEW_PROPAGATION uses it all the same, at the harm stated",
	}
	var features []Feature
	verdicts := selfTest(context.Background(), zap.NewNop(), Config{}, f, outwardRungs)
	for _, rung := range outwardRungs {
		feature := Feature{Name: names[rung], OK: true, Detail: "its self-test passes"}
		if err := verdicts[rung]; err != nil {
			feature.OK, feature.Detail, feature.Fix = false, err.Error(), fixes[rung]
			if errors.Is(err, errImpossible) {
				feature.Fix = ""
			}
		}
		features = append(features, feature)
	}
	return features
}

func surveyUprobes(set settings, shared map[string]*ebpf.Map) Feature {
	feature := Feature{Name: "parents of Go's net/http client", OK: true, Detail: "the uprobe program loads"}
	u, err := newUprobes(set, shared)
	if err != nil {
		feature.OK, feature.Detail = false, fmt.Sprintf("the uprobe program does not load: %v", err)
		feature.Fix = "Linux 5.15 with CONFIG_UPROBES"
		return feature
	}
	_ = u.Close()
	return feature
}
