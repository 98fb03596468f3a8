/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Memcached (doc/protocol.txt, doc/protocol-binary.txt of memcached): lines that
 * begin with a command in small letters, or a binary header.
 */
#ifndef CLEW_PROTOCOL_MEMCACHED_H
#define CLEW_PROTOCOL_MEMCACHED_H

#include "../number.h"

static __always_inline bool memcached_command(const struct scratch *s)
{
	switch (word_of(s, 4)) {
	case WORD('g', 'e', 't', ' ', 0, 0, 0, 0):
	case WORD('s', 'e', 't', ' ', 0, 0, 0, 0):
	case WORD('a', 'd', 'd', ' ', 0, 0, 0, 0):
	case WORD('c', 'a', 's', ' ', 0, 0, 0, 0):
	case WORD('g', 'a', 't', ' ', 0, 0, 0, 0):
	case WORD('m', 'n', '\r', '\n', 0, 0, 0, 0):
		return true;
	}
	switch (word_of(s, 5)) {
	case WORD('g', 'e', 't', 's', ' ', 0, 0, 0):
	case WORD('g', 'a', 't', 's', ' ', 0, 0, 0):
	case WORD('i', 'n', 'c', 'r', ' ', 0, 0, 0):
	case WORD('d', 'e', 'c', 'r', ' ', 0, 0, 0):
	case WORD('s', 't', 'a', 't', 's', 0, 0, 0):
		return true;
	}
	switch (word_of(s, 6)) {
	case WORD('t', 'o', 'u', 'c', 'h', ' ', 0, 0):
	case WORD('d', 'e', 'l', 'e', 't', 'e', 0, 0):
		return true;
	}
	switch (load_word(s, 0)) {
	case WORD('r', 'e', 'p', 'l', 'a', 'c', 'e', ' '):
	case WORD('a', 'p', 'p', 'e', 'n', 'd', ' ', 0):
	case WORD('p', 'r', 'e', 'p', 'e', 'n', 'd', ' '):
	case WORD('v', 'e', 'r', 's', 'i', 'o', 'n', '\r'):
	case WORD('f', 'l', 'u', 's', 'h', '_', 'a', 'l'):
		return true;
	}
	return word_of(s, 7) == WORD('a', 'p', 'p', 'e', 'n', 'd', ' ', 0);
}

/* Meta commands: "mg key flags*\r\n". */
static __always_inline bool memcached_meta(const struct scratch *s)
{
	__u8 c = s->head[1];

	return s->head[0] == 'm' && s->head[2] == ' ' && s->head[3] > ' ' &&
	       (c == 'g' || c == 's' || c == 'd' || c == 'a' || c == 'e');
}

static __always_inline int memcached_start(const struct scratch *s, __u32 len, __u32 size)
{
	if (len < 4)
		return START_NOTHING;
	if (s->head[0] == 0x80) /* binary: header of 24 bytes, body length at 8 */
		return len >= 24 && size_fits(size, be32_at(s, 8) + 24) && s->head[1] < 0x40 && !s->head[5]
			       ? START_REQUEST
			       : START_NOTHING;
	return memcached_command(s) || memcached_meta(s) ? START_REQUEST : START_NOTHING;
}

#endif
