/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What a thread is doing, kept on the thread and freed with it. */
#ifndef CLEW_THREAD_H
#define CLEW_THREAD_H

#include "kernel.h"
#include "stats.h"

struct thread {
	__u64 request;	   /* id of the server request it read last */
	__u64 inherited;   /* id of the request its creator served; used once */
	__u64 reading;	   /* a proxy: the request it received from last */
	__u64 switches;	   /* its voluntary context switches then */
	__u64 receiving;   /* struct sock of a receive under way (kprobe family) */
	__u64 sending;	   /* struct sock of a send under way (kprobe family) */
	__u32 multiplexes; /* seen with two open requests: its request proves nothing */
	__s32 flags;	   /* of the receive under way (kprobe family) */
};

/*
 * Key: task. Put at the first use, freed by the kernel with the task.
 */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

static __always_inline struct thread *thread_get(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, 0, 0);
}

static __always_inline struct thread *thread_make(struct task_struct *task)
{
	struct thread *t = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		stat_add(STAT_NO_STORAGE);
	return t;
}

#endif
