/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The protocols of databases and brokers, and what begins as one of them. */
#ifndef CLEW_WIRES_H
#define CLEW_WIRES_H

#include "protocol/amqp.h"
#include "protocol/dns.h"
#include "protocol/kafka.h"
#include "protocol/memcached.h"
#include "protocol/mongodb.h"
#include "protocol/mysql.h"
#include "protocol/nats.h"
#include "protocol/postgresql.h"
#include "protocol/redis.h"

/* Who writes requests, in place of a descriptor for task_request(): */
#define FD_OF_DATABASE (-2) /* whoever asks, or a goroutine started for it */
#define FD_OF_BROKER (-3)   /* perhaps a goroutine of the client library, for many */

/*
 * The table of protocols, asked in this order: name, function, and who writes
 * requests. A function looks at the first `len` bytes in head of a segment that
 * has `size`, and returns an enum start; START_MORE says that it is one of its
 * own, of no telling direction.
 */
#define WIRES(X)                                        \
	X(POSTGRESQL, postgresql_start, FD_OF_DATABASE) \
	X(MYSQL, mysql_start, FD_OF_DATABASE)           \
	X(REDIS, redis_start, FD_OF_DATABASE)           \
	X(MEMCACHED, memcached_start, FD_OF_DATABASE)   \
	X(MONGODB, mongodb_start, FD_OF_DATABASE)       \
	X(KAFKA, kafka_start, FD_OF_BROKER)             \
	X(AMQP, amqp_start, FD_OF_BROKER)               \
	X(NATS, nats_start, FD_OF_BROKER)               \
	X(DNS, dns_start, FD_OF_DATABASE)

#define WIRE_NAME(name, start, fd) WIRE_##name,
enum wire { WIRE_NONE, WIRES(WIRE_NAME) };

/* The functions look no further than this. */
#define WIRE_START 64

#define WIRE_START_OF(found) ((found) & 0xff)
#define WIRE_OF(found) ((found) >> 8)

/* What begins with the first `len` bytes of head? enum wire << 8 | enum start, or 0. */
__noinline int wire_start(__u32 slot, __u32 len, __u32 size)
{
	struct scratch *s = scratch_get(slot);
	int start;

	if (!s)
		return 0;
#define WIRE_ASK(name, function, fd)    \
	start = function(s, len, size); \
	if (start != START_NOTHING)     \
		return WIRE_##name << 8 | start;
	WIRES(WIRE_ASK)
	return 0;
}

static __always_inline __s32 wire_writer(__u8 wire)
{
#define WIRE_WRITER(name, function, fd) \
	if (wire == WIRE_##name)        \
		return fd;
	WIRES(WIRE_WRITER)
	return -1;
}

#endif
