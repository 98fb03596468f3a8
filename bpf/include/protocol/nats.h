/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* NATS (docs.nats.io, "Client Protocol"): lines that begin with an operation. */
#ifndef CLEW_PROTOCOL_NATS_H
#define CLEW_PROTOCOL_NATS_H

#include "../number.h"

static __always_inline int nats_start(const struct scratch *s, __u32 len, __u32 size)
{
	(void)size;
	if (len < 4)
		return START_NOTHING;
	switch (word_of(s, 4)) {
	case WORD('P', 'U', 'B', ' ', 0, 0, 0, 0):
	case WORD('S', 'U', 'B', ' ', 0, 0, 0, 0):
		return START_REQUEST;
	case WORD('M', 'S', 'G', ' ', 0, 0, 0, 0):
		return START_RESPONSE;
	case WORD('P', 'I', 'N', 'G', 0, 0, 0, 0):
	case WORD('P', 'O', 'N', 'G', 0, 0, 0, 0):
	case WORD('+', 'O', 'K', '\r', 0, 0, 0, 0):
		return START_MORE;
	}
	switch (word_of(s, 5)) {
	case WORD('H', 'P', 'U', 'B', ' ', 0, 0, 0):
	case WORD('U', 'N', 'S', 'U', 'B', 0, 0, 0):
		return START_REQUEST;
	case WORD('H', 'M', 'S', 'G', ' ', 0, 0, 0):
		return START_RESPONSE;
	}
	if (word_of(s, 6) == WORD('I', 'N', 'F', 'O', ' ', '{', 0, 0))
		return START_RESPONSE;
	if (load_word(s, 0) == WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' ') && s->head[8] == '{')
		return START_REQUEST;
	return START_NOTHING;
}

#endif
