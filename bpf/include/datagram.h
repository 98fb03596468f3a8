/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* UDP: datagrams of DNS. */
#ifndef CLEW_DATAGRAM_H
#define CLEW_DATAGRAM_H

#include "turn.h"

/*
 * Resolvers send the questions for both kinds of addresses by one sendmmsg, and the
 * hook runs for each; which one it is, is counted here. Should a call be cut short,
 * the next one may be read wrongly: the answer names its question anyway.
 */
static __always_inline void datagram_of_many(struct hook *h, struct stream *st)
{
	int many = buffer_from_mmsg(h->slot, st->held);

	if (!many)
		many = buffer_from_mmsg(h->slot, st->held = 0);
	if (many)
		st->held = st->held + 1 < many ? st->held + 1 : 0;
}

/* A datagram is a message of its own. Only those of DNS are looked at. */
static __always_inline int datagram(struct hook *h, struct conn *c, struct scratch *s, struct stream *st)
{
	int start;

	if (!c->id)
		c->id = random_id(h->now);
	if (!s->buf.readable && h->dir == DIR_OUT)
		datagram_of_many(h, st);
	s->len = buffer_load(h->slot, 0, 0, h->n < WIRE_START ? h->n : WIRE_START);
	start = s->len ? dns_message(s, 0, s->len) : START_NOTHING;
	if (start != START_REQUEST && start != START_RESPONSE) {
		if (s->len && ++c->misses >= MISSES_MAX) {
			stat_add(STAT_GIVEN_UP);
			c->in.framing = FRAMING_OPAQUE;
			c->out.framing = FRAMING_OPAQUE;
		}
		return 0;
	}
	c->misses = 0;
	c->wire = WIRE_DNS;
	c->role = (start == START_REQUEST) == (h->dir == DIR_OUT) ? ROLE_CLIENT : ROLE_SERVER;
	wire_segment(h, c, st, false);
	return 0;
}

#endif
