/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Proxies: one thread passes many requests on, so neither thread nor goroutine
 * tells which one it sends. What it sends does: it is what came in.
 *
 * The method and target alone would deceive where a proxy rewrites targets, and
 * one is rewritten to what another client asks for at that moment. So besides the
 * line being that of exactly one open request, either
 *   - the sending thread had read that very request last, now or when it opened
 *     this connection; or
 *   - the process has passed PASSES_TRIAL requests on, and never sent a line that
 *     was not an open request's.
 * And it must not serve connections that cannot be read (TLS): what they ask for
 * is unknown.
 */
#ifndef CLEW_PROXY_H
#define CLEW_PROXY_H

#include "hook.h"
#include "line.h"
#include "request.h"
#include "thread.h"

#define PASSES_TRIAL 32

/* The server request that the running thread has read from last. */
static __always_inline __u64 thread_read_last(void)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());

	return th ? th->request : 0;
}

/* More of a request was received: its thread works on that one now. */
static __always_inline void proxy_reads(const struct hook *h, const struct conn *c)
{
	struct thread *th;

	if (!(h->target & TARGET_PROXY) || !c->request)
		return;
	th = thread_get(bpf_get_current_task_btf());
	if (th)
		th->request = c->request;
}

/* The first bytes that a connection of a proxy receives are nothing known. */
static __always_inline void proxy_blind(const struct hook *h)
{
	struct tcp_sock *tp = (struct tcp_sock *)h->sk;
	struct activity *a;
	__u32 first;

	if (!(h->target & TARGET_PROXY) || !has_seq(h))
		return;
	first = BPF_CORE_READ(tp, rcv_nxt) - (__u32)BPF_CORE_READ(tp, bytes_received);
	if (BPF_CORE_READ(tp, copied_seq) - first > h->n)
		return; /* an older connection: it may have been anything */
	a = activity_make(h->tgid);
	if (a)
		a->blind = 1;
}

/* The open request that a proxy passes on by the one whose head is in scratch; 0: unknown. */
__noinline __u64 line_request(struct hook *h, struct conn *c)
{
	struct activity *a = h ? activity_get(h->tgid) : 0;
	struct like *l;
	__u64 id, opener;
	bool trusted;

	if (!a || !c || a->blind)
		return 0;
	opener = c->outlet.opener;
	c->outlet.opener = 0;
	l = like_get(h->tgid, line_hash(h->slot));
	if (!l) {
		a->rewrites = 1;
		return 0;
	}
	id = l->ids;
	trusted = !a->rewrites && a->passes >= PASSES_TRIAL;
	a->passes++;
	if (l->count == 1 && request_get(id) && (trusted || id == opener || id == thread_read_last()))
		return id;
	stat_add(STAT_AMBIGUOUS);
	return 0;
}

/* The open request whose very context the outgoing one carries on; 0: none. */
static __always_inline __u64 header_request(__u32 tgid, const struct context *received)
{
	struct like *l = like_get(tgid, context_hash(received));

	return l && l->count == 1 ? l->ids : 0;
}

#endif
