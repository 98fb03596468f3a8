/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * MySQL and MariaDB (MySQL internals, "Client/Server Protocol"): three bytes of
 * length, lowest first, a sequence number, then the packet. A command begins with
 * number 0.
 */
#ifndef CLEW_PROTOCOL_MYSQL_H
#define CLEW_PROTOCOL_MYSQL_H

#include "../number.h"

#define COM_QUERY 0x03
#define COM_INIT_DB 0x02
#define COM_PING 0x0e
#define COM_STMT_PREPARE 0x16
#define COM_STMT_EXECUTE 0x17
#define COM_STMT_RESET 0x1a
#define COM_STMT_FETCH 0x1c

static __always_inline int mysql_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u32 length = le32_at(s, 0) & 0xffffff;
	__u8 number = s->head[3], first = s->head[4], second = s->head[5];

	if (len < 5 || length < 1)
		return START_NOTHING;
	if (number) /* a client's answer in the handshake */
		return size == length + 4 ? START_MORE : START_NOTHING;
	/* Greeting: protocol 10, then the version as text. */
	if (first == 10 && len >= 8 && size == length + 4 && is_digit(second) &&
	    (s->head[6] == '.' || is_digit(s->head[6])))
		return START_RESPONSE;
	switch (first) {
	case COM_QUERY: /* with attributes (MySQL 8), two counts stand before the text */
		if (len >= 7 && !is_text(second) && second > 1)
			return START_NOTHING;
		break;
	case COM_STMT_PREPARE:
		if (!is_text(second))
			return START_NOTHING;
		break;
	case COM_INIT_DB:
		return length >= 2 && size == length + 4 && is_text(second) ? START_REQUEST : START_NOTHING;
	case COM_STMT_EXECUTE: /* statement, flags, and 1 as a count */
		if (length < 10 || le32_at(s, 10) != 1)
			return START_NOTHING;
		break;
	case COM_STMT_RESET:
		return length == 5 && size == 9 ? START_REQUEST : START_NOTHING;
	case COM_STMT_FETCH:
		return length == 9 && size == 13 ? START_REQUEST : START_NOTHING;
	case COM_PING:
		return length == 1 && size == 5 ? START_REQUEST : START_NOTHING;
	default:
		return size == length + 4 && first < 0x20 ? START_MORE : START_NOTHING;
	}
	/* MariaDB's clients send the execution along with the preparation. */
	if (size > length + 4 && length + 7 < len && s->head[(length + 7) & (HEAD_MAX - 1)] == 0)
		return START_REQUEST;
	return length >= 2 && size_fits(size, length + 4) ? START_REQUEST : START_NOTHING;
}

#endif
