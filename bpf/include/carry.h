/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* TCP options (option.h) on segments: sized, written, lost and received. */
#ifndef CLEW_CARRY_H
#define CLEW_CARRY_H

#include "member.h"

static __always_inline struct sock *link_sock(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	return sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
}

static __always_inline struct conn *link_conn(struct bpf_sock_ops *ops)
{
	struct sock *sk = link_sock(ops);

	return sk ? conn_get(sk) : 0;
}

/*
 * How much room options need. Asked twice: for the MSS, where the answer must
 * come before the request is known, since that is computed before its bytes are
 * looked at; and for each segment, where the answer decides. Not in the middle of
 * a body, so that bulk transfers keep their segments whole.
 */
static __always_inline __u32 option_room(const struct bpf_sock_ops *ops, const struct conn *c)
{
	bool mss = ops->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS;

	if (c->outlet.carries) {
		if (mss)
			return c->outlet.option == OPTION_DUE || (c->out.framing != FRAMING_LENGTH &&
								  c->out.framing != FRAMING_CHUNKED)
				       ? OPTION_LEN
				       : 0;
		if (c->outlet.option == OPTION_DUE && ops->snd_nxt == c->outlet.seq && ops->skb_len)
			return OPTION_LEN;
	}
	return c->outlet.hello && (mss || ops->skb_len) ? OPTION_HELLO_LEN : 0;
}

static __always_inline void option_reserve(struct bpf_sock_ops *ops)
{
	struct conn *c = link_conn(ops);
	__u32 room = c ? option_room(ops, c) : 0;

	if (!room || !bpf_reserve_hdr_opt(ops, room, 0))
		return;
	if (ops->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS)
		return;
	stat_add(STAT_OPTION_NO_ROOM);
	c->outlet.option = OPTION_NONE;
}

/* Sequence number of the segment whose header is at hand. */
static __always_inline bool segment_seq(struct bpf_sock_ops *ops, __u32 *seq)
{
	__u8 *header = ops->skb_data;

	if (header + 8 > (__u8 *)ops->skb_data_end)
		return false;
	*seq = __builtin_bswap32(*(__u32 *)(header + 4));
	return true;
}

/* Only the segment that begins with the request, and only the first time. */
static __always_inline void option_write(struct bpf_sock_ops *ops)
{
	struct option o = { .kind = OPTION_KIND, .exid = { OPTION_EXID_HI } };
	struct sock *sk = link_sock(ops);
	struct conn *c = sk ? conn_get(sk) : 0;
	__u8 addr[16];
	__u16 port;
	__u32 seq;

	if (!c || !segment_seq(ops, &seq))
		return;
	if (c->outlet.carries && c->outlet.option == OPTION_DUE && seq == c->outlet.seq) {
		o.len = OPTION_LEN;
		o.exid[1] = c->outlet.context.sampled ? OPTION_EXID_SAMPLED : OPTION_EXID_UNSAMPLED;
		__builtin_memcpy(o.trace_id, c->outlet.context.trace_id, 16);
		__builtin_memcpy(o.span_id, c->outlet.context.span_id, 8);
		if (bpf_store_hdr_opt(ops, &o, OPTION_LEN, 0))
			return; /* no room was reserved: another segment */
		c->outlet.option = OPTION_SENT;
		stat_add(STAT_OPTION_SENT);
		remote_end((__u64)sk, addr, &port);
		peer_heeds(addr, c->outlet.answered ? PEER_SENT : PEER_SENT_SILENT);
	} else if (c->outlet.hello && ops->skb_len > ops->skb_data_end - ops->skb_data) {
		o.len = OPTION_HELLO_LEN;
		o.exid[1] = OPTION_EXID_HELLO;
		if (!bpf_store_hdr_opt(ops, &o, OPTION_HELLO_LEN, 0))
			c->outlet.hello = 0;
	}
}

/* A segment is sent again: now without its option, in case that is what was disliked. */
static __always_inline void option_lost(struct bpf_sock_ops *ops)
{
	struct sock *sk = link_sock(ops);
	struct conn *c = sk ? conn_get(sk) : 0;
	__u8 addr[16];
	__u16 port;

	if (!c || c->outlet.option != OPTION_SENT || ops->args[0] != c->outlet.seq)
		return;
	c->outlet.option = OPTION_NONE;
	stat_add(STAT_OPTION_LOST);
	remote_end((__u64)sk, addr, &port);
	peer_heeds(addr, PEER_LOSES);
}

/* Looks for an option of ours with this ExID; returns its length, or below 0. */
static __always_inline long option_load(struct bpf_sock_ops *ops, struct option *o, __u8 exid)
{
	o->kind = OPTION_KIND;
	o->len = 4; /* of what is searched for: the kind and ExID */
	o->exid[0] = OPTION_EXID_HI;
	o->exid[1] = exid;
	return bpf_load_hdr_opt(ops, o, sizeof(*o), 0);
}

/* The context of the request that begins with this segment becomes its mark. */
static __always_inline void option_mark(struct bpf_sock_ops *ops, struct sock *sk, const struct option *o,
					const __u8 *addr, __u16 port)
{
	struct mark mark = { .time_ns = bpf_ktime_get_ns(), .wire = 1 };
	struct mark_key key = { .port = port };
	struct conn *c;

	if (all_zero(o->trace_id, 16) || all_zero(o->span_id, 8) || !segment_seq(ops, &key.seq)) {
		stat_add(STAT_OPTION_MALFORMED);
		return;
	}
	__builtin_memcpy(key.addr, addr, 16);
	__builtin_memcpy(mark.context.trace_id, o->trace_id, 16);
	__builtin_memcpy(mark.context.span_id, o->span_id, 8);
	mark.context.sampled = o->exid[1] == OPTION_EXID_SAMPLED;
	mark_lay(&key, &mark);
	stat_add(STAT_OPTION_RECEIVED);
	peer_answered(addr);
	c = conn_make(sk);
	if (!c || (ops->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG))
		return;
	c->outlet.hello = 1;
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

/* It is said once a connection, so all that is sent on it from now on is read. */
static __always_inline void hello_received(struct sock *sk, const __u8 *addr)
{
	struct conn *c = conn_get(sk);

	peer_answered(addr);
	if (c)
		c->outlet.answered = 1;
}

/* A segment with an option that the kernel does not know. */
static __always_inline void option_received(struct bpf_sock_ops *ops)
{
	struct sock *sk = link_sock(ops);
	struct option o = {};
	__u8 addr[16];
	__u16 port;
	long len;

	if (!sk)
		return;
	remote_end((__u64)sk, addr, &port);
	len = option_load(ops, &o, OPTION_EXID_HELLO);
	if (len > 0) {
		if (peer_allowed(addr))
			hello_received(sk, addr);
		return;
	}
	len = option_load(ops, &o, OPTION_EXID_SAMPLED);
	if (len == -ENOMSG)
		len = option_load(ops, &o, OPTION_EXID_UNSAMPLED);
	if (len == -ENOMSG)
		return;
	if (!peer_allowed(addr))
		stat_add(STAT_OPTION_FORBIDDEN);
	else if (len != OPTION_LEN)
		stat_add(STAT_OPTION_MALFORMED);
	else
		option_mark(ops, sk, &o, addr, port);
}

#endif
