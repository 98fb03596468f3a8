/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Open requests of a process that are alike in something that a proxy passes on:
 * the request line, or the context they came with. Where exactly one is, what the
 * proxy sends was caused by it.
 */
#ifndef CLEW_LIKE_H
#define CLEW_LIKE_H

#include "stats.h"

struct like_key {
	__u64 hash;
	__u64 tgid;
};

struct like {
	__u64 ids; /* of the open requests, combined by exclusive or: of one, its id */
	__u64 count;
};

/*
 * Put when such a request opens, deleted when the last one alike closes. Two that
 * open and close at the same moment may leave one out: then a link is missing. Full
 * (8192 kinds of open requests): likewise, counted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct like_key);
	__type(value, struct like);
} likes SEC(".maps");

static __always_inline struct like *like_get(__u32 tgid, __u64 hash)
{
	struct like_key key = { .hash = hash, .tgid = tgid };

	return hash ? bpf_map_lookup_elem(&likes, &key) : 0;
}

static __always_inline void like_add(__u32 tgid, __u64 hash, __u64 id)
{
	struct like_key key = { .hash = hash, .tgid = tgid };
	struct like *l = like_get(tgid, hash), fresh = {};

	if (!hash)
		return;
	if (!l) {
		bpf_map_update_elem(&likes, &key, &fresh, BPF_NOEXIST);
		l = bpf_map_lookup_elem(&likes, &key);
		if (!l) {
			stat_add(STAT_REQUESTS_FULL);
			return;
		}
	}
	__sync_fetch_and_add(&l->count, 1);
	__sync_fetch_and_xor(&l->ids, id);
}

static __always_inline void like_remove(__u32 tgid, __u64 hash, __u64 id)
{
	struct like_key key = { .hash = hash, .tgid = tgid };
	struct like *l = like_get(tgid, hash);

	if (!l)
		return;
	__sync_fetch_and_xor(&l->ids, id);
	if (__sync_fetch_and_add(&l->count, -1) <= 1)
		bpf_map_delete_elem(&likes, &key);
}

#endif
