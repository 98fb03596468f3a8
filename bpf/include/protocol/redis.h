/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Redis (RESP, redis.io "Redis serialization protocol"): a command is an array of
 * bulk strings, of which the first is its name.
 */
#ifndef CLEW_PROTOCOL_REDIS_H
#define CLEW_PROTOCOL_REDIS_H

#include "../number.h"

/* "*3\r\n$3\r\nSET\r\n": up to seven digits of count, two of the name's length. */
static __always_inline int redis_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u32 at = 1;

	(void)size;
	if (len < 8 || s->head[0] != '*' || s->head[1] == '0')
		return START_NOTHING;
	for (int i = 0; i < 7 && is_digit(s->head[at]); i++)
		at++;
	if (at == 1 || s->head[at] != '\r' || s->head[at + 1] != '\n' || s->head[at + 2] != '$')
		return START_NOTHING;
	at += 3;
	if (!is_digit(s->head[at]) || s->head[at] == '0')
		return START_NOTHING;
	at += is_digit(s->head[at + 1]) ? 2 : 1;
	if (s->head[at] != '\r' || s->head[at + 1] != '\n')
		return at >= len ? START_MORE : START_NOTHING;
	return at + 2 >= len || is_letter(s->head[at + 2]) ? START_REQUEST : START_NOTHING;
}

#endif
