/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * MongoDB (manual, "MongoDB Wire Protocol"): length, request id, id that it answers
 * and operation, four bytes each, lowest first.
 */
#ifndef CLEW_PROTOCOL_MONGODB_H
#define CLEW_PROTOCOL_MONGODB_H

#include "../number.h"

#define OP_REPLY 1
#define OP_QUERY 2004
#define OP_COMPRESSED 2012
#define OP_MSG 2013

static __always_inline int mongodb_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u32 length = le32_at(s, 0), op = le32_at(s, 12);

	if (len < 16 || length < 21 || length > (48U << 20))
		return START_NOTHING;
	if (op != OP_MSG && op != OP_QUERY && op != OP_COMPRESSED && op != OP_REPLY)
		return START_NOTHING;
	if (size < length && size < 1024)
		return START_NOTHING;
	return op != OP_REPLY && !le32_at(s, 8) ? START_REQUEST : START_RESPONSE;
}

#endif
