/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Who is watched. */
#ifndef CLEW_TARGETS_H
#define CLEW_TARGETS_H

#include "settings.h"

enum target_flags {
	TARGET_KNOWN = 1 << 0,	     /* user space has looked at it; before, no task evidence */
	TARGET_GO = 1 << 1,	     /* tasks are goroutines, and go_* are valid */
	TARGET_GO_UNKNOWN = 1 << 2,  /* a Go program whose layout is not known */
	TARGET_GO_NET_HTTP = 1 << 3, /* it holds the net/http client: a write has a handoff */
	TARGET_MULTIPLEXES = 1 << 4, /* its runtime moves work between threads */
	TARGET_HEADERS = 1 << 5,     /* its plain HTTP requests may be given a header (rung 1) */
	TARGET_TCP = 1 << 6,	     /* its requests may be given a TCP option (rung 2) */
	TARGET_NO_LOCAL = 1 << 7,    /* its requests leave no mark (rung 0) */
	TARGET_PROXY = 1 << 8,	     /* it passes requests on, many on one thread */
};

/* From net/http's persistConn to a file descriptor: see probes/golang. Offsets and type hashes. */
struct go_conn {
	__u32 persist, tls, fd, sysfd;
	__u32 tcp_hash, unix_hash, tls_hash;
	__u32 pad;
};

/* Where goroutine ids come from: see goroutine.h. Offsets; goidgen is an address, 0: not known. */
struct go_ids {
	__u64 goidgen;
	__u32 m, p, old_p, goidcache;
};

struct target {
	__u64 trusted_ns;     /* thread evidence counts from this time on */
	__s32 go_tls_offset;  /* of g, from the thread pointer (amd64) */
	__u16 go_goid;	      /* offset of goid in g */
	__u16 go_parent_goid; /* offset of parentGoid in g */
	enum target_flags flags;
	__u32 pad;
	struct go_conn go_conn;
	struct go_ids go_ids;
};

/*
 * Key: tgid. Value: how to watch it.
 * Put by user space (discovery), and by the kernel at exec and fork; deleted at
 * exit and by user space. Not preallocated: most nodes run a few hundred
 * processes. Full (32768, the default pid_max): the process is not watched,
 * which user space sees and counts.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct target);
} targets SEC(".maps");

static __always_inline struct target *target_get(__u32 tgid)
{
	return bpf_map_lookup_elem(&targets, &tgid);
}

static __always_inline void target_put(__u32 tgid, const struct target *t)
{
	bpf_map_update_elem(&targets, &tgid, t, BPF_ANY);
}

static __always_inline void target_del(__u32 tgid)
{
	bpf_map_delete_elem(&targets, &tgid);
}

/*
 * Key: cgroup2 id. Value: unused. A process that execs in one of these is
 * watched at once, without waiting for user space.
 * Put and deleted by user space. Full (1024): user space still finds the
 * process, a little later.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u8);
} watched_cgroups SEC(".maps");

static __always_inline bool cgroup_watched(__u64 id)
{
	return bpf_map_lookup_elem(&watched_cgroups, &id) != 0;
}

#endif
