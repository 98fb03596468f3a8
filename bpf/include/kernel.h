/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The few kernel types that Clew reads, with the few fields it reads of them.
 *
 * Every struct is relocated at load time (CO-RE) against the running kernel,
 * so the order and size here mean nothing; names and types do. Only leaf
 * fields are read, never a struct by value: a copied struct keeps the layout
 * of this file, not of the kernel.
 *
 * What differs between kernels, and how it is told apart, is in drift.h.
 */
#ifndef CLEW_KERNEL_H
#define CLEW_KERNEL_H

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };

/* uapi/linux/bpf.h, only what is used. */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_SOCKHASH = 18,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE 7
#define TCP_LAST_ACK 9

/* include/net/sock.h */
#define RCV_SHUTDOWN 1

/* include/linux/socket.h */
#define MSG_PEEK 0x2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define MSG_ZEROCOPY 0x4000000

/*
 * For the verifier: bounds x where it will be used. Written in assembly, since
 * the compiler may compare a copy, and before 6.8 the bound stays with the copy.
 */
#define CLAMP(x, max) asm volatile("if %0 <= %1 goto +1; %0 = %1" : "+r"(x) : "i"(max))

#define __relocated __attribute__((preserve_access_index))

/*
 * Reads a field through a pointer whose type the verifier knows: one instruction
 * instead of a helper call (some 10 ns). A kprobe's pointers are plain numbers.
 */
#ifdef CLEW_NO_SK_STORAGE
#define READ(ptr, field) BPF_CORE_READ(ptr, field)
#else
#define READ(ptr, field) ((ptr)->field)
#endif

/* Layouts here are nobody's: see above. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpadded"

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
} __relocated;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	__u16 skc_family;
	unsigned char skc_state;
	unsigned long skc_flags;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} __relocated;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	__u8 sk_shutdown;
	struct socket *sk_socket;
} __relocated;

struct socket {
	struct sock *sk;
} __relocated;

struct tcp_sock {
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 write_seq;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 mss_cache;
	__u32 total_retrans;
	__u64 bytes_received;
	__u8 bpf_sock_ops_cb_flags;
} __relocated;

struct super_block {
	__u32 s_dev;
} __relocated;

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} __relocated;

struct file {
	struct inode *f_inode;
} __relocated;

struct mm_struct {
	struct file *exe_file;
} __relocated;

struct iovec {
	void *iov_base;
	unsigned long iov_len;
};

struct iov_iter {
	__u8 iter_type;
	unsigned long iov_offset;
	const struct iovec *__iov; /* since 6.4 */
	void *ubuf;		   /* since 6.0 */
	unsigned long count;
	unsigned long nr_segs;
} __relocated;

struct msghdr {
	struct iov_iter msg_iter;
	unsigned int msg_flags;
} __relocated;

/* uapi: what a user program passes to sendmsg and recvmsg */
struct user_msghdr {
	void *msg_name;
	int msg_namelen;
	int pad0;
	struct iovec *msg_iov;
	unsigned long msg_iovlen;
	void *msg_control;
	unsigned long msg_controllen;
	unsigned int msg_flags;
	int pad1;
};

struct thread_struct {
	unsigned long fsbase; /* amd64 only */
} __relocated;

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
} __relocated;

struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct mm_struct *mm;
	unsigned long nvcsw;
	struct thread_struct thread;
	char comm[16];
} __relocated;

struct linux_binprm {
	const char *filename;
} __relocated;

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r14, r10, r9, r8, ax, cx, dx, si, di, orig_ax, cs;
} __relocated;
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
} __relocated;
struct pt_regs {
	__u64 regs[31];
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
} __relocated;
#else
#error "Clew knows amd64 and arm64"
#endif

#pragma clang diagnostic pop

#endif
