// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Rungs 1 and 2 of propagation: what is written to the wire.
 *
 * Purpose: give requests of watched clients their context, as a header of plain
 * HTTP/1.x (header.h) or a TCP option (option.h), and read such options.
 *
 * Hooks:
 *   sock_ops       on the cgroups of watched processes: connections open, options
 *       are sized, written, read and lost.
 *   sk_msg         on the sockets in `members`: a send is about to leave. `follow`
 *       also recognises the request, as tcp_sendmsg_locked does for others; that
 *       takes task storage in sk_msg programs (Linux 6.16). `write` leaves it to
 *       fentry of tcp_bpf_sendmsg.
 *   iter/tcp       run by user space: connections older than what is known of
 *       them. Takes lock_sock in the iterator (Linux 6.5, 9378096e8a65).
 *
 * Maps: conns (conn.h), members (below), destinations and peer_ranges (outlet.h),
 * peers (option.h), marks (mark.h).
 *
 * Needs: Linux 5.15 with BTF and cgroup2; TCP_NODELAY from BPF (6.0).
 */
#include "include/link.h"

SEC("sockops")
int sock_ops(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		link_connects(ops);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		link_connected(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		link_accepted(ops);
		break;
	case BPF_SOCK_OPS_PARSE_HDR_OPT_CB:
		option_received(ops);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		option_reserve(ops);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB:
		option_write(ops);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		option_lost(ops);
		break;
	default:
		break;
	}
	return 1;
}

/* One message of a member, its request recognised here. */
SEC("sk_msg")
int follow(struct sk_msg_md *msg)
{
	struct scratch *s = scratch_get(SLOT_MSG);
	struct sock *sk = member_sock(msg);
	struct conn *c;

	if (!s || !sk)
		return SK_PASS;
	/* A send may be preempted here, and another begin on this CPU. */
	if (__sync_lock_test_and_set(&s->busy, 1)) {
		stat_add(STAT_INJECT_BUSY);
		return SK_PASS;
	}
	c = member_follow(msg, sk, s);
	if (c)
		member_write(msg, sk, c, SLOT_MSG);
	s->busy = 0;
	return SK_PASS;
}

/* One message of a member, its request recognised before. */
SEC("sk_msg")
int write(struct sk_msg_md *msg)
{
	struct scratch *s = scratch_get(SLOT_MSG);
	struct sock *sk = member_sock(msg);
	struct conn *c;

	if (!s || !sk)
		return SK_PASS;
	c = conn_get(sk);
	if (!c || c->outlet.header == HEADER_NONE)
		return SK_PASS;
	if (__sync_lock_test_and_set(&s->busy, 1)) {
		stat_add(STAT_INJECT_BUSY);
		return SK_PASS;
	}
	member_write(msg, sk, c, SLOT_MSG);
	s->busy = 0;
	return SK_PASS;
}

/* Looks at one connection of the network namespace that the reader is in. */
SEC("iter/tcp")
int settle(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_sock *tp;

	if (!common)
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (tp)
		link_settle((struct sock *)tp);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
