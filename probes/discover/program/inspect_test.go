package program

import (
	"bytes"
	"os"
	"testing"

	"github.com/clewtrace/clew/probes/discover/proc"
)

func TestCacheIsBounded(t *testing.T) {
	var cache Cache
	for inode := range uint64(3 * maxCached) {
		cache.put(proc.FileID{Inode: inode}, Info{Runtime: Go})
		if _, ok := cache.get(proc.FileID{Inode: inode}); !ok {
			t.Fatalf("file %d was not remembered", inode)
		}
	}
	if len(cache.known) != maxCached {
		t.Errorf("%d files remembered, want %d", len(cache.known), maxCached)
	}
}

// FuzzInspect feeds damaged executables: none may panic or hang.
func FuzzInspect(f *testing.F) {
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own[:4096])
	f.Add([]byte("\x7fELF"))
	f.Add([]byte("#!/bin/sh\n"))
	f.Add([]byte{})
	if small, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(small)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if info := inspect(bytes.NewReader(data), Info{Runtime: Native}); info.Runtime == "" {
			t.Error("no runtime")
		}
	})
}
