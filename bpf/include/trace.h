/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * W3C trace context: reading a traceparent, making ids, and the decision to
 * sample. The Go twin is context/traceparent; both are tested on one file of
 * vectors.
 */
#ifndef CLEW_TRACE_H
#define CLEW_TRACE_H

#include "event.h"
#include "scan.h"
#include "settings.h"
#include "stats.h"

/* https://www.w3.org/TR/trace-context-2/#traceparent-header: version-id-id-flags */
#define TRACEPARENT_LEN 55

/* Seed from the system's random source: a node's ids are its own. */
const volatile __u64 id_seed[2];

/* A lower-case hexadecimal digit: HEX_VALID and its value; anything else: 0. */
#define HEX_VALID 0x10
#define HEX(v) (HEX_VALID | (v))
static const __u8 hex_digit[256] = {
	['0'] = HEX(0),	 ['1'] = HEX(1),  ['2'] = HEX(2),  ['3'] = HEX(3),  ['4'] = HEX(4),  ['5'] = HEX(5),
	['6'] = HEX(6),	 ['7'] = HEX(7),  ['8'] = HEX(8),  ['9'] = HEX(9),  ['a'] = HEX(10), ['b'] = HEX(11),
	['c'] = HEX(12), ['d'] = HEX(13), ['e'] = HEX(14), ['f'] = HEX(15),
};

/*
 * Reads `n` bytes written as hexadecimal digits. Returns HEX_VALID if all were.
 * No branches: each would double the verifier's states. Not unrolled: that takes
 * 100 bytes of stack, and up to Linux 6.12 all frames of a call chain share 512.
 */
static __always_inline __u32 hex_read(const struct scratch *s, __u32 at, __u8 *out, __u32 n)
{
	__u32 valid = HEX_VALID;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < n; i++) {
		__u32 hi = hex_digit[s->head[(at + 2 * i) & (HEAD_MAX - 1)]];
		__u32 lo = hex_digit[s->head[(at + 2 * i + 1) & (HEAD_MAX - 1)]];

		valid &= hi & lo;
		out[i] = (__u8)(hi << 4 | (lo & 15));
	}
	return valid;
}

static __always_inline bool all_zero(const __u8 *id, __u32 n)
{
	__u32 any = 0;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < n; i++)
		any |= id[i];
	return !any;
}

/* Does a value end at `at`? Only white space may follow it. */
static __always_inline bool value_ends(const struct scratch *s, __u32 at)
{
	__u8 after = s->head[skip_space(s, at) & (HEAD_MAX - 1)];

	return after == '\r' || after == '\n';
}

/*
 * Parses the traceparent at `at` of the head into s->received. Returns 1, or 0 if
 * it is malformed: then the request has no parent (W3C, "Mutating the traceparent
 * Field"). Global, as scan_head is.
 */
__noinline int parse_traceparent(__u32 slot, __u32 at)
{
	struct scratch *s = scratch_get(slot);
	__u8 version, flags;
	__u32 valid, dashes;
	bool more;
	struct context *out;

	if (!s)
		return 0;
	out = &s->received;
	valid = hex_read(s, at, &version, 1);
	valid &= hex_read(s, at + 3, out->trace_id, 16);
	valid &= hex_read(s, at + 36, out->span_id, 8);
	valid &= hex_read(s, at + 53, &flags, 1);
	dashes = s->head[(at + 2) & (HEAD_MAX - 1)] ^ '-';
	dashes |= s->head[(at + 35) & (HEAD_MAX - 1)] ^ '-';
	dashes |= s->head[(at + 52) & (HEAD_MAX - 1)] ^ '-';
	if (!valid || dashes || version == 0xff || all_zero(out->trace_id, 16) || all_zero(out->span_id, 8))
		return 0;
	more = s->head[(at + TRACEPARENT_LEN) & (HEAD_MAX - 1)] == '-'; /* of versions to come */
	if (more ? version == 0 : !value_ends(s, at + TRACEPARENT_LEN))
		return 0;
	out->sampled = flags & 1;
	out->deferred = 0;
	return 1;
}

/* Finaliser of splitmix64: every bit of the result depends on every bit of x. */
static __always_inline __u64 mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* A random number, never 0 nor 1 (request.h). The kernel's generator is linear; the seeded mix is not. */
static __always_inline __u64 random_id(__u64 now)
{
	__u64 x = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
	__u64 id = mix(mix(x ^ id_seed[0]) + (now ^ id_seed[1]));

	return id > 1 ? id : 2;
}

/*
 * OpenTelemetry TraceIdRatioBased as the Go SDK has it: the last eight bytes as
 * a big-endian number, without the lowest bit, against the bound.
 */
static __always_inline bool ratio_samples(const __u8 *trace_id, __u64 bound)
{
	__u64 x;

	__builtin_memcpy(&x, trace_id + 8, 8);
	return __builtin_bswap64(x) >> 1 < bound;
}

/*
 * Key: 0. Value: the time at which the budget allows the next root (GCRA, the
 * leaky bucket as a meter of ITU-T I.371). Lives as long as the agent.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} budget SEC(".maps");

/* Takes one root from the budget; what fits in the burst may come at once. */
static __always_inline bool budget_take(void)
{
	__u64 now = bpf_ktime_get_ns(), *next, at, was;
	__u32 key = 0;

	if (!budget_interval_ns)
		return true;
	next = bpf_map_lookup_elem(&budget, &key);
	if (!next)
		return true;
	was = *next;
	at = (was > now ? was : now) + budget_interval_ns;
	if (at > now + budget_burst_ns || __sync_val_compare_and_swap(next, was, at) != was) {
		stat_add(STAT_OVER_BUDGET);
		return false;
	}
	return true;
}

/* Decides for a trace that nobody decided before. */
static __always_inline bool sample_root(const __u8 *trace_id)
{
	return ratio_samples(trace_id, sample_bound) && budget_take();
}

#endif
