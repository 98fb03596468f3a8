// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The pure helpers, wrapped so that the kernel's test-run can feed them. Never
 * attached. Heads go in through a map, since a test-run's packet holds less than
 * 4 KiB.
 */
#include "../include/context.h"
#include "../include/line.h"
#include "../include/protocol/http.h"
#include "../include/state.h"
#include "../include/wires.h"

struct input {
	__u32 len;  /* 1 to HEAD_MAX */
	__u32 size; /* of the segment, of which they are the first */
	__u8 bytes[HEAD_MAX];
};

/*
 * Key: 0. Value: the head to look at.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct input);
} inputs SEC(".maps");

struct result {
	struct head head;
	struct context context;
	enum start start;
	__u32 parsed; /* a header named a parent */
	__u32 request_line;
	__u32 status;
	enum wire wire;
	enum start wire_start;
	enum start datagram;
	__u32 kept;	     /* there is a tracestate, under STATE_ID */
	enum format formats; /* that are read */
	__u32 pad;
	__u64 line;
	__u64 ids;
};

/* The request for which read_head keeps a tracestate; its map is read by the test. */
#define STATE_ID 1

/*
 * Key: 0. Value: what the last run found.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct result);
} results SEC(".maps");

/* Reads the input as the head of a message. */
SEC("tc")
int read_head(void *skb)
{
	struct scratch *s = scratch_get(SLOT_TEST);
	struct input *in;
	struct result *r;
	__u32 key = 0, len, found;

	(void)skb;
	in = bpf_map_lookup_elem(&inputs, &key);
	r = bpf_map_lookup_elem(&results, &key);
	if (!s || !in || !r)
		return -1;
	len = in->len;
	if (len < 1 || len > HEAD_MAX)
		return -1;
	/* Not all of it: what stands behind a head in scratch is of any other one. */
	bpf_probe_read_kernel(s->head, len, in->bytes);
	r->start = http_start(SLOT_TEST, len);
	scan_head(SLOT_TEST, len);
	__builtin_memcpy(&r->head, &s->info, sizeof(r->head));
	r->formats = formats_read;
	r->parsed = context_parse(SLOT_TEST);
	r->context = s->received;
	state_drop(STATE_ID);
	r->kept = state_keep(SLOT_TEST, STATE_ID);
	r->line = line_hash(SLOT_TEST);
	r->ids = context_hash(&s->received);
	r->request_line = http_request_line(s);
	r->status = http_status(s);
	found = wire_start(SLOT_TEST, len, in->size);
	r->datagram = dns_message(s, 0, len);
	r->wire = WIRE_OF(found);
	r->wire_start = WIRE_START_OF(found);
	return 0;
}

/* Reads the packet as a trace id and a bound, in this machine's byte order; 1: sampled. */
SEC("tc")
int sample(void *skb)
{
	__u8 trace_id[16];
	__u64 bound;

	if (bpf_skb_load_bytes(skb, 0, trace_id, 16) || bpf_skb_load_bytes(skb, 16, &bound, 8))
		return -1;
	return ratio_samples(trace_id, bound);
}

char LICENSE[] SEC("license") = "GPL";
