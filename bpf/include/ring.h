/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The way to user space. */
#ifndef CLEW_RING_H
#define CLEW_RING_H

#include "stats.h"

/*
 * 10,000 records of 400 bytes: 100 ms of 50,000 requests a second, should the
 * agent not run. It counts twice in the agent's resident memory (mapped twice).
 */
#define RING_BYTES (4 << 20)
/* User space looks every 20 ms anyway; waking it costs the traced program 0.6 to 0.9 us. */
#define RING_WAKE_AT (RING_BYTES / 4)

/*
 * Value: struct message with head bytes, or struct lifecycle. Full: the record
 * is lost and counted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

/* Returns 0, or -1 if the record was lost. */
static __always_inline int ring_put(const void *record, __u32 size, bool urgent)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (urgent || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= RING_WAKE_AT)
		flags = BPF_RB_FORCE_WAKEUP;
	if (bpf_ringbuf_output(&events, (void *)record, size, flags)) {
		stat_add(STAT_RING_FULL);
		return -1;
	}
	stat_add(STAT_RECORD);
	return 0;
}

#endif
