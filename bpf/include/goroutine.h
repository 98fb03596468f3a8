/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which goroutine runs, and what it serves. Read from the runtime's g, without
 * a uprobe; the offsets are user space's, by Go version.
 *
 * A goroutine serves the request whose head it read last. One that was started
 * while its parent served a request works for that request, for good. But a
 * connection's goroutine serves one request after the other, and a goroutine
 * started during the first may still be there during the second: so that it was
 * started since must be proved. The ids prove it. They are handed out from a
 * cache of 16 for each P, refilled from runtime.sched.goidgen; when a head is
 * read, the ids left in the P's cache are unused, and those above goidgen are not
 * handed out at all. A child with such an id is younger than the head.
 */
#ifndef CLEW_GOROUTINE_H
#define CLEW_GOROUTINE_H

#include "buffer.h"
#include "request.h"
#include "targets.h"

struct goroutine_key {
	__u64 goid; /* never used again by the process */
	__u32 tgid;
	__u32 pad;
};

struct goroutine {
	__u64 request;	 /* id of the server request that it works for, or did last */
	__u64 fresh;	 /* ids from here on were unused when the head was read, ... */
	__u64 fresh_end; /* ... up to here; both 0: started for the request, as are its children */
	__u64 unborn;	 /* ids above were not handed out then */
};

/*
 * Key: process and goroutine id. Put when a goroutine reads a head, and when it
 * sends for the request that it was started for. LRU: what is evicted costs a
 * link, never makes one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct goroutine_key);
	__type(value, struct goroutine);
} goroutines SEC(".maps");

static __always_inline __u64 user_word(__u64 at)
{
	__u64 v = 0;

	if (!at || bpf_probe_read_user(&v, sizeof(v), (void *)at))
		return 0;
	return v;
}

/* Address of the running goroutine's g; 0: there is none. */
static __always_inline __u64 goroutine_g(const struct target *t)
{
	struct task_struct *task = bpf_get_current_task_btf();

	(void)t;
#if defined(__TARGET_ARCH_x86)
	return user_word(BPF_CORE_READ(task, thread.fsbase) + (__s64)t->go_tls_offset);
#else
	return BPF_CORE_READ((struct pt_regs *)bpf_task_pt_regs(task), regs[28]);
#endif
}

/* Id of the goroutine; 0: not readable, or the scheduler's own stack. */
static __always_inline __u64 goroutine_id(const struct target *t, __u64 g)
{
	__u64 goid = g ? user_word(g + t->go_goid) : 0;

	if (!goid)
		stat_add(STAT_NO_GOROUTINE);
	return goid;
}

#define GOID_BATCH 16 /* runtime's _GoidCacheBatch */

/*
 * Notes which ids are unused now. In a system call m.p is empty and m.oldp has
 * the P, which may be at work elsewhere by now: two words that are further apart
 * than a batch were not read together, and prove nothing.
 */
static __always_inline void unused_ids(const struct target *t, __u64 g, struct goroutine *out)
{
	__u64 m, p, first, end, gen;

	out->fresh = 1; /* an empty range */
	out->fresh_end = 1;
	out->unborn = ~0ULL;
	if (!t->go_ids.m)
		return;
	m = user_word(g + t->go_ids.m);
	if (!m)
		return;
	p = user_word(m + t->go_ids.p);
	if (!p)
		p = user_word(m + t->go_ids.old_p);
	if (p) {
		first = user_word(p + t->go_ids.goidcache);
		end = user_word(p + t->go_ids.goidcache + 8);
		if (first && end - first <= GOID_BATCH) {
			out->fresh = first;
			out->fresh_end = end;
		}
	}
	gen = user_word(t->go_ids.goidgen);
	if (gen)
		out->unborn = gen;
}

/* The running goroutine serves `request`. */
static __always_inline void goroutine_serves(const struct target *t, __u32 tgid, __u64 request)
{
	__u64 at = goroutine_g(t);
	struct goroutine_key key = { .tgid = tgid };
	struct goroutine g = { .request = request }, *known;

	key.goid = goroutine_id(t, at);
	if (!key.goid)
		return;
	unused_ids(t, at, &g);
	/* A server's goroutine lives as long as its connection: the entry is there. */
	known = bpf_map_lookup_elem(&goroutines, &key);
	if (known)
		*known = g;
	else
		bpf_map_update_elem(&goroutines, &key, &g, BPF_ANY);
}

/*
 * The open request that the running goroutine works for; 0: none. With `parents`,
 * also if it was started for it, else only if it is known to. Static: a uprobe
 * calls it with preemption off, and then 6.12 allows no global function.
 */
static __noinline __u64 goroutine_request(__u32 tgid, bool parents)
{
	const struct target *t = target_get(tgid);
	struct goroutine_key key = { .tgid = tgid };
	struct goroutine *g, child = {};
	__u64 at, goid;

	if (!t)
		return 0;
	at = goroutine_g(t);
	goid = goroutine_id(t, at);
	if (!goid)
		return 0;
	key.goid = goid;
	g = bpf_map_lookup_elem(&goroutines, &key);
	if (g)
		return request_get(g->request) ? g->request : 0;
	if (!parents)
		return 0;
	key.goid = user_word(at + t->go_parent_goid);
	g = bpf_map_lookup_elem(&goroutines, &key);
	if (!g || !request_get(g->request))
		return 0;
	if (g->fresh && !(goid >= g->fresh && goid < g->fresh_end) && goid <= g->unborn) {
		stat_add(STAT_AMBIGUOUS);
		return 0;
	}
	child.request = g->request;
	key.goid = goid;
	bpf_map_update_elem(&goroutines, &key, &child, BPF_ANY);
	return child.request;
}

struct handoff_key {
	__u32 tgid;
	__s32 fd;
};

struct handoff {
	__u64 request; /* id of the open request; 0: the asker serves none */
	__u64 time_ns;
};

/*
 * net/http's client writes from a goroutine of its own. Key: process and file
 * descriptor that the request will be written to. Put by the uprobe in go.bpf.c
 * in the goroutine that asks, taken by the write. LRU: a request that is never
 * written ages out.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct handoff_key);
	__type(value, struct handoff);
} handoffs SEC(".maps");

/* The write follows within microseconds. Later, the descriptor may be another's. */
#define HANDOFF_FRESH_NS 1000000000ULL

static __always_inline void handoff_put(__u32 tgid, __s32 fd, __u64 request)
{
	struct handoff_key key = { .tgid = tgid, .fd = fd };
	struct handoff h = { .request = request, .time_ns = bpf_ktime_get_ns() };

	bpf_map_update_elem(&handoffs, &key, &h, BPF_ANY);
}

/* The open request on whose behalf `fd` is written; 0: none or unknown. */
static __always_inline __u64 handoff_take(__u32 tgid, __s32 fd)
{
	struct handoff_key key = { .tgid = tgid, .fd = fd };
	struct handoff *h = bpf_map_lookup_elem(&handoffs, &key);
	__u64 request;

	if (!h)
		return 0;
	request = bpf_ktime_get_ns() - h->time_ns < HANDOFF_FRESH_NS ? h->request : 0;
	bpf_map_delete_elem(&handoffs, &key);
	return request_get(request) ? request : 0;
}

#endif
