/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Second pass of scan.h: the fields that decide framing and context, by name. */
#ifndef CLEW_FIELD_H
#define CLEW_FIELD_H

#include "settings.h"
#include "word.h"

/* Headers that may name a parent: bits of formats_read; Go's traceparent.Propagator. */
enum format {
	FORMAT_TRACECONTEXT = 1 << 0, /* traceparent and tracestate */
	FORMAT_B3 = 1 << 1,	      /* b3 */
	FORMAT_B3MULTI = 1 << 2,      /* X-B3-TraceId and its like */
};

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

	s->info.lengths++;
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

/* Keeps the place of a tracestate's value, which begins behind `at`. */
static __always_inline void tracestate(struct scratch *s, __u32 at, __u32 end)
{
	__u32 k = s->info.states;

	at = skip_space(s, at);
	for (int i = 0; i < 4 && end > at; i++) { /* and the CR */
		__u8 c = s->head[(end - 1) & (HEAD_MAX - 1)];

		if (c != '\r' && c != ' ' && c != '\t')
			break;
		end--;
	}
	if (end <= at)
		return;
	if (k < STATES_MAX) {
		s->info.state[k & (STATES_MAX - 1)] = at;
		s->info.state_end[k & (STATES_MAX - 1)] = end;
	}
	s->info.states++;
}

/* Keeps the place of a value of B3, of each name the first: see field(). */
__noinline int b3_field(__u32 slot, __u32 at)
{
	struct scratch *s = scratch_get(slot);
	__u16 *value = 0;
	__u64 a, b;
	__u8 c;

	if (!s)
		return 0;
	a = load_word(s, at) | CASE;
	b = load_word(s, at + 8) | CASE;
	if ((a & 0xffffff) == WORD('b', '3', ':', 0, 0, 0, 0, 0)) {
		value = &s->info.b3;
		at += 3;
	} else if (a == WORD('x', '-', 'b', '3', '-', 't', 'r', 'a') &&
		   (b & 0xffffffffff) == WORD('c', 'e', 'i', 'd', ':', 0, 0, 0)) {
		value = &s->info.b3_traceid;
		at += 13;
	} else if (a == WORD('x', '-', 'b', '3', '-', 's', 'p', 'a') &&
		   (b & 0xffffffff) == WORD('n', 'i', 'd', ':', 0, 0, 0, 0)) {
		value = &s->info.b3_spanid;
		at += 12;
	} else if (a == WORD('x', '-', 'b', '3', '-', 's', 'a', 'm') &&
		   (b & 0xffffffffff) == WORD('p', 'l', 'e', 'd', ':', 0, 0, 0)) {
		value = &s->info.b3_sampled;
		at += 13;
	} else if (a == WORD('x', '-', 'b', '3', '-', 'f', 'l', 'a') &&
		   (b & 0xffffff) == WORD('g', 's', ':', 0, 0, 0, 0, 0)) {
		value = &s->info.b3_flags;
		at += 11;
	}
	if (!value || *value)
		return 0;
	at = skip_space(s, at);
	c = s->head[at & (HEAD_MAX - 1)];
	if (c != '\r' && c != '\n')
		*value = at;
	return 0;
}

/*
 * May the answer be that another protocol is spoken from then on (RFC 9110 7.8)? Not
 * if the value is one of the two that nearly all requests have.
 */
static __always_inline bool connection_stays(const struct scratch *s, __u32 at)
{
	__u64 a, b;

	at = skip_space(s, at);
	a = load_word(s, at) | CASE;
	b = load_word(s, at + 8) | CASE;
	/* The blanks at the end are CR and LF, in "lower case". */
	return (a & 0xffffffffffffff) == WORD('c', 'l', 'o', 's', 'e', '\r' | 0x20, '\n' | 0x20, 0) ||
	       (a == WORD('k', 'e', 'e', 'p', '-', 'a', 'l', 'i') &&
		(b & 0xffffffff) == WORD('v', 'e', '\r' | 0x20, '\n' | 0x20, 0, 0, 0, 0));
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
	} else if ((formats_read & FORMAT_TRACECONTEXT) &&
		   a == WORD('t', 'r', 'a', 'c', 'e', 's', 't', 'a') &&
		   (b & 0xffffff) == WORD('t', 'e', ':', 0, 0, 0, 0, 0)) {
		tracestate(s, at + 11, end);
	} else if (a == WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-') &&
		   (b & 0xffffffffffffff) == WORD('l', 'e', 'n', 'g', 't', 'h', ':', 0)) {
		content_length(s, at + 15);
	} else if (a == WORD('c', 'o', 'n', 'n', 'e', 'c', 't', 'i') &&
		   (b & 0xffffff) == WORD('o', 'n', ':', 0, 0, 0, 0, 0)) {
		if (!connection_stays(s, at + 11))
			s->info.odd |= HEAD_TURNS;
	} else if (a == WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r') &&
		   b == WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n')) {
		/* chunked is always the last coding (RFC 9112 6.1) */
		__u32 tail = end - (s->head[(end - 1) & (HEAD_MAX - 1)] == '\r');

		if (((load_word(s, tail - 7) & 0xffffffffffffff) | (CASE >> 8)) ==
		    WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0))
			s->info.chunked = 1;
	} else if (formats_read & (FORMAT_B3 | FORMAT_B3MULTI)) {
		b3_field(slot, at);
	}
	return 0;
}

#endif
