package assemble

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/workload"
)

// Kind is the OpenTelemetry span kind.
type Kind uint8

const (
	KindServer Kind = iota + 1
	KindClient
)

// Span is a finished span, ready to be exported. It is not changed after the
// assembler has handed it on.
type Span struct {
	TraceID    [16]byte
	SpanID     [8]byte
	ParentID   [8]byte // all zero: no parent
	Sampled    bool
	TraceState string

	Process *workload.Process // who did it; never nil
	Name    string
	Kind    Kind

	Start, FirstByte, End time.Time // FirstByte is zero when no response came

	Failed  bool   // span status Error, else Unset
	Message string // status description, only with Failed

	// Attributes include clew.parent.evidence when there is a parent.
	Attributes []attribute.KeyValue
}
