// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sockets, family 3: kprobe and kretprobe.
 *
 * Purpose: as fentry.bpf.c, where trampolines are missing or not to be trusted
 * (arm64 before 6.0, some vendors' kernels). Dearer: 0.02 to 0.2 us a hook.
 *
 * Hooks: those of fentry.bpf.c. A kretprobe does not see the arguments, so the
 * entry leaves the socket with the thread (thread.h); and kprobe programs have no
 * socket storage, so connections live in a hash (conn.h).
 *
 * Needs: Linux 5.15 (arm64: 5.18) with BTF and kprobes.
 */
#define CLEW_NO_SK_STORAGE
#include "include/socket.h"

#if defined(__TARGET_ARCH_x86)
#define ARG1(ctx) ((ctx)->di)
#define ARG2(ctx) ((ctx)->si)
#define ARG4(ctx) ((ctx)->cx)
#define ARG5(ctx) ((ctx)->r8)
#define RESULT(ctx) ((int)(ctx)->ax)
#else
#define ARG1(ctx) (((struct user_pt_regs *)(ctx))->regs[0])
#define ARG2(ctx) (((struct user_pt_regs *)(ctx))->regs[1])
#define ARG4(ctx) (((struct user_pt_regs *)(ctx))->regs[3])
#define ARG5(ctx) (((struct user_pt_regs *)(ctx))->regs[4])
#define RESULT(ctx) ((int)((struct user_pt_regs *)(ctx))->regs[0])
#endif

/* The running thread's state, if its process is watched. */
static __always_inline struct thread *watched_thread(void)
{
	if (!target_get(bpf_get_current_pid_tgid() >> 32))
		return 0;
	return thread_make(bpf_get_current_task_btf());
}

static __always_inline int enter_send(struct sock *sk)
{
	struct thread *th = watched_thread();

	if (th)
		th->sending = (__u64)sk;
	return 0;
}

static __always_inline int enter_recv(struct sock *sk, int flags)
{
	struct thread *th = watched_thread();

	if (!th)
		return 0;
	th->receiving = (__u64)sk;
	th->flags = flags;
	return 0;
}

static __always_inline int exit_send(int n)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());
	struct sock *sk;

	if (!th || !th->sending)
		return 0;
	sk = (struct sock *)th->sending;
	th->sending = 0;
	return on_send(sk, n);
}

static __always_inline int exit_recv(int n)
{
	struct thread *th = thread_get(bpf_get_current_task_btf());
	struct sock *sk;

	if (!th || !th->receiving)
		return 0;
	sk = (struct sock *)th->receiving;
	th->receiving = 0;
	return on_recv(sk, n, th->flags);
}

SEC("kprobe/tcp_sendmsg")
int enter_sendmsg(struct pt_regs *ctx)
{
	struct msghdr *msg = (struct msghdr *)ARG2(ctx);
	struct sock *sk = (struct sock *)ARG1(ctx);

	enter_send(sk);
	return on_send_early(sk, msg, false);
}

SEC("kprobe/tcp_sendpage")
int enter_sendpage(struct pt_regs *ctx)
{
	return enter_send((struct sock *)ARG1(ctx));
}

SEC("kprobe/unix_stream_sendmsg")
int enter_unix_send(struct pt_regs *ctx)
{
	return enter_send(BPF_CORE_READ((struct socket *)ARG1(ctx), sk));
}

/* One program for the returns of all three: each would be verified by itself. */
SEC("kretprobe/send")
int leave_send(struct pt_regs *ctx)
{
	return exit_send(RESULT(ctx));
}

SEC("kprobe/tcp_recvmsg")
int enter_recvmsg(struct pt_regs *ctx)
{
	/* Both are read before the choice: the compiler would choose an offset, and
	 * the verifier refuses a modified context. */
	volatile int fourth = ARG4(ctx), fifth = ARG5(ctx);

	/* `int nonblock` stood before flags until ec095263a965 (5.19) */
	return enter_recv((struct sock *)ARG1(ctx), tcp_recvmsg_args == 6 ? fifth : fourth);
}

SEC("kprobe/unix_stream_recvmsg")
int enter_unix_recv(struct pt_regs *ctx)
{
	return enter_recv(BPF_CORE_READ((struct socket *)ARG1(ctx), sk), (int)ARG4(ctx));
}

SEC("kretprobe/recv")
int leave_recv(struct pt_regs *ctx)
{
	return exit_recv(RESULT(ctx));
}

SEC("tp_btf/inet_sock_set_state")
int set_state(__u64 *ctx)
{
	return on_state((struct sock *)ctx[0], (int)ctx[2]);
}

SEC("tp_btf/tcp_destroy_sock")
int destroy_sock(__u64 *ctx)
{
	return on_destroy((struct sock *)ctx[0]);
}

char LICENSE[] SEC("license") = "GPL";
