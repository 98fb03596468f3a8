package golang

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

const (
	newprocName = "runtime.newproc1" // starts a goroutine, and refills the p's ids
	// maxNewproc bounds the code that is looked at: it has 1,400 bytes at most.
	maxNewproc = 8 << 10
)

// findGoidGen returns the address of runtime.sched.goidgen, before the loader's
// bias. The only place in newproc1 that adds GoidBatch to a variable, or calls
// the function that does, names it.
func findGoidGen(img *image, functions map[string]span) (uint64, error) {
	f, ok := functions[newprocName]
	if !ok {
		return 0, fmt.Errorf("no %s in the program", newprocName)
	}
	size := f.end - f.start
	if f.end <= f.start || size > maxNewproc {
		return 0, fmt.Errorf("%s is of an unexpected size", newprocName)
	}
	code, _, err := img.code(f.start, int(size))
	if err != nil {
		return 0, err
	}
	var places []uint64
	if elf.Machine(img.header.Machine) == elf.EM_AARCH64 {
		places = batchesARM64(code, f.start)
	} else if places, err = batchesAMD64(code, f.start); err != nil {
		return 0, err
	}
	// arm64 has the addition twice, for processors with and without the
	// instruction for it.
	slices.Sort(places)
	places = slices.Compact(places)
	switch {
	case len(places) == 0:
		return 0, fmt.Errorf("%s does not take ids as expected", newprocName)
	case len(places) > 1:
		return 0, fmt.Errorf("%s takes ids from %d places", newprocName, len(places))
	case !img.variable(places[0]):
		return 0, fmt.Errorf("%s takes ids from %#x, which is not a variable", newprocName, places[0])
	}
	return places[0], nil
}

// variable reports whether a word at addr can be one of the program's variables.
func (img *image) variable(addr uint64) bool {
	return addr%8 == 0 && slices.ContainsFunc(img.segments, func(s elf.Prog64) bool {
		return elf.ProgType(s.Type) == elf.PT_LOAD && elf.ProgFlag(s.Flags)&elf.PF_W != 0 &&
			addr >= s.Vaddr && s.Memsz >= 8 && addr-s.Vaddr <= s.Memsz-8
	})
}

// instruction is one of amd64, with the address behind it.
type instruction struct {
	x86asm.Inst
	end uint64
}

// batchesAMD64 returns the addresses of the variables to which the code at addr
// adds GoidBatch, by itself or, where nothing is inlined, by a call:
//
//	mov $16, n; lea V(%rip), p; lock xadd n, (p)
//	lea V(%rip), %rax; mov $16, %ebx; call; lea -15(%rax), reg
func batchesAMD64(code []byte, addr uint64) ([]uint64, error) {
	var all []instruction
	for at := 0; at < len(code); {
		inst, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", newprocName, err)
		}
		at += inst.Len
		all = append(all, instruction{inst, addr + uint64(at)})
	}
	var places []uint64
	for i := 2; i < len(all); i++ {
		mov, lea := all[i-2], all[i-1]
		if mov.Op == x86asm.LEA {
			mov, lea = lea, mov
		}
		summand, ok := mov.batch()
		pointer, variable, isAddress := lea.address()
		if !ok || !isAddress || summand == pointer {
			continue
		}
		called := summand == x86asm.RBX && pointer == x86asm.RAX && all[i].Op == x86asm.CALL &&
			i+1 < len(all) && all[i+1].firstOfBatch()
		if called || all[i].adds(summand, pointer) {
			places = append(places, variable)
		}
	}
	return places, nil
}

// batch returns the register that the instruction sets to GoidBatch.
func (i instruction) batch() (x86asm.Reg, bool) {
	register, ok := i.Args[0].(x86asm.Reg)
	if !ok || i.Op != x86asm.MOV || i.Args[1] != x86asm.Imm(GoidBatch) {
		return 0, false
	}
	if register >= x86asm.EAX && register <= x86asm.R15L { // zeroes the upper half
		register += x86asm.RAX - x86asm.EAX
	}
	return register, register >= x86asm.RAX && register <= x86asm.R15
}

// address returns the register that the instruction sets to an address in the
// program, and the address.
func (i instruction) address() (x86asm.Reg, uint64, bool) {
	register, ok := i.Args[0].(x86asm.Reg)
	mem, isMem := i.Args[1].(x86asm.Mem)
	if !ok || !isMem || i.Op != x86asm.LEA || i.DataSize != 64 || mem.Base != x86asm.RIP || mem.Index != 0 {
		return 0, 0, false
	}
	return register, i.end + uint64(mem.Disp), true
}

// adds reports whether the instruction is the atomic addition of a register to
// the 64-bit word to which another one points.
func (i instruction) adds(summand, pointer x86asm.Reg) bool {
	return i.Op == x86asm.XADD && pointsTo(i.Args[0], pointer, 0) && i.Args[1] == summand &&
		slices.ContainsFunc(i.Prefix[:], func(p x86asm.Prefix) bool { return p&0xff == x86asm.PrefixLOCK })
}

// firstOfBatch reports whether the instruction computes the first id of a batch
// from the last one, which a call has returned.
func (i instruction) firstOfBatch() bool {
	return i.Op == x86asm.LEA && pointsTo(i.Args[1], x86asm.RAX, 1-GoidBatch)
}

// pointsTo reports whether an operand is the memory at a register's value plus
// displacement.
func pointsTo(arg x86asm.Arg, base x86asm.Reg, displacement int64) bool {
	mem, ok := arg.(x86asm.Mem)
	return ok && mem.Segment == 0 && mem.Base == base && mem.Index == 0 && mem.Disp == displacement
}

// batchesARM64 is batchesAMD64 for arm64:
//
//	mov n, #16; adrp p, V; add p, p, V; ldaddal n, t, [p]
//	mov n, #16; adrp p, V; add p, p, V; ldaxr t, [p]; add t, t, n; stlxr s, t, [p]
//	adrp x0, V; add x0, x0, V; mov x1, #16; bl; sub reg, x0, #15
//
// The decoder does not know ldaddal; with instructions of one size, masks do.
func batchesARM64(code []byte, addr uint64) []uint64 {
	var words []uint32
	for ; len(code) >= 4; code = code[4:] {
		words = append(words, binary.LittleEndian.Uint32(code))
	}
	var places []uint64
	for i := 0; i+5 <= len(words); i++ {
		w := words[i:]
		if n, ok := batchARM64(w[0]); ok {
			p, variable, ok := addressARM64(w[1], w[2], addr+uint64(4*i+4))
			if ok && p != n && addsARM64(w[3:], n, p) {
				places = append(places, variable)
			}
		}
		const x0, x1 = 0, 1
		n, ok := batchARM64(w[2])
		p, variable, isAddress := addressARM64(w[0], w[1], addr+uint64(4*i))
		call, first := w[3]&0xfc000000 == 0x94000000, w[4]&^0x1f == 0xd1000000|(GoidBatch-1)<<10|x0<<5
		if ok && isAddress && n == x1 && p == x0 && call && first {
			places = append(places, variable)
		}
	}
	return places
}

// batchARM64 returns the register that the instruction, an orr with the zero
// register, sets to GoidBatch.
func batchARM64(word uint32) (uint32, bool) {
	return word & 0x1f, word&^0x1f == 0xb27c03e0
}

// addressARM64 returns the register that two instructions, adrp at pc and add,
// set to an address, and the address.
func addressARM64(adrp, add uint32, pc uint64) (uint32, uint64, bool) {
	register := add & 0x1f
	if adrp&0x9f000000 != 0x90000000 || add&0xffc00000 != 0x91000000 || adrp&0x1f != add>>5&0x1f {
		return 0, 0, false
	}
	const signBit = 1 << 20
	pages := int64(adrp>>5&0x7ffff<<2 | adrp>>29&3)
	pages = pages&(signBit-1) - pages&signBit
	return register, pc&^0xfff + uint64(pages<<12) + uint64(add>>10&0xfff), true
}

// addsARM64 reports whether the instructions begin with the atomic addition of
// a register to the 64-bit word to which another one points.
func addsARM64(words []uint32, summand, pointer uint32) bool {
	target := words[0] & 0x1f
	if words[0]&^0x1f == 0xf8e00000|summand<<16|pointer<<5 {
		return true
	}
	return len(words) >= 3 &&
		words[0]&^0x1f == 0xc85ffc00|pointer<<5 &&
		words[1] == 0x8b000000|summand<<16|target<<5|target &&
		words[2]&^(0x1f<<16) == 0xc800fc00|pointer<<5|target
}
