//go:build archive

package main

import "C"

// Request is main for a program in C.
//
//export Request
func Request(kind *C.char) { run(C.GoString(kind)) }
