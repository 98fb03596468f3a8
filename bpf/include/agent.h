/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What programs and user space tell each other while they run. */
#ifndef CLEW_AGENT_H
#define CLEW_AGENT_H

#include "kernel.h"

/* Rungs of propagation that write, in agent.rungs: probes/propagation.go. */
enum rung {
	RUNG_HEADERS = 1 << 1,
	RUNG_TCP = 1 << 2,
};

struct agent {
	__u64 last_mark_ns; /* when a mark was last laid: without any, nobody need look */
	__u32 rungs;	    /* enum rung: passed their self-test, and not taken out since */
	__u32 pad;
};

/*
 * Key: 0. Rungs are put by user space, the rest by whoever does it. A map, since
 * global variables are each object's own.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agent);
} agents SEC(".maps");

static __always_inline struct agent *agent_get(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&agents, &key);
}

static __always_inline bool rung_is_on(enum rung rung)
{
	struct agent *a = agent_get();

	return a && (a->rungs & rung);
}

#endif
