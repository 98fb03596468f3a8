/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Numbers and words in the bytes of head. */
#ifndef CLEW_NUMBER_H
#define CLEW_NUMBER_H

#include "scan.h"

static __always_inline __u16 be16_at(const struct scratch *s, __u32 at)
{
	return __builtin_bswap16((__u16)load_word(s, at));
}

static __always_inline __u32 be32_at(const struct scratch *s, __u32 at)
{
	return __builtin_bswap32((__u32)load_word(s, at));
}

static __always_inline __u32 le32_at(const struct scratch *s, __u32 at)
{
	return (__u32)load_word(s, at);
}

/* Its first `n` bytes, 1 to 8, as WORD() has them. */
static __always_inline __u64 word_of(const struct scratch *s, __u32 n)
{
	return load_word(s, 0) << (64 - 8 * n) >> (64 - 8 * n);
}

static __always_inline bool is_letter(__u8 c)
{
	return (__u8)((c | 0x20) - 'a') < 26;
}

static __always_inline bool is_digit(__u8 c)
{
	return (__u8)(c - '0') < 10;
}

/* A character of a text: not a control character but white space, or of UTF-8. */
static __always_inline bool is_text(__u8 c)
{
	return c >= ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Does a segment of `size` bytes fit one message of `whole`? A longer message may
 * come in several segments, of which the first is not tiny.
 */
static __always_inline bool size_fits(__u32 size, __u32 whole)
{
	return size == whole || (size < whole && size >= 1024 && whole < (1U << 30));
}

#endif
