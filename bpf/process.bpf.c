// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Processes: who begins, who ends, who was started by whom.
 *
 * Purpose: watch a process from its first instruction on, and let a child's
 * first request belong to the request its parent served.
 *
 * Hooks:
 *   sched_process_fork   a child of a watched process is watched; a task that
 *       serves a request hands its id to the child (evidence "fork").
 *   sched_process_exec   a process becomes another program: watched at once if
 *       everything is, or its cgroup is; user space looks at it and refines.
 *   sched_process_exit   with its last thread, the process is forgotten.
 *
 * Maps: targets and watched_cgroups (targets.h), threads (thread.h), requests
 * (request.h), activities (activity.h), all shared with the socket programs.
 *
 * Records: struct lifecycle, and an exec wakes user space at once: 0.6 to 0.9 us
 * against the millisecond that an exec takes.
 *
 * Needs: Linux 5.15 with BTF.
 */
#include "include/parent.h"
#include "include/ring.h"

static __noinline int lifecycle_fill(struct lifecycle *l, struct task_struct *task)
{
	l->time_ns = bpf_ktime_get_ns();
	l->cgroup = bpf_get_current_cgroup_id();
	l->tgid = BPF_CORE_READ(task, tgid);
	l->parent = BPF_CORE_READ(task, real_parent, tgid);
	bpf_probe_read_kernel(l->comm, sizeof(l->comm), &task->comm);
	return 0;
}

static __always_inline void lifecycle_put(struct task_struct *task, enum event_kind kind,
					  const char *filename)
{
	struct lifecycle l = { .kind = kind };

	lifecycle_fill(&l, task);
	if (filename)
		bpf_probe_read_kernel_str(l.filename, sizeof(l.filename), filename);
	ring_put(&l, sizeof(l), kind == EVENT_EXEC);
}

/*
 * The open request on whose behalf the running task starts another: the one it
 * serves, or the one it was itself started for and has not used yet (a shell
 * that runs commands). 0: none.
 */
static __always_inline __u64 serving(const struct target *t, __u32 tgid)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());
	__u64 request = 0;

	if (t->flags & TARGET_GO)
		request = goroutine_request(tgid, true);
	else if ((t->flags & TARGET_KNOWN) && !target_is_go(t->flags))
		request = thread_request(t, tgid);
	if (!request && th && request_get(th->inherited))
		request = th->inherited;
	return request;
}

SEC("tp_btf/sched_process_fork")
int process_fork(__u64 *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx[0];
	struct task_struct *child = (struct task_struct *)ctx[1];
	__u32 tgid = BPF_CORE_READ(parent, tgid), child_tgid = BPF_CORE_READ(child, tgid);
	struct target *t = target_get(tgid);
	struct thread *th;
	__u64 request;

	if (!t)
		return 0;
	if (child_tgid != tgid) {
		struct target copy = *t;

		copy.trusted_ns = 0;
		target_put(child_tgid, &copy);
		lifecycle_put(child, EVENT_FORK, 0);
	}
	request = serving(t, tgid);
	if (!request)
		return 0;
	th = bpf_task_storage_get(&threads, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (th)
		th->inherited = request;
	return 0;
}

SEC("tp_btf/sched_process_exec")
int process_exec(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct target fresh = {};

	/* Nor what the agent starts: its own self-tests. */
	if (tgid == self_tgid || (__u32)BPF_CORE_READ(task, real_parent, tgid) == self_tgid)
		return 0;
	/* A new program: what was known of the old one does not hold. */
	activity_del(tgid);
	if (target_get(tgid) || watch_everything || cgroup_watched(bpf_get_current_cgroup_id()))
		target_put(tgid, &fresh);
	lifecycle_put(task, EVENT_EXEC, BPF_CORE_READ(bprm, filename));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int process_exit(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0; /* another thread lives on */
	activity_del(tgid);
	if (!target_get(tgid))
		return 0;
	target_del(tgid);
	lifecycle_put(task, EVENT_EXIT, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
