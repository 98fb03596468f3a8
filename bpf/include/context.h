/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Which of the headers in a head names the parent. */
#ifndef CLEW_CONTEXT_H
#define CLEW_CONTEXT_H

#include "b3.h"

static __always_inline bool traceparent_read(__u32 slot, const struct head *h)
{
	if (!(formats_read & FORMAT_TRACECONTEXT) || !h->traceparents)
		return false;
	if (h->traceparents > 1) {
		stat_add(STAT_DUPLICATE_TRACEPARENT);
		return false;
	}
	if (parse_traceparent(slot, h->traceparent))
		return true;
	stat_add(STAT_MALFORMED_TRACEPARENT);
	return false;
}

/* The single header goes before the others. One that is not valid is counted. */
static __always_inline bool b3_read(__u32 slot, const struct scratch *s)
{
	const struct head *h = &s->info;

	if ((formats_read & FORMAT_B3) && h->b3) {
		if (parse_b3(slot, h->b3))
			return true;
		if (!b3_is_state(s, h->b3))
			stat_add(STAT_MALFORMED_B3);
	}
	if ((formats_read & FORMAT_B3MULTI) && (h->b3_traceid || h->b3_spanid)) {
		if (parse_b3multi(slot))
			return true;
		stat_add(STAT_MALFORMED_B3);
	}
	return false;
}

/*
 * Fills s->received with the context of the scanned head in `slot`: of the one valid
 * traceparent, else of B3, as far as they are read. Returns 1, or 0 if it has none.
 *
 * With received.deferred the decision is ours: by ratio on the trace id, so that all
 * to whom it was deferred decide alike.
 *
 * A tracestate counts only beside a good traceparent (W3C Trace Context Level 2,
 * 3.3): else it is forgotten here. Global, as scan_head is.
 */
__noinline int context_parse(__u32 slot)
{
	struct scratch *s = scratch_get(slot);

	if (!s)
		return 0;
	if (traceparent_read(slot, &s->info))
		return 1;
	s->info.states = 0;
	return b3_read(slot, s);
}

#endif
