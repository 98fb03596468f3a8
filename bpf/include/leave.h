/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A request of a client is about to leave: by which rungs does its context go along? */
#ifndef CLEW_LEAVE_H
#define CLEW_LEAVE_H

#include "header.h"
#include "option.h"

#ifdef CLEW_NO_SK_STORAGE
#define request_leaves(h, c, seq) ((void)(h), (void)(c), (void)(seq))
#define head_leaves(h, c, st, extra) ((void)(h), (void)(c), (void)(st), (void)(extra))
#else
/* The request in the slot's record begins at `seq`. */
static __always_inline void request_leaves(struct hook *h, struct conn *c, __u32 seq)
{
	struct scratch *s = scratch_get(h->slot);

	if (!outward || !h->early || !has_seq(h) || !s)
		return;
	__builtin_memcpy(c->outlet.context.trace_id, s->msg.trace.trace_id, 16);
	__builtin_memcpy(c->outlet.context.span_id, s->msg.trace.span_id, 8);
	c->outlet.context.sampled = !!(s->msg.flags & MESSAGE_SAMPLED);
	option_decide(c);
	c->outlet.seq = seq;
}

/* The same for HTTP, whose head is in scratch. */
__noinline int head_leaves(struct hook *h, struct conn *c, struct stream *st, bool extra)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;

	if (!s || !c || !st)
		return 0;
	c->outlet.header = HEADER_NONE;
	if (h->early) {
		header_decide(h, c, st, s, extra);
		request_leaves(h, c, st->head_seq);
	}
	/* Until an answer is seen that says otherwise, what follows may be no HTTP. */
	c->outlet.suspended |= http_is_connect(s) || (s->info.odd & HEAD_TURNS);
	return 0;
}
#endif

#endif
