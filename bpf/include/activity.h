/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a process has shown of itself: how many requests it has open, and
 * whether it serves each on one thread.
 */
#ifndef CLEW_ACTIVITY_H
#define CLEW_ACTIVITY_H

#include "kernel.h"

struct activity {
	__s32 open;	   /* server requests not answered yet */
	__u32 same_thread; /* requests answered by the thread that read them */
	__u32 mixes;	   /* a thread with an open request was seen working for another */
	__u32 pad;
	__u64 blind_until_ns; /* a proxy: it serves connections that cannot be read */
};

/*
 * Key: tgid. Put at the first server request, deleted at exit. Full (8192 processes
 * that serve): links by thread are missing, and none is wrong.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH); /* preallocated: made on the path of a request */
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct activity);
} activities SEC(".maps");

static __always_inline struct activity *activity_get(__u32 tgid)
{
	return bpf_map_lookup_elem(&activities, &tgid);
}

static __always_inline struct activity *activity_make(__u32 tgid)
{
	struct activity *a = activity_get(tgid), zero = {};

	if (a)
		return a;
	bpf_map_update_elem(&activities, &tgid, &zero, BPF_NOEXIST);
	return activity_get(tgid);
}

static __always_inline void activity_del(__u32 tgid)
{
	bpf_map_delete_elem(&activities, &tgid);
}

#endif
