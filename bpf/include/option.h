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

/* What is known of a host that options are sent to. */
struct peer {
	__u64 off_until_ns;
	__u32 sent;    /* options since it last showed that it reads them */
	__u32 lost;    /* of these, segments that had to be sent again */
	__u64 answers; /* options it has sent */
};

/* Losses and silence that make a peer be left alone for PEER_OFF_NS. */
#define PEER_LOST 3
#define PEER_SILENT 128
#define PEER_OFF_NS (600ULL * 1000000000)

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

/* An option has been sent to the peer, or had to be sent again. */
static __always_inline void peer_bothered(const __u8 *addr, bool again)
{
	struct peer *p = bpf_map_lookup_elem(&peers, addr), fresh = {};

	if (!p) {
		bpf_map_update_elem(&peers, addr, &fresh, BPF_NOEXIST);
		p = bpf_map_lookup_elem(&peers, addr);
		if (!p)
			return;
	}
	if (again)
		__sync_fetch_and_add(&p->lost, 1);
	else
		__sync_fetch_and_add(&p->sent, 1);
	if (p->lost < PEER_LOST && p->sent < PEER_SILENT)
		return;
	p->sent = 0;
	p->lost = 0;
	p->off_until_ns = bpf_ktime_get_ns() + PEER_OFF_NS;
}

/* The peer has sent an option: it reads them, so whatever is lost is lost by chance. */
static __always_inline void peer_answered(const __u8 *addr)
{
	struct peer *p = bpf_map_lookup_elem(&peers, addr);

	if (!p)
		return;
	p->sent = 0;
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
