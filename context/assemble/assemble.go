package assemble

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/workload"
	"github.com/clewtrace/clew/probes/protocol"
)

// EvidenceKey is the attribute that says what ties a span to its parent:
// header, local, goroutine, thread or fork.
const EvidenceKey = attribute.Key("clew.parent.evidence")

// evidences names the kinds of evidence, as values of EvidenceKey.
var evidences = [...]string{
	protocol.EvidenceHeader:      "header",
	protocol.EvidenceRelay:       "header",
	protocol.EvidenceLocal:       "local",
	protocol.EvidenceTCPOption:   "tcp-option",
	protocol.EvidenceGoroutine:   "goroutine",
	protocol.EvidenceThread:      "thread",
	protocol.EvidenceFork:        "fork",
	protocol.EvidenceRequestLine: "request-line",
}

// Limits bounds what an Assembler keeps. A zero field means its default.
type Limits struct {
	// Targets is how many span names with a target one service may have at a
	// time; default 200. Further ones go by their operation alone.
	Targets int
	// Services is how many services have their names remembered; default 1024.
	Services int
	// Programs is how many processes that carry foreign trace contexts are
	// remembered; default 1024, 8 MB at most.
	Programs int
}

// Options of New. Process and Emit are required.
type Options struct {
	Limits Limits
	// Process says who a process is, or nil when that can't be known any more.
	Process func(pid uint32) *workload.Process
	// Listens, if set, says whether a process accepts connections. It is asked
	// seldom. Without it nothing is concluded about processes that send trace
	// contexts which did not visibly enter them.
	Listens func(pid uint32) bool
	// Emit receives every finished span, to keep.
	Emit func(*Span)
}

// Assembler makes spans of exchanges. All methods but Counts belong to one
// goroutine.
type Assembler struct {
	options  Options
	names    names
	programs programs
	parents  recent // spans of ours that emitted ones name as their parent
	counters counters
}

// New returns an Assembler that hands spans to o.Emit.
func New(o Options) *Assembler {
	setDefault(&o.Limits.Targets, 200)
	setDefault(&o.Limits.Services, 1024)
	setDefault(&o.Limits.Programs, 1024)
	return &Assembler{
		options:  o,
		names:    names{services: map[string]*service{}, targets: o.Limits.Targets, limit: o.Limits.Services},
		programs: programs{table: map[uint32]*program{}, limit: o.Limits.Programs, listens: o.Listens},
	}
}

func setDefault(value *int, fallback int) {
	if *value <= 0 {
		*value = fallback
	}
}

// Entered tells of a request that brings a trace context into a process, when
// it begins: what the process sends on meanwhile is judged by it.
func (a *Assembler) Entered(pid uint32, trace protocol.Trace) {
	a.programs.entered(pid, &trace)
}

// Handle takes a finished exchange. It keeps the attributes and strings of x,
// not x.
func (a *Assembler) Handle(x *protocol.Exchange) {
	a.counters.add(seen)
	if x.Trace.TraceID == [16]byte{} || x.Trace.SpanID == [8]byte{} {
		a.counters.add(noIdentity)
		return
	}
	kind := kindOf(x)
	process := a.options.Process(x.PID)
	if process == nil {
		a.counters.add(noProcess)
		return
	}
	if why, own := a.doubles(x, kind, process); own {
		a.counters.add(why)
		return
	}
	s := &Span{
		TraceID: x.Trace.TraceID, SpanID: x.Trace.SpanID,
		Sampled: x.Trace.Sampled, TraceState: x.TraceState,
		Process: process, Kind: kind,
		Start: x.Start, FirstByte: x.FirstByte, End: x.End,
		Failed: x.Failed, Message: x.Message,
		Attributes: x.Attributes,
	}
	result := a.link(s, &x.Trace)
	if named := a.name(s, x); result == kept {
		result = named
	}
	a.counters.add(result)
	a.options.Emit(s)
}

func kindOf(x *protocol.Exchange) Kind {
	switch {
	case x.Role == protocol.RoleServer: // a broker, whose part in it is the same either way
		return KindServer
	case x.Kind == protocol.KindProducer:
		return KindProducer
	case x.Kind == protocol.KindConsumer:
		return KindConsumer
	}
	return KindClient
}

// link sets the parent. Identity that contradicts itself makes an orphan: a
// wrong parent is worse than none.
func (a *Assembler) link(s *Span, t *protocol.Trace) outcome {
	if t.ParentID == [8]byte{} && t.Evidence == protocol.EvidenceNone {
		return kept
	}
	if t.ParentID == [8]byte{} || t.ParentID == t.SpanID ||
		t.Evidence == protocol.EvidenceNone || int(t.Evidence) >= len(evidences) {
		return parentConflict
	}
	s.ParentID = t.ParentID
	s.Attributes = append(s.Attributes, EvidenceKey.String(evidences[t.Evidence]))
	if t.Evidence != protocol.EvidenceHeader && t.Evidence != protocol.EvidenceTCPOption {
		a.parents.add(t.ParentID) // one of our own spans
	}
	return kept
}

// name sets the span's name, and the target's attribute if the target may stay.
func (a *Assembler) name(s *Span, x *protocol.Exchange) outcome {
	s.Name = x.Operation
	if x.Target == "" {
		return kept
	}
	name, result := a.names.get(s.Process.Service, x)
	if name == nil {
		return result
	}
	s.Name = name.full
	if x.TargetKey != "" {
		s.Attributes = append(s.Attributes, x.TargetKey.String(name.target))
	}
	return kept
}

// doubles says whether the program makes a span for this exchange itself. A span
// with children stays even so: they would point at nothing. As a rule they ended
// before it, so they are known by now.
func (a *Assembler) doubles(x *protocol.Exchange, kind Kind, process *workload.Process) (outcome, bool) {
	why, own := ownServer, false
	switch kind {
	case KindServer:
		own = a.programs.ownServer(x.PID, process)
	case KindClient, KindProducer:
		why, own = ownClient, a.programs.ownClient(x, process)
	}
	return why, own && !a.parents.has(x.Trace.SpanID)
}
