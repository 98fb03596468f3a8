/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * How requests of clients fare, by what left with them: so that user space sees
 * if a rung does harm (probes/watchdog.go).
 */
#ifndef CLEW_OUTCOME_H
#define CLEW_OUTCOME_H

#include "conn.h"

enum class {
	CLASS_PLAIN,
	CLASS_HEADER, /* rung 1 has written to them */
	CLASS_OPTION, /* rung 2 has */
	CLASS_COUNT,
};

struct outcome {
	__u64 answered;
	__u64 late;	  /* answered after more than OUTCOME_LATE_NS */
	__u64 unanswered; /* the connection went before */
};

/* Longer than any stall that two ends of TCP agree on, but a lost packet. */
#define OUTCOME_LATE_NS (200ULL * 1000000)

/* Key: enum class. User space reads, nobody deletes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CLASS_COUNT);
	__type(key, enum class);
	__type(value, struct outcome);
} outcomes SEC(".maps");

static __always_inline struct outcome *outcome_of(const struct conn *c)
{
	enum class class = c->outlet.header == HEADER_WRITTEN ? CLASS_HEADER
		      : c->outlet.option == OPTION_SENT	 ? CLASS_OPTION
							 : CLASS_PLAIN;

	return bpf_map_lookup_elem(&outcomes, &class);
}

static __always_inline void outcome_answered(const struct conn *c, __u64 now)
{
	struct outcome *o = outcome_of(c);

	if (!o)
		return;
	o->answered++;
	if ((__s64)(now - c->request_ns) > (__s64)OUTCOME_LATE_NS)
		o->late++;
}

static __always_inline void outcome_unanswered(const struct conn *c)
{
	struct outcome *o = outcome_of(c);

	if (o)
		o->unanswered++;
}

#endif
