/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Open server requests: the only ones that may be somebody's parent.
 *
 * A request is open from its head until its response ends, its connection
 * closes, or user space finds it forgotten. Threads and goroutines hold its id
 * only, so a closed request is nobody's parent at once, wherever its id still is.
 */
#ifndef CLEW_REQUEST_H
#define CLEW_REQUEST_H

#include "activity.h"
#include "event.h"
#include "stats.h"

struct request {
	__u8 trace_id[16];
	__u64 started_ns;
	__u32 tgid;
	__u32 tid; /* thread that completed the head */
	__u32 sampled;
	__u32 pad;
};

/*
 * Key: span id of the request, as a number. Put when its head is complete,
 * deleted as above. Full (16384 requests in flight on the node): counted, and
 * the request is nobody's parent.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH); /* preallocated: one comes and goes with each request */
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct request);
} requests SEC(".maps");

static __always_inline struct request *request_get(__u64 id)
{
	return id ? bpf_map_lookup_elem(&requests, &id) : 0;
}

static __always_inline bool request_open(__u64 id, const struct request *r)
{
	struct activity *a;

	if (bpf_map_update_elem(&requests, &id, r, BPF_NOEXIST)) {
		stat_add(STAT_REQUESTS_FULL);
		return false;
	}
	a = activity_make(r->tgid);
	if (a)
		__sync_fetch_and_add(&a->open, 1);
	return true;
}

static __always_inline void request_close(__u64 id, __u32 tgid)
{
	struct activity *a;

	/* Somebody else may have closed it first, and counted. */
	if (!id || bpf_map_delete_elem(&requests, &id))
		return;
	a = activity_get(tgid);
	if (a)
		__sync_fetch_and_add(&a->open, -1);
}

#endif
