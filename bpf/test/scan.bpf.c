#include "../include/scan.h"
SEC("tc")
int scan(void *ctx __attribute__((unused)))
{
	return scan_head(SLOT_TEST, bpf_get_prandom_u32());
}
char LICENSE[] SEC("license") = "GPL";
