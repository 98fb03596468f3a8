/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Finding and reading the user memory that a send or receive works on.
 *
 * After the fact (receive, late send) the saved registers of the system call
 * tell where it is; before the fact (early send) the kernel's iterator does.
 */
#ifndef CLEW_BUFFER_H
#define CLEW_BUFFER_H

#include "drift.h"
#include "scratch.h"
#include "stats.h"

/* Heads sit in the first one to three elements; nginx and Node.js use up to five. */
#define IOVECS_MAX 8

/* include/linux/sched.h: threads that have no user registers. */
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD 0x00200000

#if defined(__TARGET_ARCH_x86)
enum {
	NR_read = 0,
	NR_write = 1,
	NR_readv = 19,
	NR_writev = 20,
	NR_sendto = 44,
	NR_recvfrom = 45,
	NR_sendmsg = 46,
	NR_recvmsg = 47,
	NR_recvmmsg = 299,
	NR_sendmmsg = 307,
	NR_preadv2 = 327,
	NR_pwritev2 = 328
};
#define USER_CS_32 0x23

static __always_inline long syscall_nr(struct pt_regs *r)
{
	if (r->cs == USER_CS_32)
		return -2;
	return (long)r->orig_ax;
}
#define syscall_arg0(r) ((r)->di)
#define syscall_arg1(r) ((r)->si)
#define syscall_arg2(r) ((r)->dx)
#else
enum {
	NR_read = 63,
	NR_write = 64,
	NR_readv = 65,
	NR_writev = 66,
	NR_sendto = 206,
	NR_recvfrom = 207,
	NR_sendmsg = 211,
	NR_recvmsg = 212,
	NR_recvmmsg = 243,
	NR_sendmmsg = 269,
	NR_preadv2 = 286,
	NR_pwritev2 = 287
};
#define PSTATE_32 (1UL << 4) /* PSR_MODE32_BIT */

static __always_inline long syscall_nr(struct pt_regs *r)
{
	if (r->pstate & PSTATE_32)
		return -2;
	return r->syscallno;
}
#define syscall_arg0(r) ((r)->orig_x0)
#define syscall_arg1(r) ((r)->regs[1])
#define syscall_arg2(r) ((r)->regs[2])
#endif

static __always_inline void buffer_from_user_msghdr(struct buffer *b, __u64 msg)
{
	struct user_msghdr m;

	if (bpf_probe_read_user(&m, sizeof(m), (void *)msg)) {
		stat_add(STAT_READ_FAULT);
		return;
	}
	b->iov = (__u64)m.msg_iov;
	b->segments = m.msg_iovlen;
	b->readable = b->iov != 0;
}

/*
 * Fills the buffer of `slot` from the registers of the system call under way.
 * Global, like all functions here that take a slot: the verifier looks at each
 * once, by itself, and not again for every state of its callers.
 */
__noinline int buffer_from_registers(__u32 slot)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = scratch_get(slot);
	struct pt_regs *regs;
	struct buffer *b;

	if (!s)
		return 0;
	b = &s->buf;
	b->iov = 0;
	b->base = 0;
	b->segments = 0;
	b->offset = 0;
	b->fd = -1;
	b->kernel_iov = 0;
	b->kernel_base = 0;
	b->readable = 0;
	if (task->flags & (PF_KTHREAD | PF_IO_WORKER))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	switch (syscall_nr(regs)) {
	case NR_read:
	case NR_write:
	case NR_recvfrom:
	case NR_sendto:
		b->base = syscall_arg1(regs);
		b->readable = 1;
		break;
	case NR_readv:
	case NR_writev:
	case NR_preadv2:
	case NR_pwritev2:
		b->iov = syscall_arg1(regs);
		b->segments = syscall_arg2(regs);
		b->readable = 1;
		break;
	case NR_recvmsg:
	case NR_sendmsg:
		buffer_from_user_msghdr(b, syscall_arg1(regs));
		break;
	case NR_recvmmsg:
	case NR_sendmmsg:
		/* Which of several messages this is, the registers do not tell. */
		if (syscall_arg2(regs) == 1)
			buffer_from_user_msghdr(b, syscall_arg1(regs));
		break;
	case -2:
		stat_add(STAT_COMPAT);
		return 0;
	default:
		return 0; /* io_uring, sendfile, splice */
	}
	b->fd = (__s32)syscall_arg0(regs);
	return 0;
}

#define MMSGHDR_BYTES 64 /* struct mmsghdr: a struct user_msghdr, the bytes sent, padding */

/*
 * Fills the buffer of `slot` with message `index` of the sendmmsg under way.
 * Returns how many messages it has; 0: it is none, or has no such message.
 */
__noinline int buffer_from_mmsg(__u32 slot, __u32 index)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = scratch_get(slot);
	struct pt_regs *regs;

	if (!s || (task->flags & (PF_KTHREAD | PF_IO_WORKER)))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	if (syscall_nr(regs) != NR_sendmmsg || index >= syscall_arg2(regs))
		return 0;
	s->buf.segments = 0;
	s->buf.offset = 0;
	buffer_from_user_msghdr(&s->buf, syscall_arg1(regs) + index * MMSGHDR_BYTES);
	return syscall_arg2(regs);
}

/* Fills b from the iterator of a send that has not begun to copy. */
static __always_inline void buffer_from_iter(struct buffer *b, const struct iov_iter *it)
{
	b->iov = 0;
	b->base = 0;
	b->segments = 0;
	b->offset = 0;
	b->kernel_iov = 0;
	b->kernel_base = 0;
	b->readable = 0;
	if (iter_is_ubuf(it)) {
		b->base = (__u64)iter_ubuf(it) + BPF_CORE_READ(it, iov_offset);
		b->readable = 1;
	} else if (iter_is_iovec(it)) {
		b->iov = (__u64)iter_iovec(it);
		b->segments = BPF_CORE_READ(it, nr_segs);
		b->offset = BPF_CORE_READ(it, iov_offset);
		b->kernel_iov = 1;
		b->readable = 1;
	}
}

/* The bytes lie at `base`, in kernel memory: those of an sk_msg. */
static __always_inline void buffer_from_kernel(struct buffer *b, __u64 base)
{
	b->iov = 0;
	b->base = base;
	b->segments = 0;
	b->offset = 0;
	b->kernel_iov = 0;
	b->kernel_base = 1;
	b->readable = 1;
}

/* One piece into head at `at`; returns the bytes read. */
static __always_inline __u32 buffer_piece(struct scratch *s, __u32 at, __u64 from, __u64 size)
{
	/* For the verifier: the callers bound both, but it loses that across the loop. */
	at &= HEAD_MAX - 1;
	CLAMP(size, HEAD_MAX);
	if (s->buf.kernel_base ? bpf_probe_read_kernel(&s->head[at], size, (void *)from)
			       : bpf_probe_read_user(&s->head[at], size, (void *)from)) {
		stat_add(STAT_READ_FAULT);
		return 0;
	}
	return size;
}

/*
 * Copies up to `want` bytes, beginning `skip` bytes into the buffer, to head at
 * `at`. at + want must not exceed HEAD_MAX. Returns the bytes copied.
 */
__noinline int buffer_load(__u32 slot, __u32 at, __u64 skip, __u32 want)
{
	struct scratch *s = scratch_get(slot);
	struct buffer *b;
	__u32 done = 0;

	if (!s || !s->buf.readable || !want)
		return 0;
	b = &s->buf;
	if (!b->iov)
		return buffer_piece(s, at, b->base + skip, want);
	skip += b->offset;
	for (int i = 0; i < IOVECS_MAX; i++) {
		const struct iovec *at_iov = (const struct iovec *)b->iov + i;
		__u64 size;
		struct iovec v;

		if ((__u64)i >= b->segments || done >= want)
			break;
		if (b->kernel_iov ? bpf_probe_read_kernel(&v, sizeof(v), at_iov)
				  : bpf_probe_read_user(&v, sizeof(v), at_iov)) {
			stat_add(STAT_READ_FAULT);
			break;
		}
		if (skip >= v.iov_len) {
			skip -= v.iov_len;
			continue;
		}
		size = v.iov_len - skip;
		if (size > want - done)
			size = want - done;
		if (!buffer_piece(s, at + done, (__u64)v.iov_base + skip, size))
			break;
		done += size;
		skip = 0;
	}
	return done;
}

#endif
