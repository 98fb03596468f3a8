/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * From bytes to messages: the framing of one stream, segment by segment.
 *
 * A segment is what one system call sent or received. It may end a body, hold
 * one or more heads, or be a piece of any of them. Sequence numbers say where
 * it belongs, so bytes that no hook saw (splice, sendfile before 6.5) and sends
 * that are tried again are accounted for exactly.
 */
#ifndef CLEW_TURN_H
#define CLEW_TURN_H

#include "exchange.h"
#include "held.h"

/* A connection whose first turns all begin with nothing known is left alone. */
#define MISSES_MAX 16
/* In one segment: the end of a body, two interim responses, a final one. */
#define STEPS_MAX 4

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
		word = (word & ((1ULL << (8 * take)) - 1)) << (8 * (5 - take)) | (st->left & mask) >> (8 * take);
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
	st->bytes += gap;
	if (st->framing == FRAMING_LENGTH) {
		if (gap < st->left) {
			st->left -= gap;
		} else {
			st->left = 0;
			message_end(h, c, st);
		}
	} else if (st->framing == FRAMING_HEAD) {
		st->framing = FRAMING_BOUNDARY;
		st->held = 0;
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

/* Not the start of anything known. */
static __always_inline int head_missed(struct hook *h, struct conn *c, struct stream *st, bool turned)
{
	st->held = 0;
	st->framing = FRAMING_BOUNDARY;
	h->n = 0;
	if (c->role == ROLE_UNKNOWN && turned && ++c->misses >= MISSES_MAX) {
		stat_add(STAT_GIVEN_UP);
		c->in.framing = FRAMING_OPAQUE;
		c->out.framing = FRAMING_OPAQUE;
	}
	return 0;
}

/* Brings the head's bytes into scratch, behind the pieces held; returns what it is. */
__noinline int head_load(struct hook *h, struct stream *st, __u64 connection)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 at, want = HEAD_FIRST, got;
	int start;

	if (!s || !st)
		return START_NOTHING;
	at = st->held;
	if (at >= HEAD_MAX)
		return START_NOTHING;
	if (at && !held_take(s, connection, h->dir)) {
		stat_add(STAT_HEAD_EVICTED);
		return START_NOTHING;
	}
	if (want > h->n)
		want = h->n;
	if (want > HEAD_MAX - at)
		want = HEAD_MAX - at;
	got = buffer_load(h->slot, at, h->skip, want);
	if (!got) {
		stat_add(STAT_NO_BUFFER);
		return START_NOTHING;
	}
	s->len = at + got;
	start = http_start(h->slot, s->len);
	if (start == START_NOTHING || start == START_MORE) {
		s->info.end = 0;
		return start;
	}
	scan_head(h->slot, s->len);
	if (!s->info.end && got == want && h->n > got && s->len < HEAD_MAX) {
		want = HEAD_MAX - s->len;
		if (want > h->n - got)
			want = h->n - got;
		s->len += buffer_load(h->slot, s->len, h->skip + got, want);
		scan_head(h->slot, s->len);
	}
	if (start == START_REQUEST && s->info.first_line && !http_request_line(s))
		return START_NOTHING;
	return start;
}

/* The other side spoke: a body whose end only that shows is over. */
static __always_inline void response_turned(struct hook *h, struct conn *c)
{
	struct stream *responses = stream_of(c, !h->dir);

	if (responses->framing != FRAMING_UNTIL_TURN)
		return;
	h->dir = !h->dir;
	message_end(h, c, responses);
	h->dir = !h->dir;
}

/* A request's complete (or too long) head is in scratch. */
static __always_inline int request_head(struct hook *h, struct conn *c, struct stream *st,
					const struct scratch *s)
{
	bool extra;

	response_turned(h, c);
	http_request_body(st, &s->info);
	extra = st->framing == FRAMING_BOUNDARY ? h->n > 0 :
						  st->framing == FRAMING_LENGTH && h->n > st->left;
	/* The identity first: the body may load its own last bytes over the head. */
	request_begin(h, c, st, extra);
	if (st->framing != FRAMING_OPAQUE && body(h, st))
		message_end(h, c, st);
	return 0;
}

/* The same for a response. Returns whether to look further, as behind an interim one. */
static __always_inline int response_head(struct hook *h, struct conn *c, struct stream *st,
					 struct scratch *s)
{
	struct asked asked = { .status = http_status(s) };
	__u64 first = *(__u64 *)s->head;

	if (asked.status / 100 == 1 && asked.status != 101) {
		st->framing = FRAMING_BOUNDARY;
		return 1;
	}
	request_answered(c, &asked);
	http_response_body(st, &s->info, asked.status, asked.head, asked.connect);
	if (st->framing == FRAMING_OPAQUE) { /* from here on another protocol is spoken */
		c->in.framing = FRAMING_OPAQUE;
		c->out.framing = FRAMING_OPAQUE;
		h->n = 0;
	}
	asked.complete = body(h, st);
	*(__u64 *)s->head = first; /* chunked_ends() uses these bytes */
	return response_begin(h, c, st, &asked);
}

/* A message may begin at h->skip. Returns whether there is more to look at. */
__noinline int head(struct hook *h, struct conn *c, struct stream *st, bool turned)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 at, role;
	int start, more = 0;

	if (!s || !c || !st)
		return 0;
	at = st->held;
	if (c->role == ROLE_UNKNOWN && !turned && !at) {
		h->n = 0; /* mid-turn of a connection not known yet */
		return 0;
	}
	if (!at) {
		st->first_ns = h->now;
		st->head_seq = h->seq + (__u32)h->skip;
		st->bytes = 0;
	}
	start = head_load(h, st, c->id);
	if (start == START_NOTHING)
		return head_missed(h, c, st, turned);
	if (!s->info.end && s->len < HEAD_MAX) {
		held_put(s, c->id, h->dir);
		st->held = s->len;
		st->framing = FRAMING_HEAD;
		stream_advance(h, st, h->n);
		return 0;
	}
	if (!s->info.end)
		stat_add(STAT_HEAD_TOO_LONG);
	role = (start == START_REQUEST) == (h->dir == DIR_IN) ? ROLE_SERVER : ROLE_CLIENT;
	if (c->role != ROLE_UNKNOWN && c->role != role)
		return head_missed(h, c, st, turned);
	c->role = role;
	st->held = 0;
	stream_advance(h, st, s->info.end > at ? s->info.end - at : h->n);
	if (start == START_REQUEST)
		request_head(h, c, st, s);
	else if (response_head(h, c, st, s) > 0)
		more = 1;
	if (!more)
		h->n = 0;
	return more;
}

/* Takes one step through the segment. Returns whether there is more to look at. */
static __always_inline int step(struct hook *h, struct conn *c, struct stream *st, bool turned)
{
	switch (st->framing) {
	case FRAMING_OPAQUE:
		return 0;
	case FRAMING_UNTIL_TURN:
		if (turned) {
			message_end(h, c, st);
			return 1;
		}
		body(h, st);
		return 0;
	case FRAMING_CHUNKED:
		/* Its end was missed (trailers), but it was answered: look again. */
		if (turned && !c->unanswered && !carries_responses(c, h->dir)) {
			stat_add(STAT_RESYNC);
			st->framing = FRAMING_BOUNDARY;
			return 1;
		}
		if (body(h, st))
			message_end(h, c, st);
		return 0;
	case FRAMING_LENGTH:
		if (body(h, st))
			message_end(h, c, st);
		return 1;
	default:
		return head(h, c, st, turned);
	}
}

/* Follows the stream through the segment h describes. */
__noinline int segment(struct hook *h, struct conn *c, struct stream *st)
{
	bool turned;

	if (!h || !c || !st)
		return 0;
	turned = c->last_dir != h->dir + 1;
	if (!c->id)
		c->id = random_id(h->now);
	if (!h->no_seq && !stream_place(h, c, st))
		return 0;
	c->last_dir = h->dir + 1;
	for (int i = 0; i < STEPS_MAX; i++)
		if (!h->n || !step(h, c, st, turned))
			break;
	return 0;
}

#endif
