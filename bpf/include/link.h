/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Connections open, or are looked at again: may they be members, and may they
 * carry options?
 */
#ifndef CLEW_LINK_H
#define CLEW_LINK_H

#include "carry.h"

/* What an agent that writes and reads options must hear of. */
#define OPTION_FLAGS                                                                 \
	(BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG | \
	 BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG)

/* 127.0.0.0/8 or ::1, where rung 0 does it all. */
static __always_inline bool is_loopback(const __u8 *addr)
{
	static const __u8 one[16] = { [15] = 1 };
	static const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !__builtin_memcmp(addr, one, 16) || (!__builtin_memcmp(addr, mapped, 12) && addr[12] == 127);
}

/* May options be sent there, by a process with these flags? */
static __always_inline bool link_carries(__u64 sock, __u32 target)
{
	__u8 addr[16];
	__u16 port;

	if (!(target & TARGET_TCP) || !rung_is_on(RUNG_TCP))
		return false;
	remote_end(sock, addr, &port);
	if (!peer_allowed(addr) || (local_marks && !(target & TARGET_NO_LOCAL) && is_loopback(addr)))
		return false;
	return true;
}

/* Are options not sent there for now? Counted once a connection. */
static __always_inline bool link_refused(__u64 sock, struct conn *c)
{
	__u8 addr[16];
	__u16 port;

	remote_end(sock, addr, &port);
	if (!peer_is_off(addr))
		return false;
	if (!c->outlet.refused)
		stat_add(STAT_OPTION_PEER_OFF);
	c->outlet.refused = 1;
	return true;
}

/* connect() is under way, in the task that called it. */
static __always_inline void link_connects(struct bpf_sock_ops *ops)
{
	__u32 tgid = bpf_get_current_task_btf()->tgid;
	struct sock *sk = link_sock(ops);
	bool join, carries;
	struct target *t = target_get(tgid);
	struct conn *c;

	if (!t || !sk || !(t->flags & TARGET_KNOWN))
		return;
	join = (t->flags & TARGET_HEADERS) && rung_is_on(RUNG_HEADERS) && destination_is_http((__u64)sk);
	carries = link_carries((__u64)sk, t->flags);
	if (!join && !carries)
		return;
	c = conn_make(sk);
	if (!c)
		return;
	c->outlet.member = join ? MEMBER_WANTED : MEMBER_NOT;
	c->outlet.carries = carries && !link_refused((__u64)sk, c);
}

/*
 * Without TCP_NODELAY each element of a message would wait for the acknowledgement
 * of the one before.
 */
static __always_inline bool joined(struct conn *c, long failed)
{
	stat_add(failed ? STAT_JOIN_REFUSED : STAT_JOINED);
	c->outlet.member = failed ? MEMBER_NOT : MEMBER;
	return !failed;
}

static __always_inline void link_connected(struct bpf_sock_ops *ops)
{
	struct conn *c = link_conn(ops);
	int on = 1;

	if (!c)
		return;
	if (!c->id)
		c->id = random_id(bpf_ktime_get_ns());
	if (c->outlet.member == MEMBER_WANTED)
		joined(c, bpf_setsockopt(ops, SOL_TCP, TCP_NODELAY, &on, sizeof(on)) ||
				  bpf_sock_hash_update(ops, &members, &c->id, BPF_NOEXIST));
	if (c->outlet.carries)
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | OPTION_FLAGS);
}

/* The segment that concludes the handshake may carry the first request already. */
static __always_inline void link_accepted(struct bpf_sock_ops *ops)
{
	if (!rung_is_on(RUNG_TCP))
		return;
	bpf_sock_ops_cb_flags_set(ops,
				  ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG);
	option_received(ops);
}

/* From iter/tcp, with the socket locked: a connection that user space was asked to look at. */
static __always_inline void link_settle(struct sock *sk)
{
	struct conn *c = conn_get(sk);
	struct target *t = c ? target_get(c->tgid) : 0;
	int on = 1, flags = OPTION_FLAGS;

	if (!t || c->outlet.settled != 1 || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED)
		return;
	c->outlet.settled = 2;
	if (c->role == ROLE_CLIENT && !c->wire && c->outlet.member == MEMBER_NOT &&
	    (t->flags & TARGET_HEADERS) && rung_is_on(RUNG_HEADERS) && !c->outlet.zero_copy &&
	    c->out.framing != FRAMING_OPAQUE)
		joined(c, bpf_setsockopt(sk, SOL_TCP, TCP_NODELAY, &on, sizeof(on)) ||
				  bpf_map_update_elem(&members, &c->id, sk, BPF_NOEXIST));
	if (c->role == ROLE_CLIENT)
		c->outlet.carries = link_carries((__u64)sk, t->flags) && !link_refused((__u64)sk, c);
	if (c->role == ROLE_CLIENT ? c->outlet.carries : (t->flags & TARGET_TCP) && rung_is_on(RUNG_TCP))
		bpf_setsockopt(sk, SOL_TCP, TCP_BPF_SOCK_OPS_CB_FLAGS, &flags, sizeof(flags));
}

#endif
