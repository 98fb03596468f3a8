/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The tracestate that came with an open request, to go on with what the request
 * causes (W3C Trace Context Level 2, 3.3).
 */
#ifndef CLEW_STATE_H
#define CLEW_STATE_H

#include "trace.h"

/* What everybody should be able to pass on (section 3.3.1.5). A power of two. */
#define STATE_MAX 512

struct state {
	__u64 id;  /* of its request */
	__u16 len; /* of bytes; of a kept one never 0 */
	__u8 pad[6];
	__u8 bytes[STATE_MAX]; /* printable; no line end, no zero behind */
};

/*
 * Key: id of the request. Put when a head with a tracestate is complete, deleted when
 * its request closes. LRU: some 1024 at once (0.6 MiB; less if one CPU has many, as
 * each keeps slots in hand). One pushed out, the least used, is not missed: its
 * request goes on with a traceparent alone, as the specification allows.
 *
 * The kernel gives a deleted one's memory to the next at once, whoever still reads it:
 * who has copied the bytes must look whether `id` is still the one asked for.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct state);
} states SEC(".maps");

/*
 * Where one is put together before it is kept, since it is too large for the stack.
 * Key: enum slot, owned as the scratch of that slot is.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOT_COUNT);
	__type(key, __u32);
	__type(value, struct state);
} state_works SEC(".maps");

/* The request's tracestate, or 0. */
static __always_inline struct state *state_get(__u64 id)
{
	return bpf_map_lookup_elem(&states, &id);
}

static __always_inline void state_drop(__u64 id)
{
	bpf_map_delete_elem(&states, &id);
}

enum state_added {
	STATE_NOT_VALID, /* of bytes that no header value may have: drop all */
	STATE_FULL,	 /* the last members are left out */
	STATE_WHOLE,
};

/*
 * Appends the `k`th tracestate field of the head to the work of its slot, or of its
 * list-members those that fit. No branches for the bytes: each would double the
 * verifier's states. Global, so that it is looked at once, with all offsets unknown.
 */
__noinline int state_add(__u32 slot, __u32 k)
{
	struct state *work = bpf_map_lookup_elem(&state_works, &slot);
	struct scratch *s = scratch_get(slot);
	__u32 at, size, n, room, bad = 0, cut = 0;

	if (!work || !s)
		return STATE_NOT_VALID;
	at = s->info.state[k & (STATES_MAX - 1)];
	size = s->info.state_end[k & (STATES_MAX - 1)] - at;
	n = work->len;
	if (n >= STATE_MAX)
		return STATE_FULL;
	CLAMP(n, STATE_MAX - 1); /* idle: the compiler drops a mask here, and the verifier the check */
	if (n) {
		work->bytes[n] = ',';
		cut = n++;
	}
	room = STATE_MAX - n;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < STATE_MAX; i++) {
		__u32 c, comma;

		if (i >= size || i >= room)
			break;
		c = s->head[(at + i) & (HEAD_MAX - 1)];
		work->bytes[(n + i) & (STATE_MAX - 1)] = c;
		bad |= (c - 0x20) | (0x7e - c);	  /* 0x20 to 0x7e: neither is negative */
		comma = -(((c ^ ',') - 1) >> 31); /* all ones, or none */
		cut ^= (cut ^ (n + i)) & comma;
	}
	if (bad >> 31)
		return STATE_NOT_VALID;
	if (size <= room) {
		work->len = n + size;
		return STATE_WHOLE;
	}
	/* What fits may end with a member. */
	work->len = s->head[(at + room) & (HEAD_MAX - 1)] == ',' ? STATE_MAX : cut;
	return STATE_FULL;
}

/*
 * Keeps the tracestate of the scanned head in `slot` for the request `id`: its fields
 * in order, joined by commas; of more than STATE_MAX bytes the last list-members are
 * left out. Returns whether there is one. Global, as scan_head is.
 */
__noinline int state_keep(__u32 slot, __u64 id)
{
	struct state *work = bpf_map_lookup_elem(&state_works, &slot);
	struct scratch *s = scratch_get(slot);
	int added = STATE_WHOLE;

	if (!work || !s || !id || !s->info.states)
		return 0;
	work->id = id;
	work->len = 0;
	for (__u32 k = 0; k < STATES_MAX; k++) {
		if (k >= s->info.states || added != STATE_WHOLE)
			break;
		added = state_add(slot, k);
	}
	if (added == STATE_NOT_VALID || !work->len)
		return 0;
	return !bpf_map_update_elem(&states, &id, work, BPF_ANY);
}

#endif
