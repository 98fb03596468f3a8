/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Kafka (protocol guide, "Request Header"): length, API key, its version,
 * correlation id and the client's name.
 */
#ifndef CLEW_PROTOCOL_KAFKA_H
#define CLEW_PROTOCOL_KAFKA_H

#include "../number.h"

#define KAFKA_KEYS 96	  /* 92 in version 4.1 */
#define KAFKA_VERSIONS 24 /* Fetch has 18 */
#define KAFKA_NAME 256	  /* a longer name of a client is none */

static __always_inline int kafka_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u32 length = be32_at(s, 0), name = be16_at(s, 12);

	if (len < 14 || length < 10 || be16_at(s, 4) >= KAFKA_KEYS || be16_at(s, 6) >= KAFKA_VERSIONS)
		return START_NOTHING;
	if (!size_fits(size, length + 4) && size <= length + 4) /* several may come in one */
		return START_NOTHING;
	if ((__s32)be32_at(s, 8) < 0 || (name != 0xffff && name >= KAFKA_NAME) || length > (128U << 20))
		return START_NOTHING;
	for (__u32 i = 0; i < 8; i++)
		if (name != 0xffff && i < name && 14 + i < len &&
		    (s->head[14 + i] < ' ' || s->head[14 + i] > '~'))
			return START_NOTHING;
	return START_REQUEST;
}

#endif
