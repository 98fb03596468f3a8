/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Where kernels differ. Each difference is told apart by what the running
 * kernel's BTF holds, never by its version.
 */
#ifndef CLEW_DRIFT_H
#define CLEW_DRIFT_H

#include "kernel.h"

/*
 * struct iov_iter: the iovec pointer was `iov` before 6.4 (747b1f65d39a, "iov_iter:
 * overlay struct iovec and ubuf/len"), `__iov` since. ITER_UBUF came with 6.0
 * (fcb14cb1bdac) and the enum was renumbered in 6.4 and 6.7, so values are relocated.
 */
struct iov_iter___before_6_4 {
	const struct iovec *iov;
} __relocated;

enum iter_type {
	ITER_UBUF = 0,
	ITER_IOVEC = 1,
};

/* include/net/sock.h; an enum, whose numbers move. */
enum sock_flags {
	SOCK_ZEROCOPY = 23,
};

static __always_inline bool iter_is_ubuf(const struct iov_iter *it)
{
	return bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	       BPF_CORE_READ(it, iter_type) == bpf_core_enum_value(enum iter_type, ITER_UBUF);
}

static __always_inline bool iter_is_iovec(const struct iov_iter *it)
{
	return BPF_CORE_READ(it, iter_type) == bpf_core_enum_value(enum iter_type, ITER_IOVEC);
}

static __always_inline const struct iovec *iter_iovec(const struct iov_iter *it)
{
	const struct iov_iter___before_6_4 *old = (const void *)it;

	if (bpf_core_field_exists(it->__iov))
		return BPF_CORE_READ(it, __iov);
	return BPF_CORE_READ(old, iov);
}

static __always_inline void *iter_ubuf(const struct iov_iter *it)
{
	if (bpf_core_field_exists(it->ubuf))
		return BPF_CORE_READ(it, ubuf);
	return 0;
}

#endif
