/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * From bytes to messages, segment by segment: what one system call sent or
 * received may end a body, hold one or more heads, or be a piece of any of them.
 */
#ifndef CLEW_TURN_H
#define CLEW_TURN_H

#include "held.h"
#include "stream.h"
#include "wire.h"

/* In one segment: the end of a body, two interim responses, a final one. */
#define STEPS_MAX 4

/* Heads in a row that contradict the role: one may be a body, three are not. */
#define ROLE_DOUBT 3

/* Not the start of anything known. */
static __always_inline int head_missed(struct hook *h, struct conn *c, struct stream *st, bool turned)
{
	if (c->role == ROLE_UNKNOWN && h->dir == DIR_IN)
		proxy_blind(h, c);
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
		return START_UNSEEN;
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
	extra = st->framing == FRAMING_BOUNDARY ? h->n > 0 : st->framing == FRAMING_LENGTH && h->n > st->left;
	/* The identity first: the body may load its own last bytes over the head. */
	request_begin(h, c, st, extra);
	if (st->framing != FRAMING_OPAQUE && body(h, st))
		message_end(h, c, st);
	return 0;
}

/* The same for a response. Returns whether to look further, as behind an interim one. */
static __always_inline int response_head(struct hook *h, struct conn *c, struct stream *st, struct scratch *s)
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
		outlet_gone(h, c);
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
	if (c->role == ROLE_UNKNOWN && turned)
		at = st->held = 0; /* of an earlier turn */
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
	if (start == START_UNSEEN)
		answer_unseen(c, h->dir);
	if (start == START_NOTHING && c->role == ROLE_UNKNOWN && (turned || at)) {
		if (wire_found(h, c, at))
			return at ? wire_joined(h, c, st, at) : 0; /* segment() goes on with it */
		if (s->len < WIRE_HEADER && s->len == at + h->n && h->dir == DIR_IN)
			start = START_MORE;
	}
	if (start == START_NOTHING || start == START_UNSEEN)
		return head_missed(h, c, st, turned || at);
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
	if (c->role != ROLE_UNKNOWN && c->role != role) {
		if (++c->misses >= ROLE_DOUBT)
			conn_forget(h, c);
		return head_missed(h, c, st, turned);
	}
	c->role = role;
	c->misses = 0;
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
	if (has_seq(h) && !stream_place(h, c, st))
		return 0;
	c->last_dir = h->dir + 1;
	for (int i = 0; i < STEPS_MAX; i++)
		if (c->wire || !h->n || !step(h, c, st, turned))
			break;
	if (c->wire)
		wire_segment(h, c, st, turned);
	return 0;
}

#endif
