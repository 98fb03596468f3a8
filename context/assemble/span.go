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
	KindProducer
	KindConsumer
)

// Outgoing says whether the process began it: its parent, if any, is its own.
func (k Kind) Outgoing() bool { return k == KindClient || k == KindProducer }

// String returns the name of the kind in small letters.
func (k Kind) String() string {
	switch k {
	case KindServer:
		return "server"
	case KindClient:
		return "client"
	case KindProducer:
		return "producer"
	case KindConsumer:
		return "consumer"
	}
	return "unspecified"
}

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
