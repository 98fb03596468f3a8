/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Counters: everything that was seen, kept and lost in the kernel, by reason.
 *
 * One slot an enum value, one copy a CPU, summed when the metrics are read.
 * A test compares this enum with the table in probes/stats.go.
 */
#ifndef CLEW_STATS_H
#define CLEW_STATS_H

#include "kernel.h"

enum stat {
	STAT_SEND,		    /* sends of watched processes */
	STAT_RECV,		    /* receives of watched processes */
	STAT_REQUEST,		    /* request heads recognised */
	STAT_RESPONSE,		    /* final response heads recognised */
	STAT_RECORD,		    /* records given to the ring */
	STAT_UNSAMPLED,		    /* requests not recorded by decision of the sampler */
	STAT_RESCUED,		    /* unsampled requests recorded as errors or slow */
	STAT_OVER_BUDGET,	    /* roots not sampled because the budget per second was spent */
	STAT_RING_FULL,		    /* records lost: user space reads too slowly */
	STAT_READ_FAULT,	    /* user memory not readable at the hook: head not seen */
	STAT_NO_BUFFER,		    /* the hook does not show the bytes (io_uring, recvmmsg, splice) */
	STAT_COMPAT,		    /* system calls of 32-bit programs: not decoded */
	STAT_NO_STORAGE,	    /* no memory for the state of a connection or thread */
	STAT_HEAD_TOO_LONG,	    /* heads longer than HEAD_MAX, parsed as far as that */
	STAT_HEAD_EVICTED,	    /* unfinished heads pushed out by others */
	STAT_RESYNC,		    /* connections whose framing was lost and found again */
	STAT_GIVEN_UP,		    /* connections that speak nothing known */
	STAT_PIPELINE_DEEP,	    /* more than 32 unanswered requests on a connection */
	STAT_UNMATCHED_RESPONSE,    /* responses with no request seen before */
	STAT_REQUESTS_FULL,	    /* open requests beyond the map's size: nobody's parent */
	STAT_MALFORMED_TRACEPARENT, /* ignored as W3C says */
	STAT_DUPLICATE_TRACEPARENT, /* ignored as W3C says */
	STAT_EVIDENCE_CONFLICT,	    /* two kinds of evidence disagreed: the stronger won */
	STAT_MARK_STALE,	    /* a mark was found but did not fit in time: not used */
	STAT_AMBIGUOUS,		    /* no parent: several requests could have been it */
	STAT_MULTIPLEXED,	    /* no parent: the thread is known to serve several at once */
	STAT_NO_GOROUTINE,	    /* a Go program whose goroutine could not be read */
	STAT_SEGMENT,		    /* sends and receives of databases and brokers, given to user space */
	STAT_NO_HANDOFF,	    /* a Go client connection of a kind whose descriptor is not found */
	STAT_INJECTED,		    /* requests given a traceparent (rung 1) */
	STAT_INJECT_OWN_HEADER,	    /* not given one: the program sent its own */
	STAT_INJECT_SPLIT,	    /* not: the head does not begin and end in one message */
	STAT_INJECT_PIPELINED,	    /* not: it follows another that is not answered */
	STAT_INJECT_ODD,	    /* not: CONNECT, or a head that parsers read differently */
	STAT_INJECT_IN_FLIGHT,	    /* not: bytes sent before are not acknowledged */
	STAT_INJECT_NO_ROOM,	    /* not: it would not fit in the first segment */
	STAT_INJECT_BUSY,	    /* not: the CPU's working memory was in use */
	STAT_INJECT_FAILED,	    /* not: the kernel refused, the bytes passed as they were */
	STAT_JOINED,		    /* sockets that became members */
	STAT_JOIN_REFUSED,	    /* not: the kernel refused (another owner, no memory) */
	STAT_OPTION_SENT,	    /* requests with a TCP option (rung 2) */
	STAT_OPTION_RECEIVED,	    /* options that named a request's context */
	STAT_OPTION_NO_ROOM,	    /* not sent: the header is full */
	STAT_OPTION_OVERTAKEN,	    /* not sent: the next request came before the segment left */
	STAT_OPTION_LOST,	    /* segments with an option that had to be sent again, without it */
	STAT_OPTION_PEER_OFF,	    /* connections without: the peer loses or never answers them */
	STAT_OPTION_FORBIDDEN,	    /* received from outside the allowed peers: ignored */
	STAT_OPTION_MALFORMED,	    /* of wrong length or without ids: ignored */
	STAT_OPTION_PIPELINED,	    /* received for a request that others may share: ignored */
	STAT_MALFORMED_B3,	    /* ignored likewise */
	STAT_COUNT,
};

/*
 * Key: enum stat. Value: count. User space reads, nobody deletes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAT_COUNT);
	__type(key, enum stat);
	__type(value, __u64);
} stats SEC(".maps");

static __always_inline void stat_add(enum stat which)
{
	__u64 *n = bpf_map_lookup_elem(&stats, &which);

	if (n)
		(*n)++;
}

#endif
