/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A connection, kept on its socket and freed with it.
 *
 * Each direction is a stream of messages whose framing is followed, so that a
 * message is only looked for where one may begin, and its end is known. The two
 * streams share as little as can be: sender and receiver may run at once.
 */
#ifndef CLEW_CONN_H
#define CLEW_CONN_H

#include "scratch.h"
#include "stats.h"

/* Where a stream stands. */
enum framing {
	FRAMING_BOUNDARY,   /* a message may begin here */
	FRAMING_HEAD,	    /* in a head that came in pieces; the pieces are in `heads` */
	FRAMING_LENGTH,	    /* in a body of known length: `left` bytes to come */
	FRAMING_CHUNKED,    /* in a chunked body */
	FRAMING_UNTIL_TURN, /* in a body of unknown end: until the other side speaks, or close */
	FRAMING_OPAQUE,	    /* not followed any more: upgraded, tunnelled, or unknown */
};

struct stream {
	__u64 left;	/* FRAMING_LENGTH: bytes to come; FRAMING_CHUNKED: the last five bytes;
			 * of a wire: position of the next byte */
	__u64 first_ns; /* first byte of the message */
	__u64 last_ns;	/* its last byte so far */
	__u64 bytes;	/* of the message so far */
	__u32 next_seq; /* sequence number after the last byte accounted for */
	__u32 head_seq; /* sequence number of the message's first byte; of a wire: bytes
			 * since this side began to speak, no more than 2^31 */
	__u16 held;	/* bytes of an unfinished head in `heads` */
	__u8 framing;	/* enum framing */
	__u8 synced;	/* next_seq is valid */
	__u8 announced; /* user space has the head and waits for the end */
	__u8 pad[3];
};

/* A connection whose first turns all begin with nothing known is left alone. */
#define MISSES_MAX 16

/* The request line of an unsampled request, should it have to be rescued. */
#define RESCUE_LINE 256 /* method and path of nearly all requests; state of a socket stays small */
#define STATUS_LINE 16	/* "HTTP/1.1 503 " and padding */

enum { HEADER_NONE, HEADER_DUE, HEADER_WRITTEN };
enum { OPTION_NONE, OPTION_DUE, OPTION_SENT };
enum { MEMBER_NOT, MEMBER_WANTED, MEMBER };

/*
 * What of rungs 1 and 2 applies to a connection, and to its newest request. See
 * outlet.h, header.h and option.h.
 */
struct outlet {
	struct context context; /* that leaves with the request */
	__u64 opener;		/* a proxy's: the request that it was opened for; 0: unknown */
	__u32 seq;		/* of the request's first byte */
	__u32 received;		/* bytes that had been received when it was sent */
	__u32 retransmits;	/* of the socket, until then */
	__u16 at;		/* bytes of its request line, behind which a header goes */
	__u8 header;
	__u8 option;
	__u8 member;	/* of the sockhash */
	__u8 carries;	/* options may be sent */
	__u8 hello;	/* a good option came: say once that an agent is here */
	__u8 settled;	/* looked at: see outlet_ask() */
	__u8 zero_copy; /* its owner sends without copying, which members do badly */
	__u8 opened;	/* a proxy's: nothing was sent since `opener` opened it */
	__u8 answered;	/* the peer has said that an agent is there */
	__u8 refused;	/* options are not sent, and that was counted */
	__u8 suspended; /* the last request may have ended HTTP here: no headers */
	__u8 pad[7];
};

struct conn {
	__u64 id;
	__u64 request;	  /* server: id of the open request */
	__u64 request_ns; /* first byte of the unanswered request */
	__u64 copying_ns; /* when a send last began to copy: the time of its bytes */
	struct stream in, out;
	struct trace trace; /* of the unanswered request */
	struct outlet outlet;
	__u32 tgid;
	__u32 writer;	 /* client: thread that sent the request */
	__u32 lost;	 /* records the ring could not take */
	__u32 heads;	 /* bit i: the i-th unanswered request is HEAD, oldest lowest */
	__u32 connects;	 /* likewise CONNECT */
	__u32 records;	 /* likewise given to user space */
	__u16 line_len;	 /* bytes in line */
	__u8 unanswered; /* requests waiting for a response */
	__u8 role;	 /* enum role */
	__u8 evidence;	 /* enum evidence, of the unanswered request */
	__u8 last_dir;	 /* direction of the last bytes, plus one; 0: none yet */
	__u8 misses;	 /* turns that began with nothing known */
	__u8 recorded;	 /* the newest request is given to user space */
	__u8 extra;	 /* it has had several messages in one segment, of which one is counted here */
	__u8 blind;	 /* bytes passed unseen where an answer may have begun */
	__u8 wire;	 /* enum wire: what it speaks if not HTTP */
	__u8 doubts;	 /* how often its protocol or role was given up */
	__u8 pad[4];
	char line[RESCUE_LINE];
	char status_line[STATUS_LINE];
};

#ifdef CLEW_NO_SK_STORAGE
/*
 * kprobe programs have no socket storage. Key: address of the socket. Put at the
 * first use; deleted when the socket closes, and LRU for unix sockets, whose end
 * no hook shows: an evicted connection starts anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct conn);
} conns SEC(".maps");

/* A conn is too large for the stack. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct conn);
} blank_conn SEC(".maps");

static __always_inline struct conn *conn_get(struct sock *sk)
{
	__u64 key = (__u64)sk;

	return bpf_map_lookup_elem(&conns, &key);
}

static __always_inline struct conn *conn_make(struct sock *sk)
{
	struct conn *c = conn_get(sk), *zero;
	__u64 key = (__u64)sk;
	__u32 first = 0;

	if (c)
		return c;
	zero = bpf_map_lookup_elem(&blank_conn, &first);
	if (!zero)
		return 0;
	bpf_map_update_elem(&conns, &key, zero, BPF_NOEXIST);
	c = conn_get(sk);
	if (!c)
		stat_add(STAT_NO_STORAGE);
	return c;
}

static __always_inline void conn_del(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&conns, &key);
}
#else
/*
 * Key: socket. Put at the first use by a watched process, freed by the kernel
 * with the socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct conn);
} conns SEC(".maps");

static __always_inline struct conn *conn_get(struct sock *sk)
{
	return bpf_sk_storage_get(&conns, sk, 0, 0);
}

static __always_inline struct conn *conn_make(struct sock *sk)
{
	struct conn *c = bpf_sk_storage_get(&conns, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!c)
		stat_add(STAT_NO_STORAGE);
	return c;
}

static __always_inline void conn_del(struct sock *sk)
{
	bpf_sk_storage_delete(&conns, sk);
}
#endif

#endif
