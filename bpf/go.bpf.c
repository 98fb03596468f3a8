// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Go: the one uprobe that cannot be avoided.
 *
 * Purpose: net/http's client writes a request from the goroutine of its
 * connection, not from the one that asked for it. This probe runs in the one that
 * asked and notes, for the descriptor that will be written to, which request it
 * serves.
 *
 * Hook: uprobe in net/http.(*persistConn).roundTrip, once per outgoing request,
 * at an instruction that the kernel emulates instead of single-stepping it
 * (probes/golang finds it; 0.8 us against 9 to 14 us on a virtual machine). The
 * receiver, a *persistConn, is still in its register: RAX on amd64, R0 on arm64
 * (Go's ABIInternal).
 *
 * Carries: handoffs (goroutine.h), from here to the write on the same descriptor.
 *
 * uprobe programs are preemptible and, from 6.13 on, have one private stack per
 * CPU when they use more than 64 bytes: another thread's run of the same program
 * could spoil locals. So the body runs with preemption off where there are private
 * stacks (bpf_preempt_disable, 6.10).
 *
 * Needs: Linux 5.15 with BTF.
 */
#include "include/goroutine.h"

/* internal/abi: the same from Go 1.21 on. */
#define IFACE_DATA 8
#define ITAB_TYPE 8
#define TYPE_HASH 16

/* Hash of the dynamic type of the interface value at `at`; 0: unreadable. */
static __always_inline __u32 dynamic_type(__u64 at)
{
	__u64 type = user_word(user_word(at) + ITAB_TYPE);
	__u32 hash = 0;

	if (!type || bpf_probe_read_user(&hash, sizeof(hash), (void *)(type + TYPE_HASH)))
		return 0;
	return hash;
}

/* The descriptor of the connection in the interface value at `at`; -1: not known. */
static __always_inline __s32 descriptor(const struct go_conn *l, __u64 at)
{
	__u32 hash = dynamic_type(at);
	__u64 data = user_word(at + IFACE_DATA), netfd;

	if (hash && hash == l->tls_hash) {
		at = data + l->tls;
		hash = dynamic_type(at);
		data = user_word(at + IFACE_DATA);
	}
	if (!hash || !data || (hash != l->tcp_hash && hash != l->unix_hash))
		return -1;
	netfd = user_word(data + l->fd);
	return netfd ? (__s32)user_word(netfd + l->sysfd) : -1;
}

/* Weak: null, and the calls dead code, where the kernel has them not. */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

static __noinline int hand_off(__u64 persist_conn)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct target *t = target_get(tgid);
	__s32 fd;

	if (!t || !(t->flags & TARGET_GO))
		return 0;
	fd = descriptor(&t->go_conn, persist_conn + t->go_conn.persist);
	if (fd < 0)
		stat_add(STAT_NO_HANDOFF);
	else
		handoff_put(tgid, fd, goroutine_request(tgid, true));
	return 0;
}

static __always_inline int asked(struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	__u64 receiver = ctx->ax;
#else
	__u64 receiver = ((struct user_pt_regs *)ctx)->regs[0];
#endif

	if (bpf_preempt_disable)
		bpf_preempt_disable();
	hand_off(receiver);
	if (bpf_preempt_enable)
		bpf_preempt_enable();
	return 0;
}

SEC("uprobe")
int round_trip(struct pt_regs *ctx)
{
	return asked(ctx);
}

/* For a link of its own kind, which needs no CAP_SYS_ADMIN (Linux 6.6). */
SEC("uprobe.multi")
int round_trip_link(struct pt_regs *ctx)
{
	return asked(ctx);
}

char LICENSE[] SEC("license") = "GPL";
