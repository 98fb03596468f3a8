/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Who is the parent of the request that the running task sends? Evidence, or
 * nobody: an orphan is better than a wrong parent.
 *
 * Go: the goroutine. Everything else: the thread, under these conditions.
 *   - The process is known to user space, and not of a kind that moves work
 *     between threads.
 *   - The thread read a request that is still open, and was never seen with two.
 *   - Either that is the only open request of the process; or the process has
 *     shown, MIXES_TRIAL times and with no exception, that the thread which reads
 *     a request answers it. An async runtime with a pool of threads fails that
 *     at once under load; before the trial is over its links are absent.
 */
#ifndef CLEW_PARENT_H
#define CLEW_PARENT_H

#include "goroutine.h"
#include "thread.h"
#include "wires.h"

/* With two threads that answer at random, 32 answers agree once in 4 billion runs. */
#define MIXES_TRIAL 32

static __always_inline bool target_is_go(__u32 flags)
{
	return flags & (TARGET_GO | TARGET_GO_UNKNOWN);
}

/* The running thread works for `request` (0: for nobody's known) of its process. */
static __always_inline void thread_works_for(__u32 tgid, __u64 request)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());
	struct activity *a;

	if (!th || !th->request || th->request == request)
		return;
	if (!request_get(th->request))
		return;
	th->multiplexes = 1;
	a = activity_get(tgid);
	if (a)
		a->mixes = 1;
}

/* The running task has read the head of `request`, and serves it. */
static __always_inline void task_serves(const struct target *t, __u32 tgid, __u64 request)
{
	struct thread *th;

	if (t->flags & TARGET_GO) {
		goroutine_serves(t, tgid, request);
		return;
	}
	th = thread_make(bpf_get_current_task_btf());
	if (!th)
		return;
	if (th->request && request_get(th->request))
		th->multiplexes = 1;
	th->request = request;
}

/* The running task has answered `r`: does one thread do both? */
static __always_inline void task_answers(__u64 id, __u32 tid)
{
	struct request *r = request_get(id);
	struct activity *a;

	if (!r)
		return;
	a = activity_get(r->tgid);
	if (a && r->tid == tid)
		a->same_thread++;
	thread_works_for(r->tgid, id);
}

static __always_inline __u64 thread_request(const struct target *t, __u32 tgid)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());
	struct activity *a;

	if (!th || !request_get(th->request))
		return 0;
	a = activity_get(tgid);
	if (th->multiplexes || (t->flags & TARGET_MULTIPLEXES) ||
	    (a && a->blind_until_ns > bpf_ktime_get_ns())) {
		stat_add(STAT_MULTIPLEXED);
		return 0;
	}
	if (bpf_ktime_get_ns() < t->trusted_ns || !a ||
	    (a->open != 1 && (a->mixes || a->same_thread < MIXES_TRIAL))) {
		stat_add(STAT_AMBIGUOUS);
		return 0;
	}
	return th->request;
}

/*
 * A process started while serving: its first request. A thread likewise, but a
 * pool's thread may be born in one request and begin with another's work, so
 * there the process must have no other request open.
 */
static __always_inline __u64 inherited_request(__u32 tgid)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());
	struct request *r;
	struct activity *a;
	__u64 id;

	if (!th || !th->inherited)
		return 0;
	id = th->inherited;
	th->inherited = 0;
	r = request_get(id);
	if (!r)
		return 0;
	if (r->tgid != tgid)
		return id;
	a = activity_get(tgid);
	if (a && a->open == 1 && !a->mixes)
		return id;
	stat_add(STAT_AMBIGUOUS);
	return 0;
}

/*
 * The request that the running task serves now, and what says so; 0: unknown.
 * `fd` is what it writes to. Global, see buffer_from_registers.
 */
__noinline __u64 task_request(__u32 tgid, __s32 fd, __u8 *evidence)
{
	const struct target *t = target_get(tgid);
	__u64 id = 0;

	if (!t || !evidence || !(t->flags & TARGET_KNOWN))
		return 0;
	*evidence = EVIDENCE_GOROUTINE;
	if (t->flags & TARGET_GO) {
		/* net/http's client writes from a goroutine of the connection, started in
		 * some request: only the handoff says for whom. */
		if ((t->flags & TARGET_GO_NET_HTTP) && fd >= 0)
			id = handoff_take(tgid, fd);
		if (id)
			return id;
		return goroutine_request(tgid, fd == FD_OF_DATABASE || (fd != FD_OF_BROKER &&
									!(t->flags & TARGET_GO_NET_HTTP)));
	}
	if (t->flags & TARGET_GO_UNKNOWN)
		return 0;
	*evidence = EVIDENCE_THREAD;
	id = thread_request(t, tgid);
	if (id)
		return id;
	*evidence = EVIDENCE_FORK;
	return inherited_request(tgid);
}

#endif
