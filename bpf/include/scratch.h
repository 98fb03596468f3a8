/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Working memory of a program: too large for the stack (512 bytes).
 *
 * One per CPU and per hook: a program does not run twice at once on a CPU (the
 * kernel skips and counts the second, bpf_prog_info.recursion_misses), but two
 * hooks may, one interrupting or preempting the other.
 */
#ifndef CLEW_SCRATCH_H
#define CLEW_SCRATCH_H

#include "event.h"

/* A traceparent is found in the first 4 KiB of a head. */
#define HEAD_MAX 4096
/* Heads of nearly all messages end in the first KiB: read that first. */
#define HEAD_FIRST 1024
/* Lines of a head that begin in an interesting way: see scan.h. */
#define LINES_MAX 32
/* A tracestate may come in several fields; one is usual. */
#define STATES_MAX 4

enum slot {
	SLOT_RECV,
	SLOT_SEND,
	SLOT_EARLY,
	SLOT_STATE,
	SLOT_MSG,
	SLOT_TEST,
	SLOT_COUNT,
};

/* Where the bytes of a send or receive are in user memory. */
struct buffer {
	__u64 base;	  /* flat: address */
	__u64 iov;	  /* vector: address of the first struct iovec; 0: flat */
	__u64 segments;	  /* vector: how many */
	__u64 offset;	  /* vector: bytes of the first one to pass over */
	__s32 fd;	  /* of the system call; -1: unknown */
	__u8 kernel_iov;  /* vector: the iovecs are in kernel memory */
	__u8 readable;	  /* base or iov is valid */
	__u8 kernel_base; /* flat: in kernel memory */
	__u8 pad;
};

/* Bits of head.odd. */
#define HEAD_ODD 1   /* a line end without CR, a folded line, or lines of interest beyond LINES_MAX */
#define HEAD_TURNS 2 /* another protocol may follow: a Connection field of more than usual */

/*
 * What scan_head found. Offsets are into `head`. Zeroed before each scan as far as
 * `state`; of the arrays, `states` and `lines` say how much counts.
 */
struct head {
	__u64 content_length;
	__u32 end;	   /* bytes of the head with its empty line; 0: not complete */
	__u32 first_line;  /* bytes of the first line without its line end; 0: not complete */
	__u32 traceparent; /* offset of its value; 0: none */
	__u32 lines;
	__u16 b3, b3_traceid, b3_spanid; /* offset of the first one's value; 0: none, empty or not read */
	__u16 b3_sampled, b3_flags;
	__u8 has_length;
	__u8 chunked;
	__u8 traceparents; /* fields of that name, whether read or not */
	__u8 lengths;	   /* Content-Length fields: with two, parsers may differ on where the body ends */
	__u8 odd;	   /* HEAD_ODD, HEAD_TURNS */
	__u8 states; /* tracestate fields that are not empty, if read; of STATES_MAX the place is kept */
	__u16 state[STATES_MAX];     /* offset of each one's value, in order */
	__u16 state_end[STATES_MAX]; /* offset behind it, white space left out */
	__u16 line[LINES_MAX];	     /* begin of each line kept */
	__u16 line_end[LINES_MAX];   /* offset of its '\n' */
};

/* Trace context as it travels: what a traceparent or B3 says. */
struct context {
	__u8 trace_id[16];
	__u8 span_id[8];
	__u8 sampled;
	__u8 deferred; /* set by context_parse() alone: B3 leaves the decision to us, `sampled` is 0 */
	__u8 pad[6];
};

struct scratch {
	struct message msg;	 /* the record being made; the head follows it at once */
	__u8 head[2 * HEAD_MAX]; /* written below HEAD_MAX, at most HEAD_MAX bytes at a time */
	struct head info;
	struct buffer buf;
	struct context received; /* with the request, or left by its client */
	struct context other;	 /* a second one, to be compared with it */
	struct context header;	 /* what its own header says, if `carried` */
	__u32 len;		 /* bytes in head */
	__u32 carried;
	__u32 busy; /* SLOT_MSG: in use by a thread that was preempted */
	__u32 pad;
};

/*
 * Key: enum slot. Value: zero at first, owned by the program while it runs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOT_COUNT);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_get(__u32 slot)
{
	return bpf_map_lookup_elem(&scratches, &slot);
}

#endif
