/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Proxies: one thread passes many requests on, so neither thread nor goroutine
 * tells which one it sends. What it sends does: it is what came in.
 *
 * A line alone would deceive where a proxy rewrites targets, and one is rewritten
 * to what another client asks for at that moment; or where it asks for something
 * itself (health checks). So besides the line being that of exactly one open
 * request, and never seen without any,
 *   - nginx, which deals with one event to its end before the next, must have read
 *     that very request last, or when it opened this connection, and not have slept
 *     since: what a timer wakes was read long before. And it sends it on once: what
 *     is tried again elsewhere has no parent;
 *   - of others, which read many and then send many, it must be the only one open.
 * And the process must not serve connections that cannot be read (TLS): what they
 * ask for is unknown.
 */
#ifndef CLEW_PROXY_H
#define CLEW_PROXY_H

#include "hook.h"
#include "line.h"
#include "request.h"
#include "thread.h"

/* So long an unknown turn of a connection older than the agent makes a proxy blind. */
#define BLIND_NS (60ULL * 1000000000)

/*
 * Key: a line that a proxy sent when no open request had it: it makes such requests
 * itself, or rewrites others to it. Value: unused. LRU: lines of a rewritten target
 * are many, and each is of use while it is asked for.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct like_key);
	__type(value, __u8);
} own_lines SEC(".maps");

/* Does it deal with each event to its end? */
static __always_inline bool proxy_is_prompt(__u32 target)
{
	return (target & TARGET_PROXY) && !(target & TARGET_MULTIPLEXES);
}

/* The running thread of a proxy has received: from a client more of a request, or from elsewhere. */
static __always_inline void proxy_receives(const struct hook *h, const struct conn *c)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *th;

	if (!proxy_is_prompt(h->target))
		return;
	th = thread_make(task);
	if (!th)
		return;
	th->reading = c->role == ROLE_SERVER ? c->request : 0;
	th->switches = task->nvcsw;
}

/* The request that the running thread of a proxy deals with now; 0: unknown. */
static __always_inline __u64 proxy_reading(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *th = thread_get(task);

	return th && th->switches == task->nvcsw ? th->reading : 0;
}

/* The running thread of a proxy connects: on behalf of what it reads. */
static __always_inline void proxy_connects(__u32 target, struct conn *c)
{
	c->outlet.opened = 1;
	c->outlet.opener = proxy_is_prompt(target) ? proxy_reading() : 0;
}

/*
 * What a connection of a proxy has received begins with nothing known. Of a new one
 * that is for good; an old one may have been met in the midst of something known,
 * unless it goes on so.
 */
static __always_inline void proxy_blind(const struct hook *h, const struct conn *c)
{
	struct tcp_sock *tp = (struct tcp_sock *)h->sk;
	struct activity *a;
	__u32 first;

	if (!(h->target & TARGET_PROXY) || !has_seq(h))
		return;
	a = activity_make(h->tgid);
	if (!a || a->blind_until_ns > h->now + BLIND_NS)
		return;
	first = BPF_CORE_READ(tp, rcv_nxt) - (__u32)BPF_CORE_READ(tp, bytes_received);
	if (BPF_CORE_READ(tp, copied_seq) - first > h->n + c->in.held && c->misses < MISSES_MAX - 1)
		a->blind_until_ns = h->now + BLIND_NS;
	else
		a->blind_until_ns = ~0ULL;
}

/* Has the running thread read this request last, or when the connection was opened? */
static __always_inline bool line_is_read(struct conn *c, __u64 id)
{
	bool opened = c->outlet.opened;

	c->outlet.opened = 0; /* what it sends next is on behalf of somebody else */
	return id == (opened ? c->outlet.opener : proxy_reading());
}

/*
 * The open request that a proxy passes on by the one whose head is in scratch; 0:
 * unknown. Global for its stack.
 */
__noinline __u64 line_request(struct hook *h, struct conn *c)
{
	struct activity *a = h ? activity_get(h->tgid) : 0;
	struct like_key key = {};
	struct request *r;
	struct like *l;
	__u8 own = 1;
	__u64 id;
	bool read;

	if (!a || !c || a->blind_until_ns > h->now)
		return 0;
	key.tgid = h->tgid;
	key.hash = line_hash(h->slot);
	l = key.hash ? bpf_map_lookup_elem(&likes, &key) : 0;
	id = l && l->count == 1 ? l->ids : 0;
	read = line_is_read(c, id);
	if (!l) {
		bpf_map_update_elem(&own_lines, &key, &own, BPF_ANY);
		return 0;
	}
	r = request_get(id);
	if (!r || r->sent || bpf_map_lookup_elem(&own_lines, &key)) {
		stat_add(STAT_AMBIGUOUS);
		return 0;
	}
	if (proxy_is_prompt(h->target) ? !read : a->open != 1) {
		stat_add(STAT_AMBIGUOUS);
		return 0;
	}
	r->sent = 1;
	return id;
}

/* The open request whose very context the outgoing one carries on; 0: none. */
static __always_inline __u64 header_request(__u32 tgid, const struct context *received)
{
	struct like *l = like_get(tgid, context_hash(received));

	return l && l->count == 1 ? l->ids : 0;
}

#endif
