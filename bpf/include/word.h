/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Eight bytes of a head at a time. */
#ifndef CLEW_WORD_H
#define CLEW_WORD_H

#include "scratch.h"

#define ONES 0x0101010101010101ULL
#define LOWS 0x7f7f7f7f7f7f7f7fULL
#define CASE 0x2020202020202020ULL

/* Eight bytes as a number, for comparisons; letters in lower case. */
#define WORD(a, b, c, d, e, f, g, h)                                                             \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/* 0x80 in each byte of w that is '\n'; exact, no carries (Hacker's Delight 6-1). */
static __always_inline __u64 newlines(__u64 w)
{
	__u64 x = w ^ (ONES * '\n');

	return ~(((x & LOWS) + LOWS) | x | LOWS);
}

/* Number of the lowest byte set by newlines(): 0 to 7. BPF has no such instruction. */
static __always_inline __u32 lowest(__u64 t)
{
	return ((((t & -t) >> 7) * 0x0001020304050607ULL) >> 56) & 7;
}

static __always_inline __u64 load_word(const struct scratch *s, __u32 at)
{
	return *(const __u64 *)&s->head[at & (HEAD_MAX - 1)];
}

#endif
