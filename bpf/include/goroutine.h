/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which goroutine runs, and what it serves. Read from the runtime's g, without
 * a uprobe; the offsets are user space's, by Go version.
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
	__u64 request; /* id of the server request whose head it read last */
	__u64 parent;  /* goid that started it */
};

/*
 * Key: process and goroutine id. Put at every hook that a goroutine passes, so
 * that ancestors are known; LRU: what is evicted costs a link, never makes one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct goroutine_key);
	__type(value, struct goroutine);
} goroutines SEC(".maps");

/* A request may be sent by the child of a child of the handler; few programs go deeper. */
#define ANCESTORS_MAX 4

/* Reads the running goroutine's id and its parent's; returns whether it could. */
static __always_inline bool goroutine_read(const struct target *t, __u64 *goid, __u64 *parent)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 g = 0;

#if defined(__TARGET_ARCH_x86)
	__u64 at = BPF_CORE_READ(task, thread.fsbase) + (__s64)t->go_tls_offset;

	if (bpf_probe_read_user(&g, sizeof(g), (void *)at))
		g = 0;
#else
	g = BPF_CORE_READ((struct pt_regs *)bpf_task_pt_regs(task), regs[28]);
#endif
	if (!g || bpf_probe_read_user(goid, sizeof(*goid), (void *)(g + t->go_goid)) || !*goid ||
	    bpf_probe_read_user(parent, sizeof(*parent), (void *)(g + t->go_parent_goid))) {
		stat_add(STAT_NO_GOROUTINE);
		return false;
	}
	return true;
}

/* Says that the running goroutine serves `request`; 0: only that it exists. */
static __always_inline void goroutine_note(const struct target *t, __u32 tgid, __u64 request)
{
	struct goroutine_key key = { .tgid = tgid };
	struct goroutine g = { .request = request }, *known;

	if (!goroutine_read(t, &key.goid, &g.parent))
		return;
	/* A server's goroutine lives as long as its connection: the entry is there. */
	known = bpf_map_lookup_elem(&goroutines, &key);
	if (!known)
		bpf_map_update_elem(&goroutines, &key, &g, BPF_ANY);
	else if (request)
		known->request = request;
}

/* The open request that the running goroutine or an ancestor serves; 0: none. */
static __noinline __u64 goroutine_request(const struct target *t, __u32 tgid, bool ancestors)
{
	struct goroutine_key key = { .tgid = tgid };
	__u64 parent = 0;

	if (!t || !goroutine_read(t, &key.goid, &parent))
		return 0;
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		struct goroutine *g = bpf_map_lookup_elem(&goroutines, &key);

		if (g) {
			/* What it served last is closed: its ancestors are no better. */
			if (g->request)
				return request_get(g->request) ? g->request : 0;
			parent = g->parent;
		} else if (i > 0) {
			return 0;
		}
		if (!ancestors || !parent)
			return 0;
		key.goid = parent;
	}
	return 0;
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
	request = h->request;
	bpf_map_delete_elem(&handoffs, &key);
	return request_get(request) ? request : 0;
}

#endif
