// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sockets, family 1: raw tracepoints.
 *
 * Purpose: see what watched processes send and receive on TCP and unix stream
 * sockets, through hooks that patch no kernel text and touch no other system
 * call.
 *
 * Hooks:
 *   sock_recv_length, sock_send_length   after every receive and send, with its
 *       struct sock and the number of bytes (Linux 6.3, 6e6eda44b939). The bytes
 *       themselves are found through the registers of the system call.
 *   tcp_sendmsg_locked                   before a TCP send copies anything, with
 *       the iterator (Linux 6.16).
 *   tcp_sendmsg, tcp_bpf_sendmsg         entry: the same before Linux 6.16, where
 *       the kernel has trampolines. tcp_bpf_sendmsg is that of sockets in a
 *       sockhash (inject.bpf.c). Without any of these no marks are laid (rung 0
 *       is off), and sends by io_uring are only counted.
 *   inet_sock_set_state, tcp_destroy_sock   a connection closes.
 *
 * Maps: see the header of each. Nothing is carried from hook to hook but the
 * state of the socket (conn.h) and of the thread (thread.h).
 *
 * Needs: Linux 6.3 with BTF.
 */
#include "include/socket.h"

SEC("tp_btf/sock_recv_length")
int recv_length(__u64 *ctx)
{
	return on_recv((struct sock *)ctx[0], (int)ctx[1], (int)ctx[2]);
}

SEC("tp_btf/sock_send_length")
int send_length(__u64 *ctx)
{
	return on_send((struct sock *)ctx[0], (int)ctx[1]);
}

SEC("tp_btf/tcp_sendmsg_locked")
int sendmsg_locked(__u64 *ctx)
{
	struct msghdr *msg = (struct msghdr *)ctx[1];

	return on_send_early((struct sock *)ctx[0], msg, true);
}

/* A fentry program has to return 0 for all the verifier knows. */
static __always_inline int early_sendmsg(struct sock *sk, const struct msghdr *msg)
{
	on_send_early(sk, msg, false);
	return 0;
}

SEC("fentry/tcp_sendmsg")
int enter_sendmsg(__u64 *ctx)
{
	struct msghdr *msg = (struct msghdr *)ctx[1];

	return early_sendmsg((struct sock *)ctx[0], msg);
}

SEC("fentry/tcp_bpf_sendmsg")
int enter_member(__u64 *ctx)
{
	struct msghdr *msg = (struct msghdr *)ctx[1];

	return early_sendmsg((struct sock *)ctx[0], msg);
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
