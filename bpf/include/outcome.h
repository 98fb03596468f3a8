/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * How requests of clients fare, by what left with them: so that user space sees
 * if a rung does harm (probes/watchdog.go).
 */
#ifndef CLEW_OUTCOME_H
#define CLEW_OUTCOME_H

#include "option.h"

enum class {
	CLASS_PLAIN,
	CLASS_HEADER, /* rung 1 has written to them */
	CLASS_OPTION, /* rung 2 has */
	CLASS_COUNT,
};

struct outcome {
	__u64 answered;
	__u64 stalled;	  /* of these, after something had to be sent again */
	__u64 unanswered; /* the connection went before */
};

/* Key: enum class. User space reads, nobody deletes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CLASS_COUNT);
	__type(key, enum class);
	__type(value, struct outcome);
} outcomes SEC(".maps");

static __always_inline struct outcome *outcome_of(const struct conn *c)
{
	enum class class = c->outlet.header == HEADER_WRITTEN ? CLASS_HEADER
			   : c->outlet.option == OPTION_SENT  ? CLASS_OPTION
							      : CLASS_PLAIN;

	return bpf_map_lookup_elem(&outcomes, &class);
}

/* How often the socket has sent something again. A slow server is no reason to, a stall is. */
static __always_inline __u32 outcome_retransmits(__u64 sock)
{
	struct tcp_sock *tp = (struct tcp_sock *)sock;

	return BPF_CORE_READ(tp, total_retrans);
}

static __always_inline void outcome_answered(const struct hook *h, const struct conn *c)
{
	struct outcome *o = outcome_of(c);

	if (!o)
		return;
	o->answered++;
	if (has_seq(h) && outcome_retransmits(h->sk) != c->outlet.retransmits)
		o->stalled++;
}

static __always_inline void outcome_unanswered(const struct hook *h, const struct conn *c)
{
	struct outcome *o = outcome_of(c);
	__u8 addr[16];
	__u16 port;

	if (o)
		o->unanswered++;
	if (c->outlet.option != OPTION_SENT || c->outlet.answered)
		return;
	remote_end(h->sk, addr, &port);
	peer_failed(addr);
}

#endif
