/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What every family of triggers calls: on_recv, on_send, on_send_early, on_state
 * and on_destroy. They differ only in how the kernel tells them of a send.
 */
#ifndef CLEW_SOCKET_H
#define CLEW_SOCKET_H

#include "datagram.h"
#include "early.h"

/* Bytes that have arrived and were not read yet, the FIN not counted. */
static __always_inline __u32 unread(struct sock *sk)
{
	__u32 left = BPF_CORE_READ((struct tcp_sock *)sk, rcv_nxt) -
		     BPF_CORE_READ((struct tcp_sock *)sk, copied_seq);

	return left && (READ(sk, sk_shutdown) & RCV_SHUTDOWN) ? left - 1 : left;
}

/*
 * Sequence number after the last byte read. Reading the last byte in front of a
 * FIN takes the FIN along, which has a number too.
 */
static __always_inline __u32 read_seq(struct sock *sk)
{
	__u32 seq = BPF_CORE_READ((struct tcp_sock *)sk, copied_seq);

	if ((READ(sk, sk_shutdown) & RCV_SHUTDOWN) && seq == BPF_CORE_READ((struct tcp_sock *)sk, rcv_nxt))
		seq--;
	return seq;
}

/* Nothing came, or the connection is gone: a proxy may now turn to another one. */
static __always_inline int on_recv_failed(struct sock *sk)
{
	struct hook h = { .tgid = bpf_get_current_pid_tgid() >> 32 };
	struct target *t = target_get(h.tgid);
	struct conn *c;

	if (!t || !proxy_is_prompt(t->flags))
		return 0;
	h.target = t->flags;
	c = conn_get(sk);
	if (c)
		proxy_receives(&h, c);
	return 0;
}

/* `n` bytes have been received, or with 0 the other side has closed its half. */
static __always_inline int on_recv(struct sock *sk, int n, int flags)
{
	struct hook h = {};
	struct scratch *s;
	struct conn *c;

	if (flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	if (n < 0)
		return on_recv_failed(sk);
	c = hook_open(&h, sk, SLOT_RECV, DIR_IN);
	s = scratch_get(SLOT_RECV);
	if (!c || !s)
		return 0;
	if (n == 0) {
		proxy_receives(&h, c);
		if (c->in.framing == FRAMING_UNTIL_TURN)
			message_end(&h, c, &c->in);
		return 0;
	}
	stat_add(STAT_RECV);
	if (c->in.framing == FRAMING_OPAQUE) {
		proxy_receives(&h, c);
		return 0;
	}
	h.n = n;
	if (has_seq(&h))
		h.seq = read_seq(sk) - n;
	buffer_from_registers(h.slot);
	if (flags & MSG_TRUNC) /* TCP threw them away */
		s->buf.readable = 0;
	if (h.transport == TRANSPORT_UDP)
		return datagram(&h, c, s, &c->in);
	segment(&h, c, &c->in);
	proxy_receives(&h, c);
	return 0;
}

/* `n` bytes have been sent. */
static __always_inline int on_send(struct sock *sk, int n)
{
	struct hook h = {};
	struct scratch *s;
	struct conn *c;

	if (n <= 0)
		return 0;
	c = hook_open(&h, sk, SLOT_SEND, DIR_OUT);
	s = scratch_get(SLOT_SEND);
	if (!c || !s)
		return 0;
	stat_add(STAT_SEND);
	if (c->out.framing == FRAMING_OPAQUE)
		return 0;
	if (c->copying_ns)
		h.now = c->copying_ns;
	c->copying_ns = 0;
	h.n = n;
	if (has_seq(&h))
		h.seq = write_seq(sk) - n;
	buffer_from_registers(h.slot);
	if (h.transport == TRANSPORT_UDP)
		return datagram(&h, c, s, &c->out);
	segment(&h, c, &c->out);
	return 0;
}

/*
 * A client may have received its answer in a way that no hook shows (splice). What
 * a server sends is not looked at: its last send may be in the midst of failing,
 * because the client has gone.
 */
static __always_inline void catch_up(struct sock *sk, struct conn *c, struct hook *h)
{
	__u32 seq = read_seq(sk);

	if (h->dir == DIR_IN && c->in.synced && (__s32)(seq - c->in.next_seq) > 0)
		stream_pass(h, c, &c->in, seq - c->in.next_seq);
}

/* The connection is gone, and with it whatever is unfinished on it. */
static __always_inline int conn_close(struct sock *sk, struct conn *c, struct hook *h)
{
	struct stream *responses = stream_of(c, h->dir);

	catch_up(sk, c, h);
	if (responses->framing == FRAMING_UNTIL_TURN)
		message_end(h, c, responses);
	request_close(c->request);
	c->request = 0;
	if (outward && c->unanswered && c->role == ROLE_CLIENT)
		outcome_unanswered(h, c);
	responses->last_ns = h->now;
	if (responses->announced || (c->unanswered && (c->records & 1)) || (c->blind && c->recorded) ||
	    c->wire)
		message_put(h, c, responses, WHAT(EVENT_CLOSE, 0), 0);
	else if (c->unanswered && keep_errors)
		rescue(h, c, responses, WHAT(EVENT_CLOSE, 0));
	c->unanswered = 0;
	responses->announced = 0;
	conn_del(sk);
	return 0;
}

/* Fills h for a hook that runs in any task, or in none; returns the connection or 0. */
static __always_inline struct conn *state_open(struct hook *h, struct sock *sk)
{
	struct conn *c = conn_get(sk);

	if (!c || c->role == ROLE_UNKNOWN)
		return 0;
	h->sk = (__u64)sk;
	h->slot = SLOT_STATE;
	h->now = bpf_ktime_get_ns();
	h->dir = c->role == ROLE_SERVER ? DIR_OUT : DIR_IN;
	return c;
}

/* The running task connects. For what, is told later by its first request. */
static __always_inline int on_connect(struct sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct target *t = target_get(tgid);
	struct conn *c;

	if (!t || !(t->flags & TARGET_PROXY))
		return 0;
	c = conn_make(sk);
	if (c)
		proxy_connects(t->flags, c);
	return 0;
}

/* A TCP socket changes its state. */
static __always_inline int on_state(struct sock *sk, int state)
{
	struct hook h = {};
	struct conn *c;

	if (state == TCP_SYN_SENT)
		return on_connect(sk);
	if (state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSE)
		return 0;
	c = state_open(&h, sk);
	if (!c)
		return 0;
	if (state != TCP_CLOSE) {
		/* We send no more: the end of a response without a length. */
		if (h.dir == DIR_OUT && c->out.framing == FRAMING_UNTIL_TURN)
			message_end(&h, c, &c->out);
		return 0;
	}
	/* The kernel is done with the connection; its owner may still read what came. */
	if (READ(sk, sk_socket) && unread(sk))
		return 0;
	return conn_close(sk, c, &h);
}

/* A TCP socket is freed. */
static __always_inline int on_destroy(struct sock *sk)
{
	struct hook h = {};
	struct conn *c = state_open(&h, sk);

	return c ? conn_close(sk, c, &h) : 0;
}

#endif
