/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * DNS (RFC 1035 4.1.1): id, flags, and four counts, of which that of questions is 1.
 * Over TCP the length stands before (RFC 1035 4.2.2, RFC 7766).
 */
#ifndef CLEW_PROTOCOL_DNS_H
#define CLEW_PROTOCOL_DNS_H

#include "../number.h"

#define DNS_ANSWER 0x8000
#define DNS_OPCODE 0x7800
#define DNS_ZERO 0x0040

#define DNS_SIZE 17 /* header, the root as name, type and class */

/* A message that begins at `at`. */
static __always_inline int dns_message(const struct scratch *s, __u32 at, __u32 len)
{
	__u16 flags = be16_at(s, at + 2);

	if (len < at + DNS_SIZE || (flags & (DNS_OPCODE | DNS_ZERO)) || be16_at(s, at + 4) != 1 ||
	    be16_at(s, at + 10) > 2)
		return START_NOTHING;
	if (flags & DNS_ANSWER)
		return START_RESPONSE;
	return be16_at(s, at + 6) || be16_at(s, at + 8) ? START_NOTHING : START_REQUEST;
}

static __always_inline int dns_start(const struct scratch *s, __u32 len, __u32 size)
{
	return size == (__u32)be16_at(s, 0) + 2 ? dns_message(s, 2, len) : START_NOTHING;
}

#endif
