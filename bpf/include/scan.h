/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Reading the head of a text message: where it ends, and the few fields that
 * decide framing and context.
 *
 * First pass, eight bytes at a time: find line ends, and note the lines whose
 * first letter is of interest (t and c: traceparent, tracestate, transfer-encoding,
 * content-length; b3 and x-b3- if they are read). Second pass: compare the names of
 * those few lines.
 */
#ifndef CLEW_SCAN_H
#define CLEW_SCAN_H

#include "field.h"

/* What bytes at the start of a turn are. */
enum start {
	START_NOTHING,
	START_UNSEEN, /* the hook does not show the bytes */
	START_MORE,   /* could be one: too few bytes to say */
	START_REQUEST,
	START_RESPONSE,
};

/* No head, or none that is read: nothing of an earlier one may be taken for its own. */
static __always_inline void scan_nothing(struct scratch *s)
{
	__builtin_memset(&s->info, 0, __builtin_offsetof(struct head, state));
}

/* May the line that begins at `at` be one that field() keeps? */
static __always_inline bool is_of_interest(const struct scratch *s, __u32 at)
{
	__u64 w = load_word(s, at) | CASE;
	__u8 first = (__u8)w;

	if (first == 't' || first == 'c')
		return true;
	if ((formats_read & FORMAT_B3) && (w & 0xffffff) == WORD('b', '3', ':', 0, 0, 0, 0, 0))
		return true;
	return (formats_read & FORMAT_B3MULTI) &&
	       (w & 0xffffffffff) == WORD('x', '-', 'b', '3', '-', 0, 0, 0);
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
	/* Only now, with its end, is it known that the line is not of older bytes. */
	first = s->head[start & (HEAD_MAX - 1)];
	if (size == 0 || s->head[(nl - 1) & (HEAD_MAX - 1)] != '\r' || first == ' ' || first == '\t')
		h->odd |= HEAD_ODD;
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
	if (!is_of_interest(s, nl + 1))
		return 0;
	if (h->lines < LINES_MAX) {
		h->line[h->lines & (LINES_MAX - 1)] = nl + 1;
		h->line_end[h->lines & (LINES_MAX - 1)] = 0;
		h->lines++;
	} else {
		h->odd |= HEAD_ODD; /* a second Content-Length may be among the rest */
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
	scan_nothing(s);
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
