/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * HTTP/1.x (RFC 9112): is this the start of a message, of which kind, and how
 * long is its body?
 */
#ifndef CLEW_PROTOCOL_HTTP_H
#define CLEW_PROTOCOL_HTTP_H

#include "../conn.h"
#include "../scan.h"

#define HTTP_METHOD_MAX 16 /* BASELINE-CONTROL; of the registry only UPDATEREDIRECTREF is longer */
#define HTTP_VERSION WORD('H', 'T', 'T', 'P', '/', '1', '.', 0)

/* Looks at the first `len` bytes of head; returns enum start. */
__noinline int http_start(__u32 slot, __u32 len)
{
	struct scratch *s = scratch_get(slot);
	__u64 w;

	if (!s)
		return START_NOTHING;
	w = load_word(s, 0) & 0x00ffffffffffffffULL;
	if (len >= 7 && w == HTTP_VERSION)
		return len >= 12 ? START_RESPONSE : START_MORE;
	if (len < 7 && len && w << (64 - 8 * len) == HTTP_VERSION << (64 - 8 * len))
		return START_MORE;
	for (__u32 i = 0; i <= HTTP_METHOD_MAX; i++) {
		__u8 c = s->head[i];

		if (i >= len)
			return START_MORE;
		if (c >= 'A' && c <= 'Z')
			continue;
		if ((c == '-' || c == '_') && i > 0)
			continue;
		if (c != ' ' || i < 3)
			return START_NOTHING;
		if (i + 1 >= len)
			return START_MORE;
		c = s->head[(i + 1) & (HEAD_MAX - 1)];
		/* origin-form, asterisk-form, absolute-form or authority-form (RFC 9112 3.2) */
		return c > ' ' && c < 0x7f ? START_REQUEST : START_NOTHING;
	}
	return START_NOTHING;
}

/* Does the first line, complete, end as a request line does: " HTTP/1.x"? */
static __always_inline bool http_request_line(const struct scratch *s)
{
	__u32 n = s->info.first_line;

	return n > 12 && s->head[(n - 9) & (HEAD_MAX - 1)] == ' ' &&
	       (load_word(s, n - 8) & 0x00ffffffffffffffULL) == HTTP_VERSION;
}

static __always_inline bool http_is_head(const struct scratch *s)
{
	return (load_word(s, 0) & 0xffffffffffULL) == WORD('H', 'E', 'A', 'D', ' ', 0, 0, 0);
}

static __always_inline bool http_is_connect(const struct scratch *s)
{
	return load_word(s, 0) == WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' ');
}

/* Three digits behind "HTTP/1.x "; 0: none. */
static __always_inline __u32 http_status(const struct scratch *s)
{
	__u32 a = (__u32)s->head[9] - '0', b = (__u32)s->head[10] - '0', c = (__u32)s->head[11] - '0';

	return a > 9 || b > 9 || c > 9 ? 0 : a * 100 + b * 10 + c;
}

/* Does a chunked body end with these five bytes (RFC 9112 7.1, no trailers)? */
static __always_inline bool http_last_chunk(__u64 tail)
{
	return (tail & 0xffffffffffULL) == WORD('0', '\r', '\n', '\r', '\n', 0, 0, 0);
}

/* Sets how the body behind a request's complete head is framed (RFC 9112 6.3). */
static __always_inline void http_request_body(struct stream *st, const struct head *h)
{
	st->left = 0;
	st->framing = FRAMING_BOUNDARY;
	if (!h->end) {
		st->framing = FRAMING_UNTIL_TURN;
	} else if (h->chunked) {
		st->framing = FRAMING_CHUNKED;
	} else if (h->has_length && h->content_length) {
		st->framing = FRAMING_LENGTH;
		st->left = h->content_length;
	}
}

/* The same for a response to a HEAD, a CONNECT, or another request. */
static __always_inline void http_response_body(struct stream *st, const struct head *h, __u32 status,
					       bool head, bool connect)
{
	st->left = 0;
	if (status == 101 || (connect && status / 100 == 2))
		st->framing = FRAMING_OPAQUE;
	else if (head || status / 100 == 1 || status == 204 || status == 304)
		st->framing = FRAMING_BOUNDARY;
	else if (h->chunked)
		st->framing = FRAMING_CHUNKED;
	else if (!h->end || !h->has_length)
		st->framing = FRAMING_UNTIL_TURN;
	else if (!h->content_length)
		st->framing = FRAMING_BOUNDARY;
	else {
		st->framing = FRAMING_LENGTH;
		st->left = h->content_length;
	}
}

#endif
