/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Rung 2 of propagation: a TCP option on the segment that begins with a request,
 * for whatever protocol. The receiver makes it the mark that rung 0 would have
 * laid (mark.h).
 *
 * Layout (RFC 6994, experimental options): kind 254, length 28, ExID, trace id,
 * span id. That is all the room there is beside timestamps, so the sampled flag
 * is in the ExID. A second form of four bytes says that an agent is here.
 */
#ifndef CLEW_OPTION_H
#define CLEW_OPTION_H

#include "outlet.h"
#include "uapi.h"

#define OPTION_KIND 254
#define OPTION_LEN 28
#define OPTION_EXID_HI 0xc1
#define OPTION_EXID_UNSAMPLED 0xe0
#define OPTION_EXID_SAMPLED 0xe1
#define OPTION_EXID_HELLO 0xe2
#define OPTION_HELLO_LEN 4

struct option {
	__u8 kind, len, exid[2];
	__u8 trace_id[16];
	__u8 span_id[8];
};

/* What is known of a host that options are sent to, since it last showed that it reads them. */
struct peer {
	__u64 off_until_ns;
	__u64 answers; /* how often it has ever shown that */
	__u32 sent;    /* options */
	__u32 silent;  /* of these, on connections where it has not shown it yet */
	__u32 lost;    /* of all, segments that had to be sent again */
	__u32 pad;
};

/* Losses and silence that make a peer be left alone for PEER_OFF_NS. */
#define PEER_LOST 3
#define PEER_SILENT 128
#define PEER_OFF_NS (600ULL * 1000000000)
/* Of one that reads options, some are lost by chance: so many, and a quarter, are not. */
#define PEER_LOST_MANY 16
#define PEER_LOST_SHARE 4

/*
 * Key: address, IPv4 as v4-mapped IPv6. Put with the first option. LRU: an evicted
 * peer is tried anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u8[16]);
	__type(value, struct peer);
} peers SEC(".maps");

static __always_inline bool peer_is_off(const __u8 *addr)
{
	struct peer *p = bpf_map_lookup_elem(&peers, addr);

	return p && p->off_until_ns > bpf_ktime_get_ns();
}

static __always_inline bool peer_is_bad(const struct peer *p)
{
	if (p->answers)
		return p->lost >= PEER_LOST_MANY && p->lost * PEER_LOST_SHARE >= p->sent;
	return p->lost >= PEER_LOST || p->silent >= PEER_SILENT;
}

enum peer_event {
	PEER_SENT,	  /* an option */
	PEER_SENT_SILENT, /* an option, on a connection where the peer has not answered any */
	PEER_LOSES,	  /* its segment had to be sent again */
};

static __always_inline void peer_heeds(const __u8 *addr, enum peer_event event)
{
	struct peer *p = bpf_map_lookup_elem(&peers, addr), fresh = {};

	if (!p) {
		bpf_map_update_elem(&peers, addr, &fresh, BPF_NOEXIST);
		p = bpf_map_lookup_elem(&peers, addr);
		if (!p)
			return;
	}
	if (event == PEER_LOSES)
		__sync_fetch_and_add(&p->lost, 1);
	else
		__sync_fetch_and_add(&p->sent, 1);
	if (event == PEER_SENT_SILENT)
		__sync_fetch_and_add(&p->silent, 1);
	if (!peer_is_bad(p))
		return;
	p->sent = 0;
	p->silent = 0;
	p->lost = 0;
	p->off_until_ns = bpf_ktime_get_ns() + PEER_OFF_NS;
}

/* The peer has sent an option: it reads them. */
static __always_inline void peer_answered(const __u8 *addr)
{
	struct peer *p = bpf_map_lookup_elem(&peers, addr);

	if (!p)
		return;
	p->sent = 0;
	p->silent = 0;
	p->lost = 0;
	p->off_until_ns = 0;
	p->answers++;
}

/*
 * A connection was lost with the first option on it unanswered: who has never
 * answered any is not asked again for long. It may be how something on the way
 * deals with options.
 */
static __always_inline void peer_failed(const __u8 *addr)
{
	struct peer *p = bpf_map_lookup_elem(&peers, addr);

	if (p && !p->answers)
		p->off_until_ns = bpf_ktime_get_ns() + PEER_OFF_NS;
}

/* The request that begins at `seq` may carry its context: see request_leaves(). */
static __always_inline void option_decide(struct conn *c)
{
	if (c->outlet.option == OPTION_DUE)
		stat_add(STAT_OPTION_OVERTAKEN);
	c->outlet.option = OPTION_NONE;
	/* Its own header says it already, and its own span may be the only one there is. */
	if (c->evidence == EVIDENCE_HEADER)
		return;
	if (c->outlet.carries && rung_is_on(RUNG_TCP))
		c->outlet.option = OPTION_DUE;
}

#endif
