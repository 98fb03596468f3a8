/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Members: client sockets whose messages pass an sk_msg program. */
#ifndef CLEW_MEMBER_H
#define CLEW_MEMBER_H

#include "socket.h"

/*
 * Key: connection (conn.id). Put when a connection is established toward a known
 * destination, or by iter/tcp; deleted by user space when it stops being HTTP
 * (EVENT_LEAVE), and by the kernel when it closes. Full: counted, the connection
 * goes without headers. The sk_msg program is attached before any socket is added:
 * it would never run for those already there.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} members SEC(".maps");

/* The TCP socket that the message is of. */
static __always_inline struct sock *member_sock(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;

	return sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
}

/*
 * Makes the message's first bytes, up to `want`, readable in one piece: its first
 * element may be shorter than that (3 % of sends). Returns how many are.
 */
static __always_inline __u32 member_show(struct sk_msg_md *msg, __u32 want)
{
	__u64 shown = (__u64)msg->data_end - (__u64)msg->data;

	if (want > msg->size)
		want = msg->size;
	if (shown < want) {
		if (bpf_msg_pull_data(msg, 0, want, 0))
			return 0;
		shown = (__u64)msg->data_end - (__u64)msg->data;
	}
	return shown > msg->size ? msg->size : shown;
}

/*
 * As on_send_early() does for other sockets: only the start of a request is dealt
 * with. What lies beyond the bytes shown is left to on_send(). Returns the
 * connection if its newest request is due a header.
 */
static __always_inline struct conn *member_follow(struct sk_msg_md *msg, struct sock *sk, struct scratch *s)
{
	struct hook h = {};
	struct conn *c = hook_open(&h, sk, SLOT_MSG, DIR_OUT);

	if (!c || c->role == ROLE_SERVER)
		return 0;
	/* Bytes that only on_send() will see lie between: it goes on from there. */
	if (early_open(&h, c) && (!c->out.synced || h.seq == c->out.next_seq)) {
		h.n = member_show(msg, HEAD_MAX);
		if (!h.n)
			return 0;
		buffer_from_registers(SLOT_MSG); /* for the descriptor */
		buffer_from_kernel(&s->buf, (__u64)msg->data);
		early_segment(&h, c);
	}
	return c->outlet.header == HEADER_NONE ? 0 : c;
}

/* Writes the header due, if the message begins with its request. */
static __always_inline void member_write(struct sk_msg_md *msg, struct sock *sk, struct conn *c, __u32 slot)
{
	__u32 len;

	if (write_seq(sk) != c->outlet.seq)
		return;
	len = member_show(msg, c->outlet.at + 2) ? header_write(msg, c, slot) : 0;
	if (!len) {
		c->outlet.header = HEADER_NONE;
		stat_add(STAT_INJECT_FAILED);
		return;
	}
	if (c->outlet.header == HEADER_DUE) { /* not when the send is tried again */
		c->out.next_seq += len;
		stat_add(STAT_INJECTED);
	}
	c->outlet.header = HEADER_WRITTEN;
}

#endif
