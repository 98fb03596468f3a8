/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What user space decides before the programs are loaded. Constants to the
 * verifier: a feature that is off costs nothing.
 */
#ifndef CLEW_SETTINGS_H
#define CLEW_SETTINGS_H

#include "kernel.h"

const volatile __u32 self_tgid;		 /* the agent, never watched */
const volatile bool watch_everything;	 /* every process that execs is watched at once */
const volatile bool local_marks;	 /* rung 0: join client and server on this host */
const volatile bool outward;		 /* rung 1 or 2 may come to be used */
const volatile bool keep_errors;	 /* record unsampled requests that fail */
const volatile __u64 keep_slow_ns;	 /* record unsampled requests that take longer; 0: none */
const volatile bool parent_based;	 /* an incoming sampled flag decides */
const volatile __u64 sample_bound;	 /* else: sampled if the low 63 bits of the trace id are below it */
const volatile __u64 budget_interval_ns; /* one sampled root per interval on this node; 0: no limit */
const volatile __u64 budget_burst_ns; /* intervals that may be used at once: a second's worth, at least one */
const volatile __u16 request_copy = 1024;  /* bytes of a request's head given to user space */
const volatile __u16 response_copy = 512;  /* bytes of a response's head given to user space */
const volatile __u8 formats_read = 1;	   /* enum format: headers that may name a parent */
const volatile __u32 tcp_recvmsg_args = 5; /* arguments of tcp_recvmsg: 6 before Linux 5.19 */

#endif
