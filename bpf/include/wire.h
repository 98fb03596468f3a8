/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Connections of databases and brokers. The kernel recognises what they speak by
 * the first bytes of a turn, gives each request segment its place in a trace, and
 * hands the bytes on, bounded: framing and meaning are user space's. A wrong guess
 * costs copies, no more: user space looks closer.
 */
#ifndef CLEW_WIRE_H
#define CLEW_WIRE_H

#include "exchange.h"
#include "wires.h"

/* Bytes copied of the end of a long piece: ends of results are told by it. */
#define WIRE_TAIL 128
/* Pieces of HEAD_MAX that are copied of a request: 32 KiB, a batch of some 200 queries. */
#define WIRE_PIECES 8
/*
 * Behind so many bytes of one turn it is a bulk load, or a large result: of segments
 * too long to be captured whole so much of the beginning will do.
 */
#define WIRE_BULK (64 << 10)
#define WIRE_BULK_HEAD 256
/* Request turns in a row that do not begin as they should: then another look. */
#define WIRE_MISSES 8
/* Fewer bytes tell nothing: some servers read the header of a message by itself. */
#define WIRE_HEADER 17
/* Protocols and roles given up on one connection: then it is left alone. */
#define WIRE_DOUBTS 4

static __always_inline __u32 wire_size(const struct hook *h)
{
	return h->n < (1U << 31) ? h->n : 1U << 31;
}

/*
 * Requests and answers may look alike, as in Redis. The side with a port that the
 * kernel gave it (net.ipv4.ip_local_port_range) does not answer.
 */
static __always_inline bool ports_deny(const struct message *m, bool client)
{
	bool local = m->local_port >= 32768, remote = m->remote_port >= 32768;

	return local != remote && local != client;
}

/*
 * Is the turn in scratch, with `held` bytes of an earlier segment, one of a protocol
 * known? Then c->wire and c->role are set.
 */
__noinline int wire_found(struct hook *h, struct conn *c, __u32 held)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	int found;
	bool client;

	if (!s || !c || c->doubts >= WIRE_DOUBTS)
		return 0;
	found = wire_start(h->slot, s->len, wire_size(h) + held);
	if (WIRE_START_OF(found) == START_MORE)
		c->last_dir = 0; /* what follows tells: it counts as a turn of its own */
	if (WIRE_START_OF(found) != START_REQUEST && WIRE_START_OF(found) != START_RESPONSE)
		return 0;
	client = (WIRE_START_OF(found) == START_REQUEST) == (h->dir == DIR_OUT);
	message_addresses(&s->msg, h->sk);
	if (ports_deny(&s->msg, client))
		return 0;
	c->wire = WIRE_OF(found);
	c->role = client ? ROLE_CLIENT : ROLE_SERVER;
	c->misses = 0;
	c->in.left = 0;
	c->out.left = 0;
	c->in.framing = FRAMING_BOUNDARY;
	c->out.framing = FRAMING_BOUNDARY;
	return 1;
}

/* What was taken for the roles or the protocol of a connection was not: begin anew. */
static __always_inline void conn_forget(struct hook *h, struct conn *c)
{
	stat_add(STAT_RESYNC);
	outlet_leaves(h, c);
	request_close(c->request);
	c->request = 0;
	c->role = ROLE_UNKNOWN;
	c->wire = WIRE_NONE;
	c->unanswered = 0;
	c->misses = 0;
	c->doubts++;
	c->lost++; /* what user space still waits for does not come */
}

/* A request turn begins in scratch: is it still what the connection spoke? */
static __always_inline bool wire_fits(struct hook *h, struct conn *c, const struct scratch *s)
{
	int found = wire_start(h->slot, s->len, wire_size(h));

	if (WIRE_OF(found) == c->wire && WIRE_START_OF(found) != START_RESPONSE) {
		c->misses = 0;
		return true;
	}
	if (++c->misses < WIRE_MISSES)
		return true;
	conn_forget(h, c);
	return false;
}

/* Fixes the place in a trace of the request that may begin at `seq`. */
static __always_inline void wire_identity(struct hook *h, struct conn *c, struct scratch *s, __u32 seq,
					  bool turned)
{
	scan_nothing(s);
	s->buf.fd = wire_writer(c->wire);
	s->msg.flags = request_identity(h, c, seq, !turned) ? MESSAGE_SAMPLED : 0;
	__builtin_memcpy(&s->msg.trace, &c->trace, sizeof(c->trace));
	s->msg.evidence = c->evidence;
	c->writer = h->tid;
	if (c->role != ROLE_CLIENT)
		return;
	mark_leave(h, seq);
	if (turned)
		request_leaves(h, c, seq);
}

/* Gives the next piece of the segment to user space; `rest`: all that is left of it. */
__noinline int wire_piece(struct hook *h, struct conn *c, struct stream *st, __u32 kind, bool rest)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u64 size;
	__u32 got, want = HEAD_MAX, tail = 0;

	if (!s || !c || !st)
		return 0;
	size = rest || h->n < HEAD_MAX ? h->n : HEAD_MAX;
	if (size > HEAD_MAX) {
		tail = size - (HEAD_MAX - WIRE_TAIL) < WIRE_TAIL ? 0 : WIRE_TAIL;
		want = st->head_seq < WIRE_BULK ? HEAD_MAX - WIRE_TAIL : WIRE_BULK_HEAD;
	}
	if (want > size)
		want = size;
	got = buffer_load(h->slot, 0, h->skip, want);
	if (got != want) { /* the rest of it is not seen, nor its end */
		tail = 0;
		if (!got)
			stat_add(STAT_NO_BUFFER);
	}
	if (got > HEAD_MAX - WIRE_TAIL && tail)
		tail = 0; /* for the verifier: want was less */
	if (tail)
		tail = buffer_load(h->slot, got, h->skip + size - tail, tail);
	s->msg.position = st->left;
	s->msg.tail_len = tail;
	st->bytes = size;
	st->left += size;
	h->skip += size;
	h->n -= size;
	stat_add(STAT_SEGMENT);
	return message_put(h, c, st, WHAT(kind, s->msg.flags), got + tail);
}

/*
 * The first message, in scratch, came in two segments, of which the first was held:
 * user space gets them as one.
 */
__noinline int wire_joined(struct hook *h, struct conn *c, struct stream *st, __u32 held)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 kind = EVENT_ANSWER;

	if (!s || !c || !st)
		return 0;
	s->msg.flags = 0;
	c->tgid = h->tgid;
	message_addresses(&s->msg, h->sk);
	__builtin_memset(&s->msg.trace, 0, sizeof(s->msg.trace));
	s->msg.evidence = EVIDENCE_NONE;
	if (!carries_responses(c, h->dir)) {
		kind = EVENT_ASK;
		wire_identity(h, c, s, st->head_seq, true);
	}
	st->last_ns = h->now;
	st->bytes = held + h->n;
	st->left = st->bytes;
	st->held = 0;
	st->framing = FRAMING_BOUNDARY;
	s->msg.position = 0;
	s->msg.tail_len = 0;
	h->skip += h->n;
	h->n = 0;
	stat_add(STAT_SEGMENT);
	return message_put(h, c, st, WHAT(kind, s->msg.flags), s->len);
}

/* A segment of a connection that is followed by user space. */
__noinline int wire_segment(struct hook *h, struct conn *c, struct stream *st, bool turned)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 kind = EVENT_ASK, size;
	int pieces;

	if (!s || !c || !st || !h->n)
		return 0;
	s->msg.flags = 0;
	st->first_ns = h->now;
	st->last_ns = h->now;
	if (carries_responses(c, h->dir)) {
		kind = EVENT_ANSWER;
		if (turned) {
			response_threads(h, c);
			outlet_proven(h, c);
		}
		__builtin_memset(&s->msg.trace, 0, sizeof(s->msg.trace));
		s->msg.evidence = EVIDENCE_NONE;
	} else {
		if (turned) {
			s->len = buffer_load(h->slot, 0, h->skip, h->n < WIRE_START ? h->n : WIRE_START);
			if (s->len >= WIRE_HEADER && !wire_fits(h, c, s))
				return 0;
		}
	}
	c->tgid = h->tgid;
	message_addresses(&s->msg, h->sk);
	if (kind == EVENT_ASK)
		wire_identity(h, c, s, h->seq + (__u32)h->skip, turned);
	if (turned)
		st->head_seq = 0;
	pieces = kind == EVENT_ASK && st->head_seq < WIRE_BULK ? WIRE_PIECES : 1;
	size = wire_size(h);
	for (int i = 1; i < WIRE_PIECES && i < pieces && h->n > HEAD_MAX; i++)
		wire_piece(h, c, st, kind, false);
	wire_piece(h, c, st, kind, true);
	if (st->head_seq < 1U << 31)
		st->head_seq += size;
	return 0;
}

#endif
