/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which trace a request belongs to, who is its parent, and whether it is sampled:
 * fixed at its head, since whatever it causes must carry them on.
 */
#ifndef CLEW_IDENTITY_H
#define CLEW_IDENTITY_H

#include "hook.h"
#include "mark.h"
#include "parent.h"
#include "protocol/http.h"

static __always_inline bool same_trace(const struct scratch *s)
{
	return !__builtin_memcmp(s->received.trace_id, s->other.trace_id, 16);
}

/* Fills s->received with the context that came with the request; returns the evidence. */
static __always_inline __u8 context_received(struct hook *h, struct scratch *s, __u32 seq)
{
	__u8 evidence = EVIDENCE_NONE;

	if (s->info.traceparents > 1)
		stat_add(STAT_DUPLICATE_TRACEPARENT);
	else if (s->info.traceparents && parse_traceparent(h->slot, s->info.traceparent))
		evidence = EVIDENCE_HEADER;
	else if (s->info.traceparents)
		stat_add(STAT_MALFORMED_TRACEPARENT);

	if (h->dir == DIR_OUT || !local_marks || !has_seq(h))
		return evidence;
	/* Signed: another CPU may have laid a mark since this hook began. */
	if ((__s64)(h->now - last_mark_ns) > (__s64)MARK_FRESH_NS)
		return evidence;
	if (!mark_take(h->slot, seq))
		return evidence;
	/* The client's own span is the nearer parent, if it is of the same trace. */
	if (evidence == EVIDENCE_HEADER && !same_trace(s)) {
		stat_add(STAT_EVIDENCE_CONFLICT);
		return evidence;
	}
	s->received = s->other;
	return EVIDENCE_LOCAL;
}

/* Fills s->other with that of the request the running task serves; returns the evidence. */
static __always_inline __u8 context_of_task(struct hook *h, struct scratch *s)
{
	struct context *ctx = &s->other;
	__u8 evidence = EVIDENCE_NONE;
	__u64 id = task_request(h->tgid, s->buf.fd, &evidence);
	struct request *r = request_get(id);

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
__noinline int request_identity(struct hook *h, struct conn *c, __u32 seq)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u8 evidence, of_task;
	__u64 id;

	if (!s || !c)
		return 0;
	evidence = context_received(h, s, seq);
	if (h->dir == DIR_OUT) {
		of_task = context_of_task(h, s);
		if (evidence == EVIDENCE_NONE) {
			s->received = s->other;
			evidence = of_task;
		} else if (of_task && !same_trace(s)) {
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
	if (evidence == EVIDENCE_HEADER && !parent_based)
		return ratio_samples(c->trace.trace_id, sample_bound);
	return s->received.sampled;
}

#endif
