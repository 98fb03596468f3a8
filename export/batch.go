package export

import (
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/context/assemble"
	"github.com/clewtrace/clew/context/workload"
)

const (
	scopeName = "github.com/clewtrace/clew"

	// maxBatchBytes keeps a request below the 4 MiB that gRPC servers accept by
	// default, with room for one more span, the resources and the framing.
	maxBatchBytes = 3 << 20

	// maxIdleGroups is how many processes without a span in the current batch
	// stay prepared. A node seldom has more that are busy; the price of a miss
	// is encoding a resource again.
	maxIdleGroups = 512
)

// batch collects spans, grouped by process, in the form the OTLP client takes.
//
// The repeated parts are typed messages, reused from batch to batch. The spans
// and the resource are already in the wire format and ride in the messages as
// unknown fields, which protobuf appends to its output as they are.
//
// A batch may be changed again once UploadTraces has returned.
type batch struct {
	scope  *commonpb.InstrumentationScope
	groups map[*workload.Process]*group
	used   []*group
	upload []*tracepb.ResourceSpans

	scratch []byte
	spans   int
	bytes   int
}

// group is the part of a batch that one process contributes.
type group struct {
	message *tracepb.ResourceSpans
	scope   *tracepb.ScopeSpans
	spans   []byte
}

func newBatch(version string) *batch {
	return &batch{
		scope:  newScope(version),
		groups: make(map[*workload.Process]*group),
	}
}

func (b *batch) add(s *assemble.Span) {
	g := b.groups[s.Process]
	if g == nil {
		g = b.newGroup(s.Process)
		b.groups[s.Process] = g
	}
	before := len(g.spans)
	if before == 0 {
		b.used = append(b.used, g)
	}
	g.spans, b.scratch = appendSpan(g.spans, b.scratch, s)
	b.bytes += len(g.spans) - before
	b.spans++
}

func (b *batch) newGroup(p *workload.Process) *group {
	scope := &tracepb.ScopeSpans{Scope: b.scope, SchemaUrl: semconv.SchemaURL}
	message := &tracepb.ResourceSpans{
		ScopeSpans: []*tracepb.ScopeSpans{scope},
		SchemaUrl:  semconv.SchemaURL,
	}
	message.ProtoReflect().SetUnknown(appendResource(nil, p.Attributes))
	return &group{message: message, scope: scope}
}

// full says that the batch is to be sent before anything is added.
func (b *batch) full(maxSpans int) bool {
	return b.spans >= maxSpans || b.bytes >= maxBatchBytes
}

// messages returns the content of the batch, valid until the next reset.
func (b *batch) messages() []*tracepb.ResourceSpans {
	b.upload = b.upload[:0]
	for _, g := range b.used {
		g.scope.ProtoReflect().SetUnknown(g.spans)
		b.upload = append(b.upload, g.message)
	}
	return b.upload
}

// reset empties the batch and keeps its memory, within limits.
func (b *batch) reset() {
	if len(b.groups) > len(b.used)+maxIdleGroups {
		for p, g := range b.groups {
			if len(g.spans) == 0 {
				delete(b.groups, p)
			}
		}
	}
	// A group that was busy once must not keep its space for ever.
	fair := maxBatchBytes / (4 * max(1, len(b.groups)))
	for _, g := range b.used {
		g.scope.ProtoReflect().SetUnknown(nil)
		if cap(g.spans) > max(fair, 4<<10) {
			g.spans = nil
		}
		g.spans = g.spans[:0]
	}
	b.used = b.used[:0]
	b.spans, b.bytes = 0, 0
}
