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
#include "like.h"
#include "state.h"
#include "stats.h"

struct request {
	__u64 id; /* span id, as a number; 0: the slot is free; REQUEST_CLAIMED */
	__u8 trace_id[16];
	__u64 started_ns;
	__u64 line;	/* hash of its method and target, of a proxy's: see like.h; 0: none */
	__u64 received; /* hash of the context it came with; 0: none */
	__u32 tgid;
	__u32 tid; /* thread that completed the head */
	__u32 sampled;
	__u16 stated; /* its tracestate is kept: state.h */
	__u16 sent;   /* a proxy has sent it on: proxy.h */
};

/* A slot that is being filled. No request has this id: see random_id. */
#define REQUEST_CLAIMED 1

/* A power of two, so that the low bits of an id name its slot. */
#define REQUESTS_MAX 16384
/* Slots looked at for an id. With 4000 requests open all four are taken once in 300 times. */
#define REQUEST_PROBES 4

/*
 * An open-addressed table, since a hash map's insert and delete took a sixth of
 * what Clew costs a request. Key: slot, from the id. Claimed when a head is
 * complete, freed as above. Full around its slot: counted, and the request is
 * nobody's parent.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REQUESTS_MAX);
	__type(key, __u32);
	__type(value, struct request);
} requests SEC(".maps");

static __always_inline struct request *request_slot(__u64 id, int probe)
{
	__u32 slot = ((__u32)id + probe) & (REQUESTS_MAX - 1);

	return bpf_map_lookup_elem(&requests, &slot);
}

static __always_inline struct request *request_get(__u64 id)
{
	struct request *r;

	if (!id)
		return 0;
	for (int i = 0; i < REQUEST_PROBES; i++) {
		r = request_slot(id, i);
		if (r && r->id == id)
			return r;
	}
	return 0;
}

/* Claims a slot for `id`, to be filled in and then given to request_open(). 0: none is free. */
static __always_inline struct request *request_claim(__u64 id)
{
	for (int i = 0; i < REQUEST_PROBES; i++) {
		struct request *r = request_slot(id, i);

		if (r && !__sync_val_compare_and_swap(&r->id, 0, REQUEST_CLAIMED))
			return r;
	}
	stat_add(STAT_REQUESTS_FULL);
	return 0;
}

/* Global for its stack: callers share 512 bytes. */
__noinline int request_count(__u32 tgid, __u64 id, __u64 line, __u64 received)
{
	struct activity *a = activity_make(tgid);

	if (a)
		__sync_fetch_and_add(&a->open, 1);
	like_add(tgid, line, id);
	like_add(tgid, received, id);
	return 0;
}

/* From now on it can be found. */
static __always_inline void request_open(struct request *r, __u64 id)
{
	request_count(r->tgid, id, r->line, r->received);
	__sync_lock_test_and_set(&r->id, id);
}

/* Its tracestate is kept, to be dropped with it. */
static __always_inline void request_stated(__u64 id)
{
	struct request *r = request_get(id);

	if (r)
		r->stated = 1;
}

__noinline int request_close(__u64 id)
{
	struct request *r = request_get(id);
	struct activity *a;
	__u64 line, received;
	__u32 tgid, stated;

	if (!r)
		return 0;
	tgid = r->tgid;
	line = r->line;
	received = r->received;
	stated = r->stated;
	/* Somebody else may close it at the same time, and count. */
	if (__sync_val_compare_and_swap(&r->id, id, 0) != id)
		return 0;
	a = activity_get(tgid);
	if (a)
		__sync_fetch_and_add(&a->open, -1);
	like_remove(tgid, line, id);
	like_remove(tgid, received, id);
	if (stated)
		state_drop(id);
	return 0;
}

#endif
