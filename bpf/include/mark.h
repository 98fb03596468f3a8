/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Rung 0 of propagation: both ends of a connection are in this kernel, so the
 * client leaves its context under the sequence number of its request's first
 * byte, and the server, who receives that byte, finds it. Nothing is written to
 * the wire or to a program.
 *
 * The mark must be in the map before the bytes leave, so only hooks that run
 * before the copy may put one (tp_btf/tcp_sendmsg_locked, fentry or kprobe of
 * tcp_sendmsg).
 */
#ifndef CLEW_MARK_H
#define CLEW_MARK_H

#include "agent.h"
#include "trace.h"

/* A request may wait in a listener's backlog; longer, and the number may be another's. */
#define MARK_FRESH_NS (30ULL * 1000000000)

struct mark_key {
	__u8 addr[16]; /* client's, as the server sees it: survives DNAT, not SNAT */
	__u32 seq;
	__u16 port;
	__u16 pad;
};

struct mark {
	struct context context;
	__u64 time_ns;
	__u64 wire; /* it came from another host, by rung 2 */
};

/*
 * Key: where the request's first byte comes from. Put by the client's send,
 * taken by the server's receive. LRU: a mark for another host is never taken
 * and ages out; evicted too early, the server's span has no parent.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct mark_key);
	__type(value, struct mark);
} marks SEC(".maps");

/* Marks have been laid lately: a node with no watched clients need not look for any. */
static __always_inline bool marks_are_about(__u64 now)
{
	struct agent *a = agent_get();

	/* Signed: another CPU may have laid one since the hook began. */
	return a && (__s64)(now - a->last_mark_ns) <= (__s64)MARK_FRESH_NS;
}

/* Every mark goes in here. One of this host wins over one that came by wire. */
static __always_inline int mark_lay(const struct mark_key *key, const struct mark *mark)
{
	struct agent *a = agent_get();

	if (a)
		a->last_mark_ns = mark->time_ns;
	return bpf_map_update_elem(&marks, key, mark, mark->wire ? BPF_NOEXIST : BPF_ANY);
}

/* Leaves the context of the request in the slot's record, which begins at `seq`. */
__noinline int mark_put(__u32 slot, __u32 seq)
{
	struct mark mark = { .time_ns = bpf_ktime_get_ns() };
	struct scratch *s = scratch_get(slot);
	struct mark_key key = { .seq = seq };
	struct message *m;

	if (!s)
		return 0;
	m = &s->msg;
	key.port = m->local_port;
	__builtin_memcpy(key.addr, m->local, 16);
	__builtin_memcpy(mark.context.trace_id, m->trace.trace_id, 16);
	__builtin_memcpy(mark.context.span_id, m->trace.span_id, 8);
	mark.context.sampled = !!(m->flags & MESSAGE_SAMPLED);
	return mark_lay(&key, &mark);
}

/*
 * Takes the mark of the request that begins at `seq` into the slot's other
 * context. Returns what evidence it is, or EVIDENCE_NONE if there was none.
 */
__noinline int mark_take(__u32 slot, __u32 seq)
{
	struct scratch *s = scratch_get(slot);
	struct mark_key key = { .seq = seq };
	struct mark *mark;
	int evidence = EVIDENCE_NONE;

	if (!s)
		return EVIDENCE_NONE;
	key.port = s->msg.remote_port;
	__builtin_memcpy(key.addr, s->msg.remote, 16);
	mark = bpf_map_lookup_elem(&marks, &key);
	if (!mark)
		return EVIDENCE_NONE;
	if (bpf_ktime_get_ns() - mark->time_ns < MARK_FRESH_NS) {
		s->other = mark->context;
		evidence = mark->wire ? EVIDENCE_TCP_OPTION : EVIDENCE_LOCAL;
	} else {
		stat_add(STAT_MARK_STALE);
	}
	bpf_map_delete_elem(&marks, &key);
	return evidence;
}

#endif
