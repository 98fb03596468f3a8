/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which trace a request belongs to, who is its parent, and whether it is sampled:
 * fixed at its head, since whatever it causes must carry them on.
 */
#ifndef CLEW_IDENTITY_H
#define CLEW_IDENTITY_H

#include "context.h"
#include "hook.h"
#include "mark.h"
#include "parent.h"
#include "proxy.h"
#include "protocol/http.h"

static __always_inline bool same_trace(const struct scratch *s)
{
	return !__builtin_memcmp(s->received.trace_id, s->other.trace_id, 16);
}

/* Fills s->received with the context that came with the request; returns the evidence. */
static __always_inline __u8 context_received(struct hook *h, struct scratch *s, __u32 seq, bool piped)
{
	__u8 evidence = context_parse(h->slot) ? EVIDENCE_HEADER : EVIDENCE_NONE, by_mark;

	s->carried = evidence == EVIDENCE_HEADER;
	if (s->carried)
		s->header = s->received;

	if (h->dir == DIR_OUT || !(local_marks || outward) || !has_seq(h) || !marks_are_about(h->now))
		return evidence;
	by_mark = mark_take(h->slot, seq);
	if (by_mark == EVIDENCE_NONE)
		return evidence;
	/* The option may stand on every segment that the request's was cut into. */
	if (by_mark == EVIDENCE_TCP_OPTION && piped) {
		stat_add(STAT_OPTION_PIPELINED);
		return evidence;
	}
	/* The client's own span is the nearer parent, if it is of the same trace. */
	if (evidence == EVIDENCE_HEADER && !same_trace(s)) {
		stat_add(STAT_EVIDENCE_CONFLICT);
		return evidence;
	}
	/* The header is the stronger evidence, where both say the same. */
	if (by_mark == EVIDENCE_TCP_OPTION && evidence == EVIDENCE_HEADER &&
	    !__builtin_memcmp(s->received.span_id, s->other.span_id, 8))
		return evidence;
	s->received = s->other;
	return by_mark;
}

/* Rung 0: the request in the slot's record, which begins at `seq`, leaves its mark. */
static __always_inline void mark_leave(struct hook *h, __u32 seq)
{
	if (local_marks && h->early && has_seq(h) && !(h->target & TARGET_NO_LOCAL))
		mark_put(h->slot, seq);
}

/*
 * Fills s->other with the context of the open request that this one is made for;
 * returns the evidence. `received` is what it carries already, with EVIDENCE_HEADER.
 */
static __always_inline __u8 context_of_open(struct hook *h, struct conn *c, struct scratch *s, __u8 received)
{
	struct context *ctx = &s->other;
	__u8 evidence = EVIDENCE_RELAY;
	struct request *r;
	__u64 id = 0;

	if (received == EVIDENCE_HEADER)
		id = header_request(h->tgid, &s->received);
	if (!id)
		id = task_request(h->tgid, s->buf.fd, &evidence);
	if (!id && (h->target & TARGET_PROXY) && !c->wire) {
		evidence = EVIDENCE_REQUEST_LINE;
		id = line_request(h, c);
	}
	r = request_get(id);
	if (!r)
		return EVIDENCE_NONE;
	__builtin_memcpy(ctx->trace_id, r->trace_id, 16);
	__builtin_memcpy(ctx->span_id, &id, 8);
	ctx->sampled = !!r->sampled;
	return evidence;
}

/*
 * Fixes c->trace of the request whose first byte has sequence number `seq`;
 * returns 1 if it is recorded, else 0.
 */
__noinline int request_identity(struct hook *h, struct conn *c, __u32 seq, bool piped)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u8 evidence, of_open;
	bool remote;
	__u64 id;

	if (!s || !c)
		return 0;
	evidence = context_received(h, s, seq, piped);
	if (h->dir == DIR_OUT) {
		of_open = context_of_open(h, c, s, evidence);
		if (evidence == EVIDENCE_NONE || of_open == EVIDENCE_RELAY) {
			s->received = s->other;
			evidence = of_open;
		} else if (of_open && !same_trace(s)) {
			stat_add(STAT_EVIDENCE_CONFLICT);
		}
	}
	c->evidence = evidence;
	id = random_id(h->now);
	__builtin_memcpy(c->trace.span_id, &id, 8);
	if (evidence == EVIDENCE_NONE) {
		id = random_id(h->now);
		__builtin_memcpy(c->trace.trace_id, &id, 8);
		id = random_id(h->now);
		__builtin_memcpy(c->trace.trace_id + 8, &id, 8);
		__builtin_memset(c->trace.parent_id, 0, 8);
		return sample_root(c->trace.trace_id);
	}
	__builtin_memcpy(c->trace.trace_id, s->received.trace_id, 16);
	__builtin_memcpy(c->trace.parent_id, s->received.span_id, 8);
	/* What another host has decided counts only if parents do. */
	remote = evidence == EVIDENCE_HEADER || evidence == EVIDENCE_TCP_OPTION;
	if (s->received.deferred || (remote && !parent_based))
		return ratio_samples(c->trace.trace_id, sample_bound);
	return s->received.sampled;
}

#endif
