/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The life of a request and its response on a connection: is it recorded, may it
 * be a parent, and when is it over.
 */
#ifndef CLEW_EXCHANGE_H
#define CLEW_EXCHANGE_H

#include "identity.h"
#include "leave.h"
#include "outcome.h"

#define PIPELINE_MAX 32 /* bits in conn.heads, .connects and .records */

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
		request_close(c->request);
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

/*
 * Bytes passed that no hook showed, and an answer may have begun in them: how the
 * waiting requests ended is not known. User space is told so by the loss.
 */
static __always_inline void answer_unseen(struct conn *c, __u32 dir)
{
	if (!carries_responses(c, dir) || !c->unanswered)
		return;
	c->blind = 1;
	c->lost++;
	c->unanswered = 0;
	c->line_len = 0;
	request_close(c->request);
	c->request = 0;
}

/* A server request becomes a possible parent, served by the running task. */
__noinline int request_serve(struct hook *h, struct conn *c, bool sampled)
{
	const struct target *t = h ? target_get(h->tgid) : 0;
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	struct request *r;
	__u64 id;

	if (!t || !c || !s)
		return 0;
	/* Pipelined: which of them the program works on cannot be seen. */
	request_close(c->request);
	c->request = 0;
	if (c->unanswered > 1) {
		stat_add(STAT_AMBIGUOUS);
		return 0;
	}
	__builtin_memcpy(&id, c->trace.span_id, 8);
	/* First the task, which looks at what it had before; then the request itself. */
	task_serves(t, h->tgid, id);
	r = request_claim(id);
	if (!r)
		return 0;
	__builtin_memcpy(r->trace_id, c->trace.trace_id, 16);
	r->started_ns = h->now;
	r->tgid = h->tgid;
	r->tid = h->tid;
	r->sampled = sampled;
	r->stated = 0;
	r->sent = 0;
	r->received = s->carried ? context_hash(&s->header) : 0;
	r->line = t->flags & TARGET_PROXY ? line_hash(h->slot) : 0;
	request_open(r, id);
	c->request = id;
	return 0;
}

/* From here on bytes of the answer count, even if no hook shows any of them. */
static __always_inline void answer_awaited(struct hook *h, struct conn *c)
{
	struct tcp_sock *tp = (struct tcp_sock *)h->sk;

	if (h->dir != DIR_OUT || !has_seq(h) || c->in.synced)
		return;
	c->in.synced = 1;
	c->in.next_seq = BPF_CORE_READ(tp, copied_seq);
}

/* Notes what is to be known of the request, whose head is in scratch, at its answer. */
static __always_inline void request_awaits(struct conn *c, const struct scratch *s)
{
	__u32 bit = 1u << (c->unanswered & (PIPELINE_MAX - 1));

	c->unanswered++;
	c->heads = http_is_head(s) ? c->heads | bit : c->heads & ~bit;
	c->connects = http_is_connect(s) ? c->connects | bit : c->connects & ~bit;
	c->records = c->recorded ? c->records | bit : c->records & ~bit;
}

/* The head of a request is complete in scratch; `extra`: another one follows in this segment. */
__noinline int request_begin(struct hook *h, struct conn *c, struct stream *st, bool extra)
{
	struct scratch *s = h ? scratch_get(h->slot) : 0;
	__u32 copy, flags;
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
	answer_awaited(h, c);
	message_addresses(&s->msg, h->sk);
	sampled = request_identity(h, c, st->head_seq, c->unanswered > 0);
	/* Where answers may be out of step with what is counted here, user space pairs
	 * them by order, and must see all of the requests or none. */
	if (!c->extra && !c->unanswered)
		c->recorded = sampled;
	c->extra |= extra;

	request_awaits(c, s);

	__builtin_memcpy(&s->msg.trace, &c->trace, sizeof(c->trace));
	s->msg.evidence = c->evidence;
	s->msg.flags = sampled ? MESSAGE_SAMPLED : 0;
	if (c->role == ROLE_SERVER) {
		request_serve(h, c, sampled);
		if (outward && s->carried && s->info.states && state_keep(h->slot, c->request))
			request_stated(c->request);
		outlet_proven(h, c);
	} else {
		mark_leave(h, st->head_seq);
		if (outward) {
			c->outlet.retransmits = has_seq(h) ? outcome_retransmits(h->sk) : 0;
			head_leaves(h, c, st, extra);
		}
	}

	c->line_len = 0;
	if (!sampled)
		stat_add(STAT_UNSAMPLED);
	if (!c->recorded) {
		if ((keep_errors || keep_slow_ns) && c->unanswered == 1 && !c->extra) {
			bpf_probe_read_kernel(c->line, RESCUE_LINE, s->head);
			c->line_len = copy < RESCUE_LINE ? copy : RESCUE_LINE;
		}
		return 0;
	}
	flags = sampled ? MESSAGE_SAMPLED : 0;
	if (copy > request_copy || !s->info.end)
		flags |= MESSAGE_TRUNCATED;
	return message_put(h, c, st, WHAT(EVENT_REQUEST, flags), copy < request_copy ? copy : request_copy);
}

/* What is known of the request that a response answers. */
struct asked {
	__u8 head, connect, recorded, matched;
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
	/* Requests that only user space sees, behind another in one segment, go with it. */
	a->recorded = a->matched ? c->records & 1 : c->extra && c->recorded;
	if (!a->matched)
		return;
	c->unanswered--;
	c->heads >>= 1;
	c->connects >>= 1;
	c->records >>= 1;
}

/* What the answer says about the threads of the process. */
__noinline int response_threads(struct hook *h, struct conn *c)
{
	if (!h || !c || target_is_go(h->target))
		return 0;
	if (c->role == ROLE_SERVER)
		task_answers(c->request, h->tid);
	else if (c->writer && c->writer != h->tid) /* 0: a server that speaks first */
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
	if (a->matched) {
		if (!c->unanswered)
			c->outlet.suspended = 0;
		outlet_proven(h, c);
		if (outward && c->role == ROLE_CLIENT)
			outcome_answered(h, c);
	}
	if (extra) { /* several answers in one segment: user space pairs them */
		c->unanswered = 0;
		c->extra = 1;
	}
	if (a->complete && c->role == ROLE_SERVER && !c->unanswered) {
		request_close(c->request);
		c->request = 0;
	}
	if (a->recorded) {
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
