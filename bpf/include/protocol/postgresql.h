/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * PostgreSQL, frontend/backend protocol 3 (manual, chapter "Message Formats"): a
 * letter, then the length with itself; at the start of a connection no letter.
 */
#ifndef CLEW_PROTOCOL_POSTGRESQL_H
#define CLEW_PROTOCOL_POSTGRESQL_H

#include "../number.h"

#define POSTGRESQL_MAJOR 3
#define POSTGRESQL_CANCEL 80877102 /* and the requests for TLS and GSSAPI behind it */

/* May a client's message follow another at `at`? */
static __always_inline bool postgresql_follows(const struct scratch *s, __u32 at, __u32 len)
{
	__u8 c;

	if (at >= len)
		return true;		  /* not seen */
	c = s->head[at & (HEAD_MAX - 1)]; /* masked for the verifier: len is less */
	return c == 'B' || c == 'P' || c == 'D' || c == 'E' || c == 'S' || c == 'H' || c == 'C' || c == 'Q';
}

static __always_inline int postgresql_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u32 length = be32_at(s, 1), code = be32_at(s, 4);
	__u8 type = s->head[0];

	if (len < 5)
		return START_NOTHING;
	if (type == 0 && be32_at(s, 0) == size && size >= 8)
		return code >> 16 == POSTGRESQL_MAJOR || code - POSTGRESQL_CANCEL <= 2 ? START_REQUEST
										       : START_NOTHING;
	if (length < 4 || length >= (1U << 30))
		return START_NOTHING;
	switch (type) {
	case 'Q':
		if (!size_fits(size, length + 1) &&
		    !(size > length + 1 && postgresql_follows(s, length + 1, len)))
			return START_NOTHING;
		return length >= 5 && is_text(s->head[5]) ? START_REQUEST : START_NOTHING;
	case 'P': /* Parse: name, text, ...; never alone */
	case 'B': /* Bind: portal, statement, ... */
		if (length < 8 || (size <= length + 1 && size < 1024))
			return START_NOTHING;
		return postgresql_follows(s, length + 1, len) ? START_REQUEST : START_NOTHING;
	case 'E':
	case 'D':
	case 'C':
	case 'S':
	case 'H':
	case 'F':
	case 'd':
	case 'c':
	case 'f':
	case 'p':
	case 'X': /* some of them are also a server's */
		return START_MORE;
	}
	return START_NOTHING;
}

#endif
