/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * AMQP 0-9-1 (specification, section 2.3): the protocol header, then frames of
 * type, channel, size, and a last byte 0xce. A method frame names class and method.
 */
#ifndef CLEW_PROTOCOL_AMQP_H
#define CLEW_PROTOCOL_AMQP_H

#include "../number.h"

#define AMQP_HEADER WORD('A', 'M', 'Q', 'P', 0, 0, 9, 1)
#define AMQP_METHOD 1
#define AMQP_HEARTBEAT 8
#define AMQP_END 0xce

/* Who sends a method: numbers of answers end in 1, but for those of class basic. */
static __always_inline int amqp_method(__u16 class, __u16 method)
{
	if (class == 20 && method >= 20) /* flow and close: either side's */
		return START_MORE;
	if (class != 60)
		return method % 10 == 1 ? START_RESPONSE : START_REQUEST;
	switch (method) {
	case 10: /* qos */
	case 20: /* consume */
	case 40: /* publish */
	case 70: /* get */
		return START_REQUEST;
	case 11:
	case 21:
	case 50: /* return */
	case 60: /* deliver */
	case 71:
	case 72: /* get-empty */
		return START_RESPONSE;
	}
	return START_MORE; /* ack and the like: either side's */
}

static __always_inline int amqp_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u32 length = be32_at(s, 3);
	__u16 class = be16_at(s, 7);

	if (len < 8)
		return START_NOTHING;
	if (load_word(s, 0) == AMQP_HEADER)
		return size == 8 ? START_REQUEST : START_NOTHING;
	if (s->head[0] == AMQP_HEARTBEAT && !length && s->head[7] == AMQP_END)
		return START_MORE;
	if (s->head[0] != AMQP_METHOD || length < 4 || len < 12 || length > (128U << 10) || size < length + 8)
		return START_NOTHING;
	if (length + 7 < len && s->head[(length + 7) & (HEAD_MAX - 1)] != AMQP_END)
		return START_NOTHING;
	if (class == 10 && be16_at(s, 9) == 10) /* connection.start is the server's */
		return START_RESPONSE;
	if (class == 10) /* the rest of its handshake runs both ways */
		return START_MORE;
	if (class != 20 && class != 40 && class != 50 && class != 60 && class != 85 && class != 90)
		return START_NOTHING;
	return amqp_method(class, be16_at(s, 9));
}

#endif
