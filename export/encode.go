package export

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/context/assemble"
)

// This file writes spans and resources in the OTLP wire format by hand. A span
// of fifteen attributes is some thirty protobuf messages; building those, and
// walking them three times to marshal them, costs several times as much as
// appending the same bytes to one buffer. The tests decode what is written here
// with the generated code and compare it field by field.

// timeToFirstByte is the span attribute with the seconds from the first byte of
// the request to the first byte of the response. It is an attribute and not a
// span event because backends search, group and chart by attributes.
const timeToFirstByte = "clew.time_to_first_byte"

// Field numbers of opentelemetry/proto/{trace,common,resource}/v1.
const (
	fieldResourceSpansResource protowire.Number = 1
	fieldScopeSpansSpans       protowire.Number = 2
	fieldResourceAttributes    protowire.Number = 1
	fieldSpanTraceID           protowire.Number = 1
	fieldSpanSpanID            protowire.Number = 2
	fieldSpanTraceState        protowire.Number = 3
	fieldSpanParentSpanID      protowire.Number = 4
	fieldSpanName              protowire.Number = 5
	fieldSpanKind              protowire.Number = 6
	fieldSpanStart             protowire.Number = 7
	fieldSpanEnd               protowire.Number = 8
	fieldSpanAttributes        protowire.Number = 9
	fieldSpanStatus            protowire.Number = 15
	fieldSpanFlags             protowire.Number = 16
	fieldStatusMessage         protowire.Number = 2
	fieldStatusCode            protowire.Number = 3
	fieldKeyValueKey           protowire.Number = 1
	fieldKeyValueValue         protowire.Number = 2
	fieldAnyValueString        protowire.Number = 1
	fieldAnyValueBool          protowire.Number = 2
	fieldAnyValueInt           protowire.Number = 3
	fieldAnyValueDouble        protowire.Number = 4
	fieldAnyValueArray         protowire.Number = 5
	fieldAnyValueMap           protowire.Number = 6
	fieldAnyValueBytes         protowire.Number = 7
	fieldArrayOrMapValues      protowire.Number = 1
)

// appendSpan appends one element of ScopeSpans.spans to b. scratch is space for
// the span's body, whose length must be written before it; it is returned for
// the next call.
func appendSpan(b, scratch []byte, s *assemble.Span) (out, grown []byte) {
	scratch = appendSpanBody(scratch[:0], s)
	b = protowire.AppendTag(b, fieldScopeSpansSpans, protowire.BytesType)
	b = protowire.AppendBytes(b, scratch)
	return b, scratch
}

func appendSpanBody(b []byte, s *assemble.Span) []byte {
	b = protowire.AppendTag(b, fieldSpanTraceID, protowire.BytesType)
	b = protowire.AppendBytes(b, s.TraceID[:])
	b = protowire.AppendTag(b, fieldSpanSpanID, protowire.BytesType)
	b = protowire.AppendBytes(b, s.SpanID[:])
	b = appendString(b, fieldSpanTraceState, validString(s.TraceState))
	if s.ParentID != ([8]byte{}) {
		b = protowire.AppendTag(b, fieldSpanParentSpanID, protowire.BytesType)
		b = protowire.AppendBytes(b, s.ParentID[:])
	}
	b = appendString(b, fieldSpanName, validString(s.Name))
	b = protowire.AppendTag(b, fieldSpanKind, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(spanKind(s.Kind)))
	b = appendTime(b, fieldSpanStart, s.Start)
	b = appendTime(b, fieldSpanEnd, s.End)
	for i := range s.Attributes {
		b = appendKeyValue(b, fieldSpanAttributes, string(s.Attributes[i].Key), s.Attributes[i].Value)
	}
	if !s.FirstByte.IsZero() {
		wait := attribute.Float64Value(s.FirstByte.Sub(s.Start).Seconds())
		b = appendKeyValue(b, fieldSpanAttributes, timeToFirstByte, wait)
	}
	if s.Failed {
		b = appendStatus(b, s.Message)
	}
	if s.Sampled {
		// Bits 8 and 9 (is the parent remote?) stay unset, which means unknown.
		b = protowire.AppendTag(b, fieldSpanFlags, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, 1)
	}
	return b
}

func spanKind(k assemble.Kind) tracepb.Span_SpanKind {
	switch k {
	case assemble.KindServer:
		return tracepb.Span_SPAN_KIND_SERVER
	case assemble.KindClient:
		return tracepb.Span_SPAN_KIND_CLIENT
	case assemble.KindProducer:
		return tracepb.Span_SPAN_KIND_PRODUCER
	case assemble.KindConsumer:
		return tracepb.Span_SPAN_KIND_CONSUMER
	}
	return tracepb.Span_SPAN_KIND_UNSPECIFIED
}

func appendStatus(b []byte, message string) []byte {
	message = validString(message)
	size := sizeString(fieldStatusMessage, message) + 2
	b = protowire.AppendTag(b, fieldSpanStatus, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendString(b, fieldStatusMessage, message)
	b = protowire.AppendTag(b, fieldStatusCode, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(tracepb.Status_STATUS_CODE_ERROR))
}

// appendResource appends ResourceSpans.resource to b.
func appendResource(b []byte, attributes []attribute.KeyValue) []byte {
	var body []byte
	for _, a := range attributes {
		body = appendKeyValue(body, fieldResourceAttributes, string(a.Key), a.Value)
	}
	b = protowire.AppendTag(b, fieldResourceSpansResource, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

// appendKeyValue appends a field of type common.v1.KeyValue.
func appendKeyValue(b []byte, field protowire.Number, key string, v attribute.Value) []byte {
	key = validString(key)
	var text string
	var nested []byte // only for values that are made of values
	var valueSize int
	switch v.Type() {
	case attribute.STRING:
		text = validString(v.AsString())
		// Written even when empty: an empty string is not an absent value.
		valueSize = protowire.SizeTag(fieldAnyValueString) + protowire.SizeBytes(len(text))
	case attribute.BOOL:
		valueSize = 2
	case attribute.INT64:
		valueSize = 1 + protowire.SizeVarint(uint64(v.AsInt64()))
	case attribute.FLOAT64:
		valueSize = 1 + 8
	default:
		nested = appendNested(nil, v)
		valueSize = len(nested)
	}
	size := sizeString(fieldKeyValueKey, key) + 1 + protowire.SizeBytes(valueSize)
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendString(b, fieldKeyValueKey, key)
	b = protowire.AppendTag(b, fieldKeyValueValue, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(valueSize))
	if nested != nil {
		return append(b, nested...)
	}
	return appendScalar(b, v, text)
}

// appendScalar appends the body of a common.v1.AnyValue that is no array, map
// or bytes; text is the valid form of a string value.
func appendScalar(b []byte, v attribute.Value, text string) []byte {
	switch v.Type() {
	case attribute.STRING:
		b = protowire.AppendTag(b, fieldAnyValueString, protowire.BytesType)
		b = protowire.AppendString(b, text)
	case attribute.BOOL:
		b = protowire.AppendTag(b, fieldAnyValueBool, protowire.VarintType)
		b = protowire.AppendVarint(b, protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		b = protowire.AppendTag(b, fieldAnyValueInt, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		b = protowire.AppendTag(b, fieldAnyValueDouble, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(v.AsFloat64()))
	}
	return b
}

// appendNested appends the body of a common.v1.AnyValue of any type. Arrays are
// rare (captured headers), so it may allocate.
func appendNested(b []byte, v attribute.Value) []byte {
	switch v.Type() {
	case attribute.STRING:
		return appendScalar(b, v, validString(v.AsString()))
	case attribute.BYTESLICE:
		b = protowire.AppendTag(b, fieldAnyValueBytes, protowire.BytesType)
		return protowire.AppendBytes(b, v.AsByteSlice())
	case attribute.STRINGSLICE:
		return appendArray(b, v.AsStringSlice(), attribute.StringValue)
	case attribute.INT64SLICE:
		return appendArray(b, v.AsInt64Slice(), attribute.Int64Value)
	case attribute.FLOAT64SLICE:
		return appendArray(b, v.AsFloat64Slice(), attribute.Float64Value)
	case attribute.BOOLSLICE:
		return appendArray(b, v.AsBoolSlice(), attribute.BoolValue)
	case attribute.SLICE:
		same := func(v attribute.Value) attribute.Value { return v }
		return appendArray(b, v.AsSlice(), same)
	case attribute.MAP:
		var body []byte
		for _, kv := range v.AsMap() {
			body = appendKeyValue(body, fieldArrayOrMapValues, string(kv.Key), kv.Value)
		}
		b = protowire.AppendTag(b, fieldAnyValueMap, protowire.BytesType)
		return protowire.AppendBytes(b, body)
	}
	return appendScalar(b, v, "")
}

func appendArray[T any](b []byte, values []T, wrap func(T) attribute.Value) []byte {
	var body []byte
	for _, v := range values {
		body = protowire.AppendTag(body, fieldArrayOrMapValues, protowire.BytesType)
		body = protowire.AppendBytes(body, appendNested(nil, wrap(v)))
	}
	b = protowire.AppendTag(b, fieldAnyValueArray, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, uint64(t.UnixNano()))
}

// appendString appends a string field with valid text, left out when empty as
// proto3 does.
func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func sizeString(field protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(s))
}

// validString makes s fit for a proto3 string. One string that is not UTF-8
// makes a receiver refuse the whole batch, and names come from the network.
func validString(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// newScope returns the instrumentation scope of every span.
func newScope(version string) *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: scopeName, Version: version}
}
