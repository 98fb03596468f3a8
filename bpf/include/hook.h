/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One run of a hook: whose bytes, of which connection, in which direction. And
 * the record it may give to user space.
 */
#ifndef CLEW_HOOK_H
#define CLEW_HOOK_H

#include "conn.h"
#include "ring.h"
#include "scratch.h"
#include "targets.h"

enum {
	DIR_IN,
	DIR_OUT,
};

enum transport {
	TRANSPORT_OTHER,
	TRANSPORT_TCP,
	TRANSPORT_UNIX,
	TRANSPORT_UDP,
};

/*
 * Numbers only, no pointers: so it can be handed to global functions, which the
 * verifier looks at once each. With static ones it would follow every path from
 * the first byte to the last, and give up.
 */
struct hook {
	__u64 sk; /* address of the struct sock, to be read with bpf_core_read only */
	__u64 now;
	__u64 skip; /* bytes of the buffer that are dealt with */
	__u64 n;    /* bytes after them */
	__u32 slot, dir;
	__u32 tgid, tid;
	__u32 seq;	 /* sequence number of the buffer's first byte */
	__u32 transport; /* enum transport */
	__u32 early;	 /* the bytes have not left yet */
	__u32 target;	 /* enum target_flags of the process */
};

/* Only TCP numbers its bytes. */
static __always_inline bool has_seq(const struct hook *h)
{
	return h->transport == TRANSPORT_TCP;
}

static __always_inline struct stream *stream_of(struct conn *c, __u32 dir)
{
	return dir == DIR_IN ? &c->in : &c->out;
}

/* Do the responses of the connection run in this direction? */
static __always_inline bool carries_responses(const struct conn *c, __u32 dir)
{
	return c->role == (dir == DIR_OUT ? ROLE_SERVER : ROLE_CLIENT);
}

static __always_inline enum transport sock_transport(struct sock *sk)
{
	__u16 family = READ(sk, __sk_common.skc_family);

	__u16 type = READ(sk, sk_type), protocol = READ(sk, sk_protocol);

	if (family == AF_UNIX)
		return type == SOCK_STREAM ? TRANSPORT_UNIX : TRANSPORT_OTHER;
	if (family != AF_INET && family != AF_INET6)
		return TRANSPORT_OTHER;
	if (type == SOCK_STREAM && protocol == IPPROTO_TCP)
		return TRANSPORT_TCP;
	return type == SOCK_DGRAM && protocol == IPPROTO_UDP ? TRANSPORT_UDP : TRANSPORT_OTHER;
}

/* The fields of a TCP socket are beyond struct sock, so not to be read through it. */
static __always_inline __u32 write_seq(struct sock *sk)
{
	return BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
}

static __always_inline void v4_mapped(__u8 *out, __be32 addr)
{
	out[10] = 0xff;
	out[11] = 0xff;
	__builtin_memcpy(out + 12, &addr, 4);
}

/* Fills in where the connection's two ends are. */
static __always_inline void message_addresses(struct message *m, __u64 sock)
{
	struct sock *sk = (struct sock *)sock;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	__builtin_memset(m->local, 0, 32);
	m->local_port = 0;
	m->remote_port = 0;
	if (family == AF_UNIX)
		return;
	if (family == AF_INET) {
		v4_mapped(m->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		v4_mapped(m->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&m->local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&m->remote, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
	m->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	m->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* enum event_kind and enum message_flags in one: a BPF function takes five arguments. */
#define WHAT(kind, flags) ((kind) | (flags) << 8)

/*
 * Gives the record to user space with the first `len` bytes of head. The caller
 * has filled in trace, evidence and addresses of a request. Returns 0, or -1 if
 * the record was lost.
 */
__noinline int message_put(struct hook *h, struct conn *c, struct stream *st, __u32 what, __u32 len)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 kind = what & 0xff;
	struct message *m;
	__u64 size = len;

	if (!s || !c || !st)
		return 0;
	m = &s->msg;
	m->kind = kind;
	m->tgid = c->tgid;
	m->connection = c->id;
	m->first_ns = st->first_ns;
	m->last_ns = st->last_ns;
	m->bytes = st->bytes;
	m->tid = h->tid;
	m->lost = c->lost;
	m->role = c->role;
	m->flags = what >> 8;
	if (h->transport == TRANSPORT_UNIX)
		m->flags |= MESSAGE_UNIX;
	if (h->transport == TRANSPORT_UDP)
		m->flags |= MESSAGE_DATAGRAM;
	if (kind == EVENT_RESPONSE || kind == EVENT_END || kind == EVENT_CLOSE) {
		__builtin_memset(&m->trace, 0, sizeof(m->trace));
		__builtin_memset(m->local, 0, 32);
		m->evidence = EVIDENCE_NONE;
	}
	CLAMP(size, HEAD_MAX);
	m->head_len = size;
	if (ring_put(m, sizeof(*m) + size, false)) {
		c->lost++;
		return -1;
	}
	return 0;
}

#endif
