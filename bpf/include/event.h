/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What crosses the ring buffer: the only layout that C and Go both know. Go
 * gets it generated; nothing here may be repeated by hand on the other side.
 *
 * Fields stand widest first, and padding is spelled out: a record is copied to
 * user space whole, so a hole would carry kernel bytes along.
 */
#ifndef CLEW_EVENT_H
#define CLEW_EVENT_H

#include "kernel.h"

/*
 * Enums that are fields of a record are as wide as the field (packed: one byte),
 * so that their names are in the BTF from which Go's are generated.
 */
#define __byte __attribute__((packed))

enum event_kind {
	EVENT_REQUEST = 1, /* struct message, then the head's bytes */
	EVENT_RESPONSE,	   /* struct message, then the head's bytes */
	EVENT_END,	   /* struct message: the response announced before is complete */
	EVENT_CLOSE,	   /* struct message: the connection is gone */
	EVENT_ASK,	   /* struct message, then bytes that a client sent, and the last of them */
	EVENT_ANSWER,	   /* struct message, then bytes that a server sent, and the last of them */
	EVENT_EXEC,	   /* struct lifecycle */
	EVENT_FORK,	   /* struct lifecycle */
	EVENT_EXIT,	   /* struct lifecycle */
	EVENT_SETTLE,	   /* struct settle: a connection may yet become one of outlet.h */
	EVENT_LEAVE,	   /* struct settle: a connection must not be a member any more */
};

enum role {
	ROLE_UNKNOWN,
	ROLE_CLIENT,
	ROLE_SERVER,
} __byte;

/* What ties a request to its parent; order is strength, strongest first. */
enum evidence {
	EVIDENCE_NONE,
	EVIDENCE_HEADER,       /* its bytes carry a traceparent */
	EVIDENCE_RELAY,	       /* the same, the very one that an open request came with */
	EVIDENCE_LOCAL,	       /* the client's mark was found by connection and sequence number */
	EVIDENCE_TCP_OPTION,   /* the same, from another host by a TCP option */
	EVIDENCE_GOROUTINE,    /* the goroutine that sends it, or an ancestor, serves the parent */
	EVIDENCE_THREAD,       /* the thread that sends it serves the parent and nothing else */
	EVIDENCE_FORK,	       /* the sender was started by a task serving the parent */
	EVIDENCE_REQUEST_LINE, /* a proxy has one open request with this method and target */
} __byte;

enum message_flags {
	MESSAGE_COMPLETE = 1 << 0,  /* whole message seen: no EVENT_END will follow */
	MESSAGE_TRUNCATED = 1 << 1, /* the copy of the head is cut */
	MESSAGE_RESCUED = 1 << 2,   /* unsampled, but an error or slow */
	MESSAGE_SAMPLED = 1 << 3,
	MESSAGE_UNIX = 1 << 4,
	MESSAGE_DATAGRAM = 1 << 5,
} __byte;

/* Identity of a request: W3C trace context. */
struct trace {
	__u8 trace_id[16];
	__u8 span_id[8];
	__u8 parent_id[8]; /* zero: none */
};

/* Every record begins with its kind and the process it is about. */
struct message {
	enum event_kind kind;
	__u32 tgid;
	__u64 connection; /* unique for the life of the agent */
	__u64 first_ns;	  /* CLOCK_MONOTONIC, first byte */
	__u64 last_ns;	  /* last byte seen so far */
	__u64 bytes;	  /* seen so far, head and body; EVENT_ASK, EVENT_ANSWER: of this piece */
	__u64 position;	  /* EVENT_ASK, EVENT_ANSWER: of the first byte in its direction */
	struct trace trace;
	__u8 local[16], remote[16]; /* IPv4 as v4-mapped IPv6 */
	__u32 tid;
	__u32 lost;	/* records of this connection that the ring could not take */
	__u16 head_len; /* bytes behind this struct */
	__u16 local_port, remote_port;
	enum role role;
	enum evidence evidence;
	enum message_flags flags;
	__u8 pad;
	__u16 tail_len; /* so many of the bytes behind are the last of the piece, not the first */
	__u32 pad2;
};

/* User space is to look at connections, or at one. */
struct settle {
	enum event_kind kind;
	__u32 tgid;
	__u64 connection;
};

struct lifecycle {
	enum event_kind kind;
	__u32 tgid;
	__u64 time_ns;
	__u64 cgroup; /* id in the cgroup2 hierarchy */
	__u32 parent; /* tgid */
	__u32 pad;
	char comm[16];
	char filename[128]; /* of EVENT_EXEC, cut at 127 bytes */
};

#endif
