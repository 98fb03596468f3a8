package golang

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newprocARM64 is like plain's newproc, with the instruction for the addition
// and without.
var newprocARM64 = words(
	0xb27c03e2, 0xb0001003, 0x91000063, 0xf8e20064, // mov x2, #16; adrp x3, 0x601000; add x3, x3, #0; ldaddal x2, x4, [x3]
	0xb27c03e2, 0xb0001003, 0x91000063, // mov; adrp; add
	0xc85ffc64, 0x8b020084, 0xc81bfc64, // ldaxr x4, [x3]; add x4, x4, x2; stlxr w27, x4, [x3]
)

func words(words ...uint32) []byte { return encode(words) }

func TestGoidGen(t *testing.T) {
	const mov, lea = 5, 7 // sizes of the first instructions
	amd64 := plain().newproc
	other := append(bytes.Clone(amd64), amd64...)                  // the second lea is nearer to the end
	missing := bytes.Replace(amd64, []byte{0xf0}, []byte{0x90}, 1) // nop for lock
	narrow := bytes.Replace(amd64, []byte{0xf0, 0x48}, []byte{0x90, 0xf0}, 1)
	oddSum := bytes.Replace(amd64, []byte{0x10}, []byte{0x01}, 1)
	register := bytes.Clone(amd64)
	register[mov+lea+4] = 0x0f // (%rdi)
	between := append(bytes.Clone(amd64[:mov]), append([]byte{0x90, 0xb9, 1, 0, 0, 0}, amd64[mov:]...)...)
	outside := bytes.Clone(amd64)
	outside[mov+5] = 0x30 // above all variables
	call := []byte{
		0x48, 0x8d, 0x05, 0xf9, 0x05, 0x20, 0x00, // lea 0x2005f9(%rip),%rax
		0xbb, 0x10, 0x00, 0x00, 0x00, // mov $0x10,%ebx
		0xe8, 0x00, 0x01, 0x00, 0x00, // call
		0x48, 0x8d, 0x48, 0xf1, // lea -0xf(%rax),%rcx
	}
	otherCall := bytes.Clone(call)
	otherCall[len(call)-1] = 0xf2
	callARM64 := words(0xb0001000, 0x91000000, 0xb27c03e1, 0x94000010, 0xd1003c02) // adrp; add; mov x1; bl; sub x2, x0, #15
	arm64With := func(at int, word uint32) []byte {
		code := bytes.Clone(newprocARM64[:16])
		binary.LittleEndian.PutUint32(code[4*at:], word)
		return append(code, 0xc0, 0x03, 0x5f, 0xd6) // ret
	}
	tests := map[string]struct {
		machine elf.Machine
		code    []byte
		reason  string // empty: it is found
	}{
		"addition":              {elf.EM_X86_64, amd64, ""},
		"call":                  {elf.EM_X86_64, call, ""},
		"call of something":     {elf.EM_X86_64, otherCall, "as expected"},
		"no function":           {elf.EM_X86_64, nil, "no runtime.newproc1"},
		"two places":            {elf.EM_X86_64, other, "from 2 places"},
		"not atomic":            {elf.EM_X86_64, missing, "as expected"},
		"32 bits":               {elf.EM_X86_64, narrow, "as expected"},
		"adds 1":                {elf.EM_X86_64, oddSum, "as expected"},
		"another pointer":       {elf.EM_X86_64, register, "as expected"},
		"overwritten":           {elf.EM_X86_64, between, "as expected"},
		"not a variable":        {elf.EM_X86_64, outside, "not a variable"},
		"not code":              {elf.EM_X86_64, []byte{0x06, 0x06}, "decode"},
		"too long":              {elf.EM_X86_64, make([]byte, maxNewproc+1), "unexpected size"},
		"arm64":                 {elf.EM_AARCH64, newprocARM64, ""},
		"arm64 call":            {elf.EM_AARCH64, callARM64, ""},
		"arm64 old processors":  {elf.EM_AARCH64, append(words(0xd503201f, 0xd503201f, 0xd503201f, 0xd503201f), newprocARM64[16:]...), ""},
		"arm64 adds 1":          {elf.EM_AARCH64, arm64With(0, 0xb24003e2), "as expected"},
		"arm64 another sum":     {elf.EM_AARCH64, arm64With(3, 0xf8e50064), "as expected"},
		"arm64 another pointer": {elf.EM_AARCH64, arm64With(3, 0xf8e20084), "as expected"},
		"arm64 32 bits":         {elf.EM_AARCH64, arm64With(3, 0xb8e20064), "as expected"},
		"arm64 another page":    {elf.EM_AARCH64, arm64With(1, 0xb0001005), "as expected"},
		"arm64 not a variable":  {elf.EM_AARCH64, arm64With(1, 0xb0ffff03), "not a variable"},
		"arm64 two places":      {elf.EM_AARCH64, append(arm64With(2, 0x91002063), newprocARM64...), "from 2 places"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			layout := inspectNewproc(t, test.machine, test.code)
			switch {
			case test.reason == "":
				if layout.GoidGen != forgedData || layout.NoGoidGen != "" {
					t.Errorf("%#x, reason %q", layout.GoidGen, layout.NoGoidGen)
				}
			case layout.GoidGen != 0 || !strings.Contains(layout.NoGoidGen, test.reason):
				t.Errorf("%#x, reason %q, want %q", layout.GoidGen, layout.NoGoidGen, test.reason)
			}
		})
	}
}

func inspectNewproc(t *testing.T, machine elf.Machine, code []byte) *Layout {
	t.Helper()
	f := plain()
	f.machine, f.newproc = machine, code
	layout, err := inspectBytes(f.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

func TestGoidGenAt(t *testing.T) {
	self := uint32(os.Getpid())
	entry, err := entryPoint("/proc/self/auxv")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		layout Layout
		want   uint64
		reason string
	}{
		"not known":     {Layout{NoGoidGen: "because"}, 0, "because"},
		"fixed":         {Layout{GoidGen: 8, load: loading{entry: entry, fixed: true}}, 8, ""},
		"moved":         {Layout{GoidGen: 8, load: loading{entry: entry - 0x3000}}, 0x3008, ""},
		"fixed, moved":  {Layout{GoidGen: 8, load: loading{entry: entry - 0x3000, fixed: true}}, 0, "another program"},
		"between pages": {Layout{GoidGen: 8, load: loading{entry: entry - 0x3010}}, 0, "another program"},
	}
	for name, test := range tests {
		got, err := test.layout.GoidGenAt(self)
		if test.reason == "" && err != nil || test.reason != "" && (err == nil || !strings.Contains(err.Error(), test.reason)) {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
		if got != test.want {
			t.Errorf("%s: %#x, want %#x", name, got, test.want)
		}
	}
	known := Layout{GoidGen: 8}
	if _, err := known.GoidGenAt(0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("process 0: %v", err)
	}
}

func TestEntryPoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auxv")
	for _, test := range []struct {
		vector []uint64
		want   uint64
	}{
		{[]uint64{6, 4096, 9, 0x1234, 0, 0}, 0x1234},
		{[]uint64{6, 4096, 0, 0, 9, 0x1234}, 0},
		{[]uint64{6, 4096, 9}, 0},
		{nil, 0},
	} {
		if err := os.WriteFile(path, encode(test.vector), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := entryPoint(path); got != test.want || (err == nil) != (test.want != 0) {
			t.Errorf("%d: %#x, %v", test.vector, got, err)
		}
	}
}
