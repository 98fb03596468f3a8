/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Before the bytes of a send leave. Here a request's context is fixed, so that it
 * can go along, or lie ready where the bytes arrive.
 */
#ifndef CLEW_EARLY_H
#define CLEW_EARLY_H

#include "turn.h"

/* Fills h; returns the connection, or 0 if these bytes are none of ours. */
static __always_inline struct conn *hook_open(struct hook *h, struct sock *sk, __u32 slot, __u32 dir)
{
	__u64 id = bpf_get_current_pid_tgid();
	enum transport transport;
	struct target *t;

	h->tgid = id >> 32;
	h->tid = (__u32)id;
	t = target_get(h->tgid);
	if (!t)
		return 0;
	h->target = t->flags;
	transport = sock_transport(sk);
	if (transport == TRANSPORT_OTHER)
		return 0;
	h->sk = (__u64)sk;
	h->slot = slot;
	h->dir = dir;
	h->now = bpf_ktime_get_ns();
	h->transport = transport;
	return conn_make(sk);
}

static __always_inline bool request_may_begin(struct hook *h, const struct conn *c)
{
	int n = buffer_load(h->slot, 0, 0, h->n < WIRE_START ? h->n : WIRE_START);
	int start = n > 0 ? http_start(h->slot, n) : START_NOTHING;

	if (start == START_NOTHING && n > 0 && c->role == ROLE_UNKNOWN)
		start = WIRE_START_OF(wire_start(h->slot, n, wire_size(h)));
	return start == START_REQUEST || start == START_MORE;
}

/* May a request begin at the end of what was sent so far? Then h is about its bytes. */
static __always_inline bool early_open(struct hook *h, struct conn *c)
{
	struct stream *st = &c->out;

	if (st->framing == FRAMING_OPAQUE)
		return false;
	h->seq = write_seq((struct sock *)h->sk);
	h->early = 1;
	if (st->synced && (__s32)(h->seq - st->next_seq) < 0) {
		st->last_ns = h->now;
		return false;
	}
	return st->framing != FRAMING_LENGTH && st->framing != FRAMING_CHUNKED;
}

static __always_inline int early_segment(struct hook *h, struct conn *c)
{
	if (c->out.framing == FRAMING_HEAD || c->wire || request_may_begin(h, c))
		segment(h, c, &c->out);
	return 0;
}

/*
 * A TCP send is about to copy, or to copy more of the same. Only the start of a
 * request is dealt with here, whose mark must be laid before the bytes leave.
 *
 * With `each_turn` the hook runs for every piece that is copied, so that it knows
 * when the last one was: a send may block for long, and once it returns, the
 * other side may long have read.
 */
static __always_inline int on_send_early(struct sock *sk, const struct msghdr *msg, bool each_turn)
{
	struct conn *c = conn_get(sk);
	struct hook h = {};
	struct scratch *s;

	if (c && c->role == ROLE_SERVER) {
		if (each_turn)
			c->copying_ns = bpf_ktime_get_ns();
		return 0;
	}
	c = hook_open(&h, sk, SLOT_EARLY, DIR_OUT);
	s = scratch_get(SLOT_EARLY);
	if (!c || !s || !early_open(&h, c))
		return 0;
	buffer_from_registers(h.slot); /* for the descriptor */
	buffer_from_iter(&s->buf, &msg->msg_iter);
	if (!s->buf.readable)
		return 0;
	h.n = BPF_CORE_READ(msg, msg_iter.count);
	if (outward && !c->outlet.settled && (BPF_CORE_READ(msg, msg_flags) & MSG_ZEROCOPY))
		c->outlet.zero_copy = 1;
	return early_segment(&h, c);
}

#endif
