/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Reading the head of a text message: where it ends, and the few fields that
 * decide framing and context.
 *
 * First pass, eight bytes at a time: find line ends, and note the lines whose
 * first letter is of interest (t and c: traceparent, transfer-encoding,
 * content-length). Second pass: compare the names of those few lines.
 */
#ifndef CLEW_SCAN_H
#define CLEW_SCAN_H

#include "scratch.h"

/* What bytes at the start of a turn are. */
enum start {
	START_NOTHING,
	START_UNSEEN, /* the hook does not show the bytes */
	START_MORE,   /* could be one: too few bytes to say */
	START_REQUEST,
	START_RESPONSE,
};

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

/*
 * Notes the line end at `nl`; returns 1 if it is the empty line that ends the
 * head. Global: see scan_head.
 */
__noinline int line_ends(__u32 slot, __u32 start, __u32 nl)
{
	struct scratch *s = scratch_get(slot);
	__u32 size = nl - start;
	struct head *h;
	__u8 first;

	if (!s)
		return 1;
	h = &s->info;
	first = s->head[(nl + 1) & (HEAD_MAX - 1)] | 0x20;
	if (size == 0 || (size == 1 && s->head[start & (HEAD_MAX - 1)] == '\r')) {
		if (h->first_line) {
			h->end = nl + 1;
			return 1;
		}
	} else if (!h->first_line) {
		h->first_line = size - (s->head[(nl - 1) & (HEAD_MAX - 1)] == '\r');
	}
	if (h->lines && h->line_end[(h->lines - 1) & (LINES_MAX - 1)] == 0)
		h->line_end[(h->lines - 1) & (LINES_MAX - 1)] = nl;
	if ((first == 't' || first == 'c') && h->lines < LINES_MAX) {
		h->line[h->lines & (LINES_MAX - 1)] = nl + 1;
		h->line_end[h->lines & (LINES_MAX - 1)] = 0;
		h->lines++;
	}
	return 0;
}

static __always_inline __u32 skip_space(const struct scratch *s, __u32 at)
{
	for (int i = 0; i < 4; i++) { /* one space is usual, RFC 9110 5.5 allows more */
		__u8 c = s->head[at & (HEAD_MAX - 1)];

		if (c != ' ' && c != '\t')
			break;
		at++;
	}
	return at;
}

static __always_inline void content_length(struct scratch *s, __u32 at)
{
	__u64 n = 0;
	__u32 digits = 0;

	at = skip_space(s, at);
	for (int i = 0; i < 18; i++) { /* 10^18 bytes, and no overflow */
		__u32 d = (__u32)s->head[(at + i) & (HEAD_MAX - 1)] - '0';

		if (d > 9)
			break;
		n = n * 10 + d;
		digits++;
	}
	if (!digits)
		return;
	s->info.content_length = n;
	s->info.has_length = 1;
}

/*
 * Compares the name of the line from `at` to its line end at `end`, and keeps
 * what it says. Global: see scan_head.
 */
__noinline int field(__u32 slot, __u32 at, __u32 end)
{
	struct scratch *s = scratch_get(slot);
	__u64 a, b;

	if (!s)
		return 0;
	a = load_word(s, at) | CASE;
	b = load_word(s, at + 8) | CASE;
	if (a == WORD('t', 'r', 'a', 'c', 'e', 'p', 'a', 'r') &&
	    (b & 0xffffffff) == WORD('e', 'n', 't', ':', 0, 0, 0, 0)) {
		s->info.traceparents++;
		s->info.traceparent = skip_space(s, at + 12);
	} else if (a == WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-') &&
		   (b & 0xffffffffffffff) == WORD('l', 'e', 'n', 'g', 't', 'h', ':', 0)) {
		content_length(s, at + 15);
	} else if (a == WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r') &&
		   b == WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n')) {
		/* chunked is always the last coding (RFC 9112 6.1) */
		__u32 tail = end - (s->head[(end - 1) & (HEAD_MAX - 1)] == '\r');

		if (((load_word(s, tail - 7) & 0xffffffffffffff) | (CASE >> 8)) ==
		    WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0))
			s->info.chunked = 1;
	}
	return 0;
}

/*
 * Words of a head, plus line ends: servers allow some 100 header lines by default
 * (Apache httpd 100, Tomcat 100); of a longer head the rest is not looked at.
 */
#define SCAN_STEPS (HEAD_MAX / 8 + 128)

/*
 * Scans the first `len` bytes of the head in `slot`, and fills its info. Global,
 * so that the verifier looks at it once, with `len` unknown. Each step either
 * loads a word or deals with one line end of it: with two loops in each other,
 * or with offsets the verifier knows, every turn would be a state of its own.
 */
__noinline int scan_head(__u32 slot, __u32 len)
{
	struct scratch *s = scratch_get(slot);
	__u32 at, start, lines;
	__u64 ends = 0;

	if (!s)
		return 0;
	__builtin_memset(&s->info, 0, __builtin_offsetof(struct head, line));
	s->info.has_length = 0;
	s->info.chunked = 0;
	s->info.traceparents = 0;
	if (len > HEAD_MAX)
		len = HEAD_MAX;
	/* Zero, but unknown to compiler and verifier. */
	at = *(volatile __u32 *)&s->info.lines;
	start = at;
	for (int i = 0; i < SCAN_STEPS; i++) {
		__u32 nl;

		if (!ends) {
			if (at >= len)
				break;
			ends = newlines(load_word(s, at));
			at = (at + 8) & (2 * HEAD_MAX - 1); /* the mask is for the verifier */
			continue;
		}
		nl = (at - 8 + lowest(ends)) & (2 * HEAD_MAX - 1);
		ends &= ends - 1;
		if (nl >= len || line_ends(slot, start, nl))
			break;
		start = nl + 1;
	}
	lines = s->info.lines;
	for (__u32 k = 0; k < LINES_MAX; k++) {
		if (k >= lines)
			break;
		if (s->info.line_end[k])
			field(slot, s->info.line[k], s->info.line_end[k]);
	}
	return 0;
}

#endif
