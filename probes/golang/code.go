package golang

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"
)

const (
	// maxPrologue is how many bytes of a prologue are looked at. The longest
	// prologue, of a frame too large to compare directly, takes under 40.
	maxPrologue = 96
	goTLSName   = "runtime.morestack" // every Go program has it, and it begins with loading g
)

var errPrologue = errors.New("prologue of an unknown form")

// code returns up to n bytes of the code at addr, fewer only at the file's end,
// and their offset in the file. The callers bound n.
func (img *image) code(addr uint64, n int) ([]byte, uint64, error) {
	off, ok := img.fileOffset(addr, elf.PF_X)
	if !ok {
		return nil, 0, fmt.Errorf("read code: address %#x is not executable", addr)
	}
	raw, err := img.read(off, int(min(uint64(n), img.size-min(off, img.size))))
	if err != nil {
		return nil, 0, fmt.Errorf("read code: %w", err)
	}
	return raw, off, nil
}

// probePoint returns the distance from a function's first byte to an
// instruction of its prologue where the arguments are still in their registers
// and on which a uprobe is cheap, as the kernel emulates it instead of
// single-stepping it.
func probePoint(machine elf.Machine, code []byte) (int, error) {
	if machine == elf.EM_AARCH64 {
		return branchAfterStackCheck(code)
	}
	return pushAfterStackCheck(code)
}

// pushAfterStackCheck finds amd64's "push %rbp". Only the instructions of the
// stack check (lea or mov and sub; cmp; jbe) may come before it, none of which
// touches the receiver in RAX. Being behind the check it is passed once a call,
// also when the stack has to grow.
func pushAfterStackCheck(code []byte) (int, error) {
	for at := 0; at < len(code); {
		inst, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			return 0, fmt.Errorf("decode prologue: %w", err)
		}
		switch inst.Op {
		case x86asm.PUSH:
			if inst.Args[0] != x86asm.RBP {
				return 0, errPrologue
			}
			return at, nil
		case x86asm.LEA, x86asm.MOV, x86asm.SUB:
			if inst.Args[0] != x86asm.R12 && inst.Args[0] != x86asm.R13 {
				return 0, errPrologue
			}
		case x86asm.CMP, x86asm.JBE, x86asm.JB, x86asm.NOP:
		default:
			return 0, errPrologue
		}
		at += inst.Len
	}
	return 0, errPrologue
}

// branchAfterStackCheck finds arm64's "b.ls", the branch of the stack check:
// the instructions behind it store to memory, which kernels single-step. When
// the stack has to grow it is passed twice in a call, with the same receiver in
// R0.
func branchAfterStackCheck(code []byte) (int, error) {
	compared := false
	for at := 0; at+4 <= len(code); at += 4 {
		inst, err := arm64asm.Decode(code[at:])
		if err != nil {
			return 0, fmt.Errorf("decode prologue: %w", err)
		}
		switch inst.Op {
		case arm64asm.LDR, arm64asm.MOV, arm64asm.MOVZ, arm64asm.SUB, arm64asm.SUBS:
			// X16 and X17 are what the stack check computes with.
			if d := inst.Args[0]; d != arm64asm.X16 && d != arm64asm.X17 &&
				d != arm64asm.RegSP(arm64asm.X16) && d != arm64asm.RegSP(arm64asm.X17) {
				return 0, errPrologue
			}
		case arm64asm.CMP:
			compared = true
		case arm64asm.B:
			condition, ok := inst.Args[0].(arm64asm.Cond)
			if !ok {
				return 0, errPrologue
			}
			if lowerOrSame := uint8(0x9); compared && condition.Value == lowerOrSame {
				return at, nil
			}
		default:
			return 0, errPrologue
		}
	}
	return 0, errPrologue
}

// tlsOffset returns where an amd64 program keeps g, relative to the thread's FS
// base, as the code of runtime.morestack says. Whoever linked the program, and
// whatever other thread-local variables it has, this is what it really uses:
//
//	mov %fs:OFFSET, reg                      position-dependent
//	mov $OFFSET, base; mov %fs:(base), reg   position-independent
//
// In a shared object the offset is only known to the loader.
func (img *image) tlsOffset(code []byte) (int32, error) {
	const firstFew = 8
	known := make(map[x86asm.Reg]int64) // constants moved to registers
	for n, at := 0, 0; n < firstFew && at < len(code); n++ {
		inst, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			return 0, fmt.Errorf("decode %s: %w", goTLSName, err)
		}
		if mem, ok := inst.Args[1].(x86asm.Mem); ok && mem.Segment == x86asm.FS {
			base, ok := known[mem.Base]
			if mem.Base != 0 && !ok || mem.Index != 0 {
				return 0, errors.New("g's place is only known to the loader")
			}
			// Without a base the decoder leaves the displacement unsigned.
			return img.checkTLS(base + int64(int32(mem.Disp)))
		}
		if register, ok := inst.Args[0].(x86asm.Reg); ok {
			delete(known, register)
			if value, ok := inst.Args[1].(x86asm.Imm); ok && inst.Op == x86asm.MOV {
				known[register] = int64(value)
			}
		}
		at += inst.Len
	}
	return 0, fmt.Errorf("%s does not load g as expected", goTLSName)
}

// checkTLS accepts an offset that lies within the program's own thread-local
// storage, which ends at the FS base. Go's linker leaves it out where it is just
// the word for g.
func (img *image) checkTLS(offset int64) (int32, error) {
	size := uint64(8)
	for _, s := range img.segments {
		if elf.ProgType(s.Type) == elf.PT_TLS && s.Memsz <= math.MaxInt32 && s.Align <= math.MaxInt32 {
			align := max(s.Align, 1)
			size = (s.Memsz + align - 1) / align * align
		}
	}
	if offset > -8 || offset < -int64(size) || offset%8 != 0 {
		return 0, fmt.Errorf("g at %d is outside of the thread-local storage of %d bytes", offset, size)
	}
	return int32(offset), nil
}
