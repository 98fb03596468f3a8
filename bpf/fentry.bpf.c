// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sockets, family 2: fentry and fexit.
 *
 * Purpose: as socket.bpf.c, for kernels without its tracepoints (5.15 to 6.2).
 *
 * Hooks:
 *   tcp_sendmsg          entry: the iterator stands at the start, so marks can be
 *       laid before the bytes leave; exit: how many were sent.
 *   tcp_bpf_sendmsg      the same of sockets in a sockhash (inject.bpf.c). Optional.
 *   tcp_recvmsg, unix_stream_sendmsg, unix_stream_recvmsg   exit: how many bytes.
 *   tcp_sendpage         exit: sendfile and splice before 6.5. Optional.
 *   inet_sock_set_state, tcp_destroy_sock   a connection closes.
 *
 * Needs: Linux 5.15 with BTF and trampolines (arm64: 6.0).
 */
#include "include/socket.h"

SEC("fentry/tcp_sendmsg")
int enter_sendmsg(__u64 *ctx)
{
	struct msghdr *msg = (struct msghdr *)ctx[1];

	return on_send_early((struct sock *)ctx[0], msg, false);
}

SEC("fexit/tcp_sendmsg")
int exit_sendmsg(__u64 *ctx)
{
	return on_send((struct sock *)ctx[0], (int)ctx[3]);
}

SEC("fentry/tcp_bpf_sendmsg")
int enter_member(__u64 *ctx)
{
	struct msghdr *msg = (struct msghdr *)ctx[1];

	return on_send_early((struct sock *)ctx[0], msg, false);
}

SEC("fexit/tcp_bpf_sendmsg")
int exit_member(__u64 *ctx)
{
	return on_send((struct sock *)ctx[0], (int)ctx[3]);
}

SEC("fexit/tcp_sendpage")
int exit_sendpage(__u64 *ctx)
{
	return on_send((struct sock *)ctx[0], (int)ctx[5]);
}

SEC("fexit/tcp_recvmsg")
int exit_recvmsg(__u64 *ctx)
{
	/* The result stands behind the arguments, of which there were fewer and fewer. */
	switch (tcp_recvmsg_args) {
	case 6: /* with `int nonblock` before flags, until ec095263a965 (5.19) */
		return on_recv((struct sock *)ctx[0], (int)ctx[6], (int)ctx[4]);
	case 5: /* with `int *addr_len` behind them, until 7.0 */
		return on_recv((struct sock *)ctx[0], (int)ctx[5], (int)ctx[3]);
	default:
		return on_recv((struct sock *)ctx[0], (int)ctx[4], (int)ctx[3]);
	}
}

SEC("fexit/unix_stream_sendmsg")
int exit_unix_send(__u64 *ctx)
{
	return on_send(((struct socket *)ctx[0])->sk, (int)ctx[3]);
}

SEC("fexit/unix_stream_recvmsg")
int exit_unix_recv(__u64 *ctx)
{
	return on_recv(((struct socket *)ctx[0])->sk, (int)ctx[4], (int)ctx[3]);
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
