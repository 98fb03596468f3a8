/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * DNS over TCP (RFC 1035 4.1.1, 4.2.2; RFC 7766): length, then id, flags, and four
 * counts, of which that of questions is 1.
 */
#ifndef CLEW_PROTOCOL_DNS_H
#define CLEW_PROTOCOL_DNS_H

#include "../number.h"

#define DNS_ANSWER 0x8000
#define DNS_OPCODE 0x7800
#define DNS_ZERO 0x0040

static __always_inline int dns_start(const struct scratch *s, __u32 len, __u32 size)
{
	__u16 flags = be16_at(s, 4);

	if (len < 14 || size != (__u32)be16_at(s, 0) + 2 || (flags & (DNS_OPCODE | DNS_ZERO)) ||
	    be16_at(s, 6) != 1 || be16_at(s, 12) > 2)
		return START_NOTHING;
	if (flags & DNS_ANSWER)
		return START_RESPONSE;
	return be16_at(s, 8) || be16_at(s, 10) ? START_NOTHING : START_REQUEST;
}

#endif
