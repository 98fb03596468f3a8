/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a proxy passes on as it came, as numbers to compare: the request line and
 * the context. Seeded, so that nobody outside can make two that are alike.
 */
#ifndef CLEW_LINE_H
#define CLEW_LINE_H

#include "protocol/http.h"
#include "trace.h"

/* Longer request lines are no evidence: nearly all are shorter, and hashing takes time. */
#define LINE_MAX 1024
/* " HTTP/1.x": a proxy may speak another version to its server. */
#define LINE_VERSION 9

static __always_inline __u64 line_seed(__u64 size)
{
	return mix(mix(id_seed[0] + size) ^ id_seed[1]);
}

/*
 * Hashes the method and target of the request whose scanned head is in `slot`; 0: not
 * a request line, or too long. Global, as scan_head is.
 */
__noinline __u64 line_hash(__u32 slot)
{
	struct scratch *s = scratch_get(slot);
	__u32 size, at;
	__u64 hash;

	if (!s || !http_request_line(s))
		return 0;
	size = s->info.first_line - LINE_VERSION;
	if (size > LINE_MAX)
		return 0;
	hash = line_seed(size);
#pragma clang loop unroll(disable)
	for (at = 0; at < LINE_MAX; at += 8) {
		if (at + 8 > size)
			break;
		hash = mix(hash ^ load_word(s, at));
	}
	hash = mix(hash ^ (load_word(s, size & ~7U) & ((1ULL << 8 * (size & 7)) - 1)));
	return hash ? hash : 1;
}

/* Hashes the ids; never 0. Global for its stack: callers share 512 bytes. */
__noinline __u64 context_hash(const struct context *c)
{
	__u64 hash = line_seed(0), word;

	if (!c)
		return 0;
	/* Trace id and span id, side by side. */
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 3; i++) {
		__builtin_memcpy(&word, c->trace_id + 8 * i, 8);
		hash = mix(hash ^ word);
	}
	return hash ? hash : 1;
}

#endif
