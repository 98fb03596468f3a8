/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which connections may carry context to other hosts. Membership of rung 1 has
 * side effects on a socket, so it is scarce: only clients, only toward where the
 * same program was seen to speak plain HTTP.
 */
#ifndef CLEW_OUTLET_H
#define CLEW_OUTLET_H

#include "agent.h"
#include "hook.h"
#include "uapi.h"

/* Where a program connects to. */
struct destination {
	__u64 inode; /* of the program's executable */
	__u32 device;
	__u16 port;
	__u16 pad;
	__u8 addr[16]; /* IPv4 as v4-mapped IPv6 */
};

/* What it speaks there: HTTP, or anything that members must not, or do badly. */
enum { SPEAKS_HTTP = 1, SPEAKS_OTHERWISE = 2 };

/*
 * Key: who connects where. By executable and not by process, so that programs
 * that fork or run shortly learn too. Put when an answer in HTTP was seen, or
 * something else on a connection that had been HTTP. LRU: evicted, it is learned
 * again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct destination);
	__type(value, __u32);
} destinations SEC(".maps");

struct peer_range {
	__u32 prefix; /* bits that count */
	__u8 addr[16];
};

/*
 * Key: hosts that options are sent to and taken from (CLEW_TCP_OPTION_PEERS).
 * Put by user space before it attaches.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct peer_range);
	__type(value, __u8);
} peer_ranges SEC(".maps");

static __always_inline bool peer_allowed(const __u8 *addr)
{
	struct peer_range key = { .prefix = 128 };

	__builtin_memcpy(key.addr, addr, 16);
	return bpf_map_lookup_elem(&peer_ranges, &key) != 0;
}

/* Fills in address and port of the other end of a TCP socket. */
static __always_inline void remote_end(__u64 sock, __u8 *addr, __u16 *port)
{
	struct sock *sk = (struct sock *)sock;

	__builtin_memset(addr, 0, 16);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
		v4_mapped(addr, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	else
		bpf_core_read(addr, 16, &sk->__sk_common.skc_v6_daddr.in6_u.u6_addr8);
	*port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* Fills in where the running program is connected to by `sock`. */
static __always_inline void destination_of(__u64 sock, struct destination *d)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);

	d->inode = BPF_CORE_READ(inode, i_ino);
	d->device = BPF_CORE_READ(inode, i_sb, s_dev);
	d->pad = 0;
	remote_end(sock, d->addr, &d->port);
}

/* What has once been seen to speak something else stays out. */
static __always_inline void destination_speaks(__u64 sock, __u32 what)
{
	struct destination d = {};
	__u32 *known;

	destination_of(sock, &d);
	known = bpf_map_lookup_elem(&destinations, &d);
	if (!known || (*known != what && *known != SPEAKS_OTHERWISE))
		bpf_map_update_elem(&destinations, &d, &what, BPF_ANY);
}

static __always_inline bool destination_is_http(__u64 sock)
{
	struct destination d = {};
	__u32 *what;

	destination_of(sock, &d);
	what = bpf_map_lookup_elem(&destinations, &d);
	return what && *what == SPEAKS_HTTP;
}

/* Has its owner asked for sending without copying (SO_ZEROCOPY)? */
static __always_inline bool sock_zero_copy(__u64 sock)
{
	struct sock *sk = (struct sock *)sock;

	return BPF_CORE_READ(sk, __sk_common.skc_flags) &
	       (1UL << bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY));
}

#ifdef CLEW_NO_SK_STORAGE
/* kprobe programs share no state with sk_msg and sock_ops. */
#define outlet_proven(h, c) ((void)(h), (void)(c))
#define outlet_leaves(h, c) ((void)(h), (void)(c))
#define outlet_gone(h, c) ((void)(h), (void)(c))
#else
/* With a pointer, so that the type is in the BTF from which Go's is generated. */
static __noinline int settle_put(struct settle *record)
{
	return ring_put(record, sizeof(*record), record->kind == EVENT_LEAVE);
}

static __always_inline int settle_tell(struct hook *h, struct conn *c, enum event_kind kind)
{
	struct settle record = { .kind = kind, .tgid = h->tgid, .connection = c->id };

	return settle_put(&record);
}

/*
 * The connection is known for what it is. If it was opened before its destination
 * was, or before the agent, user space is asked once to have it looked at by
 * iter/tcp (inject.bpf.c).
 */
__noinline int outlet_ask(struct hook *h, struct conn *c)
{
	struct tcp_sock *tp = h ? (struct tcp_sock *)h->sk : 0;
	struct agent *a = agent_get();
	__u8 addr[16];
	__u16 port;
	bool wanted = false;

	if (!h || !c || !a || !has_seq(h) || !(h->target & TARGET_KNOWN))
		return 0;
	if (!(a->rungs & (RUNG_HEADERS | RUNG_TCP)))
		return 0;
	c->outlet.settled = 1;
	if (sock_zero_copy(h->sk))
		c->outlet.zero_copy = 1;
	if (c->role == ROLE_CLIENT && !c->wire)
		destination_speaks(h->sk, c->outlet.zero_copy ? SPEAKS_OTHERWISE : SPEAKS_HTTP);
	if ((a->rungs & RUNG_HEADERS) && (h->target & TARGET_HEADERS) && c->role == ROLE_CLIENT && !c->wire)
		wanted = !c->outlet.member && !c->outlet.zero_copy;
	if ((a->rungs & RUNG_TCP) && (h->target & TARGET_TCP) &&
	    !(BPF_CORE_READ(tp, bpf_sock_ops_cb_flags) & BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG)) {
		remote_end(h->sk, addr, &port);
		wanted |= peer_allowed(addr);
	}
	return wanted ? settle_tell(h, c, EVENT_SETTLE) : 0;
}

/* An exchange was seen on the connection. */
static __always_inline void outlet_proven(struct hook *h, struct conn *c)
{
	if (outward && !c->outlet.settled)
		outlet_ask(h, c);
}

/* The connection is not what it was taken for: it must not be a member any more. */
__noinline int outlet_leaves(struct hook *h, struct conn *c)
{
	if (!h || !c || !c->outlet.member)
		return 0;
	c->outlet.member = MEMBER_NOT;
	return settle_tell(h, c, EVENT_LEAVE);
}

/* It has stopped being HTTP: no connection of this kind may be one. */
__noinline int outlet_gone(struct hook *h, struct conn *c)
{
	if (!h || !c || !outward || c->role != ROLE_CLIENT || !has_seq(h))
		return 0;
	destination_speaks(h->sk, SPEAKS_OTHERWISE);
	return outlet_leaves(h, c);
}
#endif

#endif
