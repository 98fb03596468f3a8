/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * B3, the trace context of Zipkin (github.com/openzipkin/b3-propagation), as one
 * header or as several. The Go twin is context/traceparent/b3.go.
 *
 * Ids are lower-case hexadecimal, as the specification has it and Brave demands;
 * of 64-bit trace ids the high half is zero.
 */
#ifndef CLEW_B3_H
#define CLEW_B3_H

#include "trace.h"

/* What a sampling state says; the numbers are what struct context is given. */
enum b3_sampling {
	B3_DENY,
	B3_ACCEPT,
	B3_DEFER,     /* not said: the receiver decides */
	B3_NOT_VALID, /* nothing that the specification knows */
};

/* The 16 or 32 digits of a trace id at `at`; returns HEX_VALID if all were. */
static __always_inline __u32 b3_trace_id(const struct scratch *s, __u32 at, bool wide, struct context *out)
{
	if (wide)
		return hex_read(s, at, out->trace_id, 16);
	__builtin_memset(out->trace_id, 0, 8);
	return hex_read(s, at, out->trace_id + 8, 8);
}

static __always_inline int b3_decided(struct context *out, __u32 valid, enum b3_sampling sampling)
{
	out->sampled = sampling == B3_ACCEPT;
	out->deferred = sampling == B3_DEFER;
	return valid && sampling != B3_NOT_VALID && !all_zero(out->trace_id, 16) &&
	       !all_zero(out->span_id, 8);
}

/* One character: accept, deny, or debug, which implies accept. */
static __always_inline enum b3_sampling b3_state(__u8 c)
{
	return c == '0' ? B3_DENY : c == '1' || c == 'd' ? B3_ACCEPT : B3_NOT_VALID;
}

/* Is the value at `at` a sampling state alone? It names no parent, but is no mistake. */
static __always_inline bool b3_is_state(const struct scratch *s, __u32 at)
{
	return b3_state(s->head[at & (HEAD_MAX - 1)]) != B3_NOT_VALID && value_ends(s, at + 1);
}

/*
 * Parses the b3 at `at` of the head into s->received: "{trace id}-{span id}", then
 * "-{sampling state}" and "-{id of the span's parent}" or neither or either of the
 * two. Returns 1, or 0 if it is anything else. Global, as scan_head is.
 */
__noinline int parse_b3(__u32 slot, __u32 at)
{
	struct scratch *s = scratch_get(slot);
	enum b3_sampling sampling = B3_DEFER;
	__u32 valid, dashes;
	__u8 unused[8];
	bool wide;

	if (!s)
		return 0;
	wide = s->head[(at + 16) & (HEAD_MAX - 1)] != '-';
	valid = b3_trace_id(s, at, wide, &s->received);
	at += wide ? 32 : 16;
	dashes = s->head[at & (HEAD_MAX - 1)] ^ '-';
	valid &= hex_read(s, at + 1, s->received.span_id, 8);
	at += 17;
	if (!valid || dashes)
		return 0;
	if (s->head[at & (HEAD_MAX - 1)] == '-') {
		sampling = b3_state(s->head[(at + 1) & (HEAD_MAX - 1)]);
		if (sampling != B3_NOT_VALID &&
		    (s->head[(at + 2) & (HEAD_MAX - 1)] == '-' || value_ends(s, at + 2)))
			at += 2;
		else
			sampling = B3_DEFER; /* the parent may follow at once */
	}
	if (s->head[at & (HEAD_MAX - 1)] == '-') {
		valid &= hex_read(s, at + 1, unused, 8);
		at += 17;
	}
	return value_ends(s, at) && b3_decided(&s->received, valid, sampling);
}

/* What X-B3-Sampled and X-B3-Flags say. Some tracers older than the specification spell it out. */
static __always_inline enum b3_sampling b3_sampling(const struct scratch *s)
{
	__u32 sampled = s->info.b3_sampled, flags = s->info.b3_flags;
	__u64 w;

	if (flags && s->head[flags & (HEAD_MAX - 1)] == '1' && value_ends(s, flags + 1))
		return B3_ACCEPT;
	if (!sampled)
		return B3_DEFER;
	w = load_word(s, sampled);
	if ((w & 0xff) != 'd' && value_ends(s, sampled + 1))
		return b3_state(w & 0xff);
	w |= CASE;
	if ((w & 0xffffffff) == WORD('t', 'r', 'u', 'e', 0, 0, 0, 0) && value_ends(s, sampled + 4))
		return B3_ACCEPT;
	if ((w & 0xffffffffff) == WORD('f', 'a', 'l', 's', 'e', 0, 0, 0) && value_ends(s, sampled + 5))
		return B3_DENY;
	return B3_NOT_VALID;
}

/* The same for X-B3-TraceId and X-B3-SpanId, of which at least one is there. */
__noinline int parse_b3multi(__u32 slot)
{
	struct scratch *s = scratch_get(slot);
	__u32 trace, span, valid;
	bool wide;

	if (!s)
		return 0;
	trace = s->info.b3_traceid;
	span = s->info.b3_spanid;
	if (!trace || !span)
		return 0;
	wide = !value_ends(s, trace + 16);
	valid = b3_trace_id(s, trace, wide, &s->received);
	valid &= hex_read(s, span, s->received.span_id, 8);
	if (!value_ends(s, trace + (wide ? 32 : 16)) || !value_ends(s, span + 16))
		return 0;
	return b3_decided(&s->received, valid, b3_sampling(s));
}

#endif
