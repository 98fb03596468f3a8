/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Where a segment belongs in its stream, and how much of a body it holds.
 *
 * Sequence numbers say the first, so bytes that no hook saw (splice, sendfile
 * before 6.5) and sends that are tried again are accounted for exactly.
 */
#ifndef CLEW_STREAM_H
#define CLEW_STREAM_H

#include "exchange.h"

static __always_inline void stream_advance(struct hook *h, struct stream *st, __u64 bytes)
{
	st->bytes += bytes;
	st->last_ns = h->now;
	h->skip += bytes;
	h->n -= bytes;
}

/* Shifts the segment's last bytes into the stream's tail; true if the body ends. */
__noinline int chunked_ends(struct hook *h, struct stream *st)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u64 word, mask = 0xffffffffffULL;
	__u32 take;

	if (!s || !st)
		return 0;
	take = h->n < 5 ? h->n : 5;
	if ((__u32)buffer_load(h->slot, 0, h->skip + h->n - take, take) != take)
		return 0;
	word = load_word(s, 0) & mask;
	if (take < 5)
		word = (word & ((1ULL << (8 * take)) - 1)) << (8 * (5 - take)) |
		       (st->left & mask) >> (8 * take);
	st->left = word;
	return http_last_chunk(word);
}

/* Accounts for body bytes in this segment; true if the message is complete. */
__noinline int body(struct hook *h, struct stream *st)
{
	bool ends = false;
	__u64 take;

	if (!h || !st)
		return 0;
	take = h->n;
	switch (st->framing) {
	case FRAMING_BOUNDARY:
	case FRAMING_OPAQUE:
		return true;
	case FRAMING_LENGTH:
		if (take > st->left)
			take = st->left;
		st->left -= take;
		ends = !st->left;
		break;
	case FRAMING_CHUNKED:
		ends = take && chunked_ends(h, st);
		break;
	default:
		break;
	}
	stream_advance(h, st, take);
	if (ends)
		st->framing = FRAMING_BOUNDARY;
	return ends;
}

/* Bytes that no hook showed. */
static __always_inline void stream_pass(struct hook *h, struct conn *c, struct stream *st, __u32 gap)
{
	if (c->wire) { /* user space sees it by the position */
		st->left += gap;
		stat_add(STAT_NO_BUFFER);
		return;
	}
	st->bytes += gap;
	if (st->framing == FRAMING_LENGTH) {
		if (gap < st->left) {
			st->left -= gap;
		} else {
			st->left = 0;
			message_end(h, c, st);
		}
	} else if (st->framing == FRAMING_HEAD || st->framing == FRAMING_BOUNDARY) {
		st->framing = FRAMING_BOUNDARY;
		st->held = 0;
		stat_add(STAT_NO_BUFFER);
		answer_unseen(c, h->dir);
	}
}

/* Places the segment in its stream; false if all of it was seen before. */
static __always_inline bool stream_place(struct hook *h, struct conn *c, struct stream *st)
{
	__s32 ahead;

	if (!st->synced) {
		st->synced = 1;
		st->next_seq = h->seq;
	}
	ahead = (__s32)(st->next_seq - h->seq);
	if (ahead > 0) { /* an early hook saw them, or a send is tried again */
		if ((__u64)ahead >= h->n) {
			if (st->framing != FRAMING_BOUNDARY)
				st->last_ns = h->now;
			return false;
		}
		h->skip = ahead;
		h->n -= ahead;
	} else if (ahead < 0) {
		stream_pass(h, c, st, -ahead);
	}
	st->next_seq = h->seq + (__u32)(h->skip + h->n);
	return true;
}

#endif
