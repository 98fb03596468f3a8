//go:build tlsvars

package main

// Thread-local variables of C, one of them with a large alignment, so that g is
// not at the usual place.

/*
static __thread long before[7] = {1, 2, 3};
static __thread char after[64] __attribute__((aligned(64)));
long touch(int i) { after[i] = 1; return before[i] + after[i]; }
*/
import "C"

func init() {
	if C.touch(0) != 2 {
		panic("thread-local variables are broken")
	}
}
