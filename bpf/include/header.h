/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Rung 1 of propagation: a traceparent is written into plain HTTP/1.x requests,
 * right behind the request line, before their bytes leave.
 *
 * Whether, is decided when the request is recognised (header_decide); the sk_msg
 * program does it when a message begins with the request's first byte
 * (header_write). Between the two, nothing is remembered but numbers.
 */
#ifndef CLEW_HEADER_H
#define CLEW_HEADER_H

#include "outlet.h"
#include "state.h"

/* "traceparent: " value "\r\n" */
#define TRACEPARENT_LINE (13 + TRACEPARENT_LEN + 2)
/* "tracestate: " value "\r\n" */
#define TRACESTATE_LINE(len) (12 + (len) + 2)
#define HEADER_MAX (TRACEPARENT_LINE + TRACESTATE_LINE(STATE_MAX))

static __always_inline __u64 header_parent(const struct conn *c)
{
	__u64 id;

	__builtin_memcpy(&id, c->trace.parent_id, 8);
	return id;
}

/* The tracestate that goes with the request: that of the request it is made for. */
static __always_inline struct state *header_state(const struct conn *c)
{
	__u64 parent = header_parent(c);

	return parent ? state_get(parent) : 0;
}

/* 0x80 in each byte of w that is c. Exact, as newlines() is. */
static __always_inline __u64 bytes_equal(__u64 w, __u8 c)
{
	__u64 x = w ^ (ONES * c);

	return ~(((x & LOWS) + LOWS) | x | LOWS);
}

/* Bits of the bytes of w that parsers read differently. `carry`: the byte before w was CR. */
static __always_inline __u64 bytes_odd(__u64 w, __u64 *carry)
{
	__u64 cr = bytes_equal(w, '\r'), lf = bytes_equal(w, '\n');
	/* Below 0x20: none of the upper three bits. */
	__u64 control = bytes_equal(w & (ONES * 0xe0), 0) & ~bytes_equal(w, '\t');
	__u64 odd = (control & ~(cr | lf)) | (lf ^ (cr << 8 | *carry));

	*carry = cr >> 56;
	return odd;
}

/*
 * Is the head in scratch, of `end` bytes, one that all parsers read alike: every line
 * ends with CR LF, and there is no other control character than tabs? Global, as
 * scan_head is.
 */
__noinline int head_is_plain(__u32 slot, __u32 end)
{
	struct scratch *s = scratch_get(slot);
	__u64 odd = 0, carry = 0;
	__u32 at;

	if (!s || end > HEAD_MAX)
		return 0;
#pragma clang loop unroll(disable)
	for (at = 0; at < HEAD_MAX; at += 8) {
		if (at + 8 > end)
			break;
		odd |= bytes_odd(load_word(s, at), &carry);
	}
	if (end & 7)
		odd |= bytes_odd(load_word(s, end & ~7U), &carry) & ((1ULL << 8 * (end & 7)) - 1);
	return !odd;
}

/*
 * Why the request, whose head is in scratch, is not to be given a header; 0: no
 * reason. Its place on the connection is told in two ways: by framing, and by what
 * was received since the last one. A body that looks like a request fails both.
 */
static __always_inline enum stat header_obstacle(struct hook *h, struct conn *c, struct stream *st,
						 const struct scratch *s)
{
	struct tcp_sock *tp = (struct tcp_sock *)h->sk;
	struct state *state = header_state(c);
	__u32 length = TRACEPARENT_LINE + (state && state->len ? TRACESTATE_LINE(state->len) : 0);
	__u32 received = (__u32)BPF_CORE_READ(tp, bytes_received);

	if (s->info.traceparents || s->info.b3 || s->info.b3_traceid)
		return STAT_INJECT_OWN_HEADER;
	if (!s->info.end || st->head_seq != h->seq)
		return STAT_INJECT_SPLIT;
	if (c->outlet.suspended)
		return STAT_INJECT_ODD;
	if (c->unanswered != 1 || (c->outlet.seq && c->outlet.received == received))
		return STAT_INJECT_PIPELINED;
	if ((s->info.odd & HEAD_ODD) || s->info.lengths > 1 || (s->info.chunked && s->info.has_length) ||
	    http_is_connect(s) || !head_is_plain(h->slot, s->info.end))
		return STAT_INJECT_ODD;
	if (BPF_CORE_READ(tp, write_seq) != BPF_CORE_READ(tp, snd_una))
		return STAT_INJECT_IN_FLIGHT;
	/* A send that is cut short must be cut behind the header: see header_write(). */
	if (s->info.first_line + 2 + length > BPF_CORE_READ(tp, mss_cache))
		return STAT_INJECT_NO_ROOM;
	c->outlet.received = received;
	return 0;
}

static __always_inline void header_decide(struct hook *h, struct conn *c, struct stream *st,
					  const struct scratch *s, bool extra)
{
	enum stat obstacle;

	if (c->outlet.member != MEMBER || !rung_is_on(RUNG_HEADERS))
		return;
	if (extra) /* whatever follows in this send */
		stat_add(STAT_INJECT_PIPELINED);
	obstacle = header_obstacle(h, c, st, s);
	if (obstacle) {
		stat_add(obstacle);
		return;
	}
	c->outlet.at = s->info.first_line;
	c->outlet.header = HEADER_DUE;
}

static const char hex_character[16] = "0123456789abcdef";

static __always_inline void hex_write(__u8 *out, const __u8 *bytes, __u32 n)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < n; i++) {
		out[2 * i] = hex_character[bytes[i] >> 4];
		out[2 * i + 1] = hex_character[bytes[i] & 15];
	}
}

/*
 * Messages up to this size become one element again, so that they leave in one
 * segment: 2 to 4 us a request, against 13 us and stalls of separate ones.
 */
#define COALESCE_MAX (16 << 10)

/* Puts the line or lines into head of the slot; returns their length. */
__noinline int header_text(struct conn *c, __u32 slot)
{
	struct scratch *s = scratch_get(slot);
	struct state *state;
	__u32 len;

	if (!s || !c)
		return 0;
	__builtin_memcpy(s->head, "traceparent: 00-", 16);
	hex_write(s->head + 16, c->outlet.context.trace_id, 16);
	s->head[48] = '-';
	hex_write(s->head + 49, c->outlet.context.span_id, 8);
	__builtin_memcpy(s->head + 65, "-00\r\n", 5);
	s->head[67] |= c->outlet.context.sampled & 1;
	state = header_state(c);
	if (!state)
		return TRACEPARENT_LINE;
	len = state->len;
	if (!len || len > STATE_MAX)
		return TRACEPARENT_LINE;
	__builtin_memcpy(s->head + TRACEPARENT_LINE, "tracestate: ", 12);
	bpf_probe_read_kernel(s->head + TRACEPARENT_LINE + 12, STATE_MAX, state->bytes);
	if (state->id != header_parent(c)) /* given to another request meanwhile */
		return TRACEPARENT_LINE;
	len += TRACEPARENT_LINE + 12;
	s->head[len & (HEAD_MAX - 1)] = '\r';
	s->head[(len + 1) & (HEAD_MAX - 1)] = '\n';
	return len + 2;
}

/* Copies the text into the gap at `at` of the message; 0 if it is there. */
static __always_inline int header_fill(struct sk_msg_md *msg, const struct scratch *s, __u32 at, __u32 len)
{
	__u8 *to = msg->data, *end = msg->data_end;
	__u32 i = TRACEPARENT_LINE;

	CLAMP(len, HEADER_MAX); /* idle: else the compiler drops the bounds below */
	to += at & (HEAD_MAX - 1);
	if (to + TRACEPARENT_LINE > end)
		return -1;
	__builtin_memcpy(to, s->head, TRACEPARENT_LINE);
	to += TRACEPARENT_LINE;
	/* Bounded by constants: the verifier of 6.1 does not see that `len` bounds them. */
	for (; i + 8 <= HEADER_MAX && i + 8 <= len; i += 8, to += 8) {
		if (to + 8 > end)
			return -1;
		*(__u64 *)to = load_word(s, i);
	}
	for (; i < HEADER_MAX && i < len; i++, to++) {
		if (to + 1 > end)
			return -1;
		*to = s->head[i & (HEAD_MAX - 1)];
	}
	return 0;
}

/*
 * Writes the header due into the message, which begins with its request. Returns
 * the bytes added, or 0: then the message is as it was.
 *
 * Everything up to the header stands in one element afterwards, so that a send
 * that is cut short (no memory, a full queue) has sent either none of it, or all.
 * In between, the kernel would tell the program that less of its bytes were taken
 * than were.
 */
static __always_inline int header_write(struct sk_msg_md *msg, struct conn *c, __u32 slot)
{
	struct scratch *s = scratch_get(slot);
	__u32 line = c->outlet.at & (HEAD_MAX - 1), at = line + 2, size = msg->size, len;
	__u8 *data = msg->data, *end = msg->data_end;

	if (!s || !line)
		return 0;
	len = header_text(c, slot);
	if (!len || len > HEADER_MAX)
		return 0;
	data += line;
	if (data + 2 > end || data[0] != '\r' || data[1] != '\n')
		return 0;
	if (bpf_msg_push_data(msg, at, len, 0))
		return 0;
	size = size > COALESCE_MAX ? at : size;
	if (bpf_msg_pull_data(msg, 0, size + len, 0) || header_fill(msg, s, at, len)) {
		bpf_msg_pop_data(msg, at, len, 0);
		return 0;
	}
	return len;
}

#endif
