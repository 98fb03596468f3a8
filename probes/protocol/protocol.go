// Package protocol turns the bytes of watched connections into exchanges: one
// request with its response, described by OpenTelemetry semantic conventions.
//
// It is a pure leaf: bytes and times in, values out, no kernel, no network, no
// clock. A protocol is one file of this package, a test beside it and one line
// in a table of protocols. There are two, since what the kernel must know differs:
// of HTTP it follows the framing, because a request is a parent until its answer
// ends, and gives Messages; of databases and brokers it recognises the first
// bytes, and gives Segments that are cut into frames here.
package protocol

import (
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Role says which side of a connection the watched process is.
type Role uint8

const (
	RoleUnknown Role = iota
	RoleClient       // it sent the request
	RoleServer       // it received the request
)

// Part says which part of a conversation a Message is.
type Part uint8

const (
	PartRequest  Part = iota + 1 // head of a request
	PartResponse                 // head of a final (not 1xx) response, or of 101
	PartEnd                      // the response announced before has ended
	PartClose                    // the connection is gone
)

// Evidence names what ties a request to its parent. The zero value means that
// there is no parent: the span is a root, or an orphan.
type Evidence uint8

const (
	EvidenceNone        Evidence = iota
	EvidenceHeader               // the bytes of the request carry a traceparent
	EvidenceRelay                // the same, passed on: it is the one that the parent came with
	EvidenceLocal                // the client's context, found in this kernel by connection and sequence number
	EvidenceTCPOption            // the same, from another host by a TCP option
	EvidenceGoroutine            // the goroutine that sent it, or an ancestor, serves the parent
	EvidenceThread               // the thread that sent it serves the parent, and nothing else
	EvidenceFork                 // the process or thread was started while serving the parent
	EvidenceRequestLine          // a proxy has one open request with this method and target
)

// Trace is the identity that the kernel gave a request at its first byte.
type Trace struct {
	TraceID  [16]byte
	SpanID   [8]byte
	ParentID [8]byte // all zero: no parent
	Sampled  bool
	Evidence Evidence
}

// Endpoints are the two ends of a connection, as the watched process sees them.
type Endpoints struct {
	Local, Remote netip.AddrPort // both zero for unix sockets
	Unix          bool
}

// Message is one record of the kernel about a connection: the head of a request
// or response, or the end of one.
type Message struct {
	Connection uint64 // unique for the life of the agent
	PID        uint32 // process (tgid) that sent or received it
	TID        uint32
	Part       Part
	Role       Role

	First time.Time // first byte of the message
	Last  time.Time // last byte seen so far; of a complete message, its end
	Bytes uint64    // seen so far, head and body

	Complete  bool   // the whole message has been seen; a later PartEnd will not come
	Truncated bool   // Head is cut at the capture limit
	Rescued   bool   // kept although unsampled: an error, or slow
	Lost      uint32 // records of this connection that the ring could not take, since it began; a change breaks pairing

	Trace     Trace // of requests only
	Endpoints       // of requests only

	// Head holds the first bytes of the message, and belongs to the caller
	// again when the call that received it returns.
	Head []byte
}

// Name is what an exchange is called.
type Name struct {
	// Operation and Target name the span: "GET" and "/users/{id}". Target is
	// of low cardinality by construction, but the assembler may still drop it
	// when a service produces too many. When Target is empty or dropped the
	// name is Operation alone.
	Operation, Target string
	// TargetKey is the attribute that carries Target (such as http.route), set
	// by the assembler only when Target survives; empty for none.
	TargetKey attribute.Key
	// Tentative says that Target may name nothing that exists (the server
	// refused it): it is to be used only when other exchanges proved it. So a
	// scanner that tries a thousand paths takes no room from the real ones.
	Tentative bool
}

// Kind is what an exchange is to OpenTelemetry, where its role does not tell.
type Kind uint8

const (
	KindOfRole   Kind = iota // client or server
	KindProducer             // it hands a message to a broker
	KindConsumer             // a broker hands it a message
)

// Exchange is one request and what became of it.
type Exchange struct {
	PID, TID uint32
	Role     Role
	Kind     Kind

	Start     time.Time
	FirstByte time.Time // of the response; zero when none came
	End       time.Time

	Trace      Trace
	TraceState string

	Endpoints

	// Protocol is the short name of the protocol, such as "http".
	Protocol string
	Name

	// Failed says that the span status is Error; Message explains it.
	Failed  bool
	Message string

	// Attributes belongs to the receiver, with room for a few more.
	Attributes []attribute.KeyValue
}
