/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Heads that came in pieces, until they are whole. */
#ifndef CLEW_HELD_H
#define CLEW_HELD_H

#include "scratch.h"

struct held_key {
	__u64 connection;
	__u32 dir;
	__u32 pad;
};

struct held {
	__u8 bytes[HEAD_MAX];
};

/*
 * Key: connection and direction. Put when a head ends in the middle, taken by
 * the next piece. LRU: 512 unfinished heads at once (2 MiB); one pushed out is
 * counted when its next piece comes, and its message is not seen.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 512);
	__type(key, struct held_key);
	__type(value, struct held);
} heads SEC(".maps");

static __always_inline void held_put(const struct scratch *s, __u64 connection, __u32 dir)
{
	struct held_key key = { .connection = connection, .dir = dir };

	bpf_map_update_elem(&heads, &key, s->head, BPF_ANY);
}

/* Moves the pieces back to head; returns whether they were still there. */
static __always_inline bool held_take(struct scratch *s, __u64 connection, __u32 dir)
{
	struct held_key key = { .connection = connection, .dir = dir };
	struct held *h = bpf_map_lookup_elem(&heads, &key);

	if (!h)
		return false;
	bpf_probe_read_kernel(s->head, HEAD_MAX, h->bytes);
	bpf_map_delete_elem(&heads, &key);
	return true;
}

#endif
