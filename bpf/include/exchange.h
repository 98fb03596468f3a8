/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The life of a request and its response on a connection: who is its parent, is
 * it recorded, and when is it over.
 */
#ifndef CLEW_EXCHANGE_H
#define CLEW_EXCHANGE_H

#include "hook.h"
#include "mark.h"
#include "parent.h"
#include "protocol/http.h"

#define PIPELINE_MAX 32 /* bits in conn.heads, .connects and .samples */

/*
 * Gives an unsampled exchange to user space after all: its request, kept in the
 * connection, and then `what`, about the stream of its response.
 */
__noinline int rescue(struct hook *h, struct conn *c, struct stream *st, __u32 what)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	struct stream request = {};

	if (!s || !c || !st || !c->line_len)
		return 0;
	stat_add(STAT_RESCUED);
	__builtin_memcpy(&s->msg.trace, &c->trace, sizeof(c->trace));
	s->msg.evidence = c->evidence;
	message_addresses(&s->msg, h->sk);
	bpf_probe_read_kernel(s->head, RESCUE_LINE, c->line);
	/* By now the request's own stream may be in the next one. */
	request.first_ns = c->request_ns;
	request.last_ns = c->request_ns;
	message_put(h, c, &request, WHAT(EVENT_REQUEST, MESSAGE_RESCUED | MESSAGE_TRUNCATED), c->line_len);
	c->line_len = 0;
	bpf_probe_read_kernel(s->head, STATUS_LINE, c->status_line);
	return message_put(h, c, st, what | WHAT(0, MESSAGE_RESCUED),
			   (what & 0xff) == EVENT_RESPONSE ? STATUS_LINE : 0);
}

static __always_inline bool is_slow(const struct conn *c, __u64 until)
{
	return keep_slow_ns && until - c->request_ns >= keep_slow_ns;
}

/* The last byte of a message has been seen. */
__noinline int message_end(struct hook *h, struct conn *c, struct stream *st)
{
	if (!h || !c || !st)
		return 0;
	if (st->framing != FRAMING_OPAQUE)
		st->framing = FRAMING_BOUNDARY;
	if (!carries_responses(c, h->dir))
		return 0;
	if (c->role == ROLE_SERVER && !c->unanswered) {
		request_close(c->request, c->tgid);
		c->request = 0;
	}
	if (st->announced) {
		st->announced = 0;
		return message_put(h, c, st, WHAT(EVENT_END, 0), 0);
	}
	if (c->line_len && !c->unanswered && is_slow(c, st->last_ns))
		return rescue(h, c, st, WHAT(EVENT_RESPONSE, MESSAGE_COMPLETE));
	return 0;
}

/* Trace identity by the context that came with the request; returns the evidence. */
static __always_inline __u8 context_received(struct hook *h, struct scratch *s, __u32 seq,
					     struct context *ctx)
{
	struct context mark = {};
	__u8 evidence = EVIDENCE_NONE;

	if (s->info.traceparents > 1)
		stat_add(STAT_DUPLICATE_TRACEPARENT);
	else if (s->info.traceparents && parse_traceparent(h->slot, s->info.traceparent, ctx))
		evidence = EVIDENCE_HEADER;
	else if (s->info.traceparents)
		stat_add(STAT_MALFORMED_TRACEPARENT);

	if (h->dir == DIR_OUT || !local_marks || h->no_seq)
		return evidence;
	if (!mark_take(&s->msg, seq, &mark))
		return evidence;
	/* The client's own span is the nearer parent, if it is of the same trace. */
	if (evidence == EVIDENCE_HEADER && __builtin_memcmp(mark.trace_id, ctx->trace_id, 16)) {
		stat_add(STAT_EVIDENCE_CONFLICT);
		return evidence;
	}
	__builtin_memcpy(ctx, &mark, sizeof(mark));
	return EVIDENCE_LOCAL;
}

/* Context from the request that the running task serves; returns the evidence. */
static __always_inline __u8 context_of_task(struct hook *h, struct scratch *s, struct context *ctx)
{
	__u8 evidence = EVIDENCE_NONE;
	__u64 id = task_request(h->tgid, s->buf.fd, &evidence);
	struct request *r = request_get(id);

	if (!r)
		return EVIDENCE_NONE;
	__builtin_memcpy(ctx->trace_id, r->trace_id, 16);
	__builtin_memcpy(ctx->span_id, &id, 8);
	ctx->sampled = !!r->sampled;
	return evidence;
}

/*
 * Fixes c->trace of the request whose first byte has sequence number `seq`;
 * returns 1 if it is recorded, else 0.
 */
__noinline int request_identity(struct hook *h, struct conn *c, __u32 seq)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	struct context ctx = {};
	__u8 evidence, of_task;
	__u64 id;

	if (!s || !c)
		return 0;
	evidence = context_received(h, s, seq, &ctx);
	if (h->dir == DIR_OUT) {
		struct context task = {};

		of_task = context_of_task(h, s, &task);
		if (evidence == EVIDENCE_NONE) {
			ctx = task;
			evidence = of_task;
		} else if (of_task && __builtin_memcmp(task.trace_id, ctx.trace_id, 16)) {
			stat_add(STAT_EVIDENCE_CONFLICT);
		}
	}
	c->evidence = evidence;
	id = random_id(h->now);
	__builtin_memcpy(c->trace.span_id, &id, 8);
	if (evidence == EVIDENCE_NONE) {
		__u64 trace[2] = { random_id(h->now), random_id(h->now) };

		__builtin_memcpy(c->trace.trace_id, trace, 16);
		__builtin_memset(c->trace.parent_id, 0, 8);
		return sample_root(c->trace.trace_id);
	}
	__builtin_memcpy(c->trace.trace_id, ctx.trace_id, 16);
	__builtin_memcpy(c->trace.parent_id, ctx.span_id, 8);
	if (evidence == EVIDENCE_HEADER && !parent_based)
		return ratio_samples(c->trace.trace_id, sample_bound);
	return ctx.sampled;
}

/* A server request becomes a possible parent, served by the running task. */
__noinline int request_serve(struct hook *h, struct conn *c, bool sampled)
{
	const struct target *t = h ? target_get(h->tgid) : 0;
	struct request r = { .sampled = sampled };
	__u64 id;

	if (!t || !c)
		return 0;
	r.started_ns = h->now;
	r.tgid = h->tgid;
	r.tid = h->tid;

	/* Pipelined: which of them the program works on cannot be seen. */
	request_close(c->request, c->tgid);
	c->request = 0;
	if (c->unanswered > 1) {
		stat_add(STAT_AMBIGUOUS);
		return 0;
	}
	__builtin_memcpy(&id, c->trace.span_id, 8);
	__builtin_memcpy(r.trace_id, c->trace.trace_id, 16);
	/* First the task, which looks at what it had before; then the request itself. */
	task_serves(t, h->tgid, id);
	if (request_open(id, &r))
		c->request = id;
	return 0;
}

/* The head of a request is complete in scratch; `body` bytes follow in this segment. */
__noinline int request_begin(struct hook *h, struct conn *c, struct stream *st, bool extra)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 bit, copy, flags;
	bool sampled;

	if (!s || !c || !st)
		return 0;
	copy = extra || !s->info.end ? s->len : s->info.end;
	stat_add(STAT_REQUEST);
	if (c->unanswered >= PIPELINE_MAX) {
		stat_add(STAT_PIPELINE_DEEP);
		c->in.framing = FRAMING_OPAQUE;
		c->out.framing = FRAMING_OPAQUE;
		return 0;
	}
	c->tgid = h->tgid;
	c->writer = h->tid;
	c->request_ns = st->first_ns;
	c->extra = extra;
	message_addresses(&s->msg, h->sk);
	sampled = request_identity(h, c, st->head_seq);
	c->last_sampled = sampled;

	bit = 1u << (c->unanswered & (PIPELINE_MAX - 1));
	c->unanswered++;
	c->heads = http_is_head(s) ? c->heads | bit : c->heads & ~bit;
	c->connects = http_is_connect(s) ? c->connects | bit : c->connects & ~bit;
	c->samples = sampled ? c->samples | bit : c->samples & ~bit;

	__builtin_memcpy(&s->msg.trace, &c->trace, sizeof(c->trace));
	s->msg.evidence = c->evidence;
	s->msg.flags = sampled ? MESSAGE_SAMPLED : 0;
	if (c->role == ROLE_SERVER)
		request_serve(h, c, sampled);
	else if (local_marks && h->early && !h->no_seq)
		mark_put(&s->msg, st->head_seq);

	if (!sampled) {
		stat_add(STAT_UNSAMPLED);
		c->line_len = 0;
		if ((keep_errors || keep_slow_ns) && c->unanswered == 1) {
			bpf_probe_read_kernel(c->line, RESCUE_LINE, s->head);
			c->line_len = copy < RESCUE_LINE ? copy : RESCUE_LINE;
		}
		return 0;
	}
	c->line_len = 0;
	flags = MESSAGE_SAMPLED;
	if (copy > request_copy || !s->info.end)
		flags |= MESSAGE_TRUNCATED;
	return message_put(h, c, st, WHAT(EVENT_REQUEST, flags), copy < request_copy ? copy : request_copy);
}

/* What is known of the request that a response answers. */
struct asked {
	__u8 head, connect, sampled, matched;
	__u8 complete; /* the response is */
	__u8 pad;
	__u16 status;
};

/* Takes the oldest unanswered request. */
static __always_inline void request_answered(struct conn *c, struct asked *a)
{
	a->matched = c->unanswered > 0;
	a->head = a->matched && (c->heads & 1);
	a->connect = a->matched && (c->connects & 1);
	/* Requests that only user space saw, behind another in one segment, go with it. */
	a->sampled = a->matched ? c->samples & 1 : c->extra && c->last_sampled;
	if (!a->matched)
		return;
	c->unanswered--;
	c->heads >>= 1;
	c->connects >>= 1;
	c->samples >>= 1;
}

/* What the answer says about the threads of the process. */
__noinline int response_threads(struct hook *h, struct conn *c)
{
	if (!h || !c || target_is_go(h->target))
		return 0;
	if (c->role == ROLE_SERVER)
		task_answers(c->request, h->tid);
	else if (c->writer != h->tid)
		thread_works_for(h->tgid, 0);
	return 0;
}

/* A final response's head and what of its body is in this segment are accounted for. */
__noinline int response_begin(struct hook *h, struct conn *c, struct stream *st, struct asked *a)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 copy, flags;
	bool extra;

	if (!s || !c || !st || !a)
		return 0;
	extra = h->n > 0;
	copy = extra || !s->info.end ? s->len : s->info.end;
	flags = a->complete ? MESSAGE_COMPLETE : 0;
	if (!a->matched && !c->extra)
		stat_add(STAT_UNMATCHED_RESPONSE);
	stat_add(STAT_RESPONSE);
	response_threads(h, c);
	if (extra) { /* several answers in one segment: user space pairs them */
		c->unanswered = 0;
		c->extra = 1;
	}
	if (a->complete && c->role == ROLE_SERVER && !c->unanswered) {
		request_close(c->request, c->tgid);
		c->request = 0;
	}
	if (a->sampled) {
		st->announced = !a->complete;
		if (copy > response_copy || !s->info.end)
			flags |= MESSAGE_TRUNCATED;
		return message_put(h, c, st, WHAT(EVENT_RESPONSE, flags),
				   copy < response_copy ? copy : response_copy);
	}
	if (!c->line_len)
		return 0;
	bpf_probe_read_kernel(c->status_line, STATUS_LINE, s->head);
	if ((keep_errors && (a->status >= 500 || (c->role == ROLE_CLIENT && a->status >= 400))) ||
	    is_slow(c, h->now)) {
		st->announced = !a->complete;
		return rescue(h, c, st, WHAT(EVENT_RESPONSE, flags));
	}
	return 0;
}

#endif
