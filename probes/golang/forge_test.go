package golang

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// forged describes a tiny executable with all that Inspect looks at.
type forged struct {
	machine   elf.Machine
	version   string
	morestack []byte // code
	roundTrip []byte // code; nil: not in the program
	newproc   []byte // code; nil: not in the program
	tls       uint64 // size of thread-local storage
}

const (
	forgedBase  = 0x400000 // address of the file's first byte
	forgedTable = 0x1000   // offset of the line table
	forgedText  = 0x800    // offset of the code, 0x100 bytes for each function
	forgedData  = 0x601000 // address of the variables, none of which is in the file
)

// plain is what the Go linker makes of a net/http client on amd64.
func plain() forged {
	return forged{
		machine: elf.EM_X86_64,
		version: "go1.26.8",
		morestack: []byte{
			0x64, 0x48, 0x8b, 0x3c, 0x25, 0xf8, 0xff, 0xff, 0xff, // mov %fs:-8,%rdi
			0x48, 0x8b, 0x5f, 0x30, // mov 0x30(%rdi),%rbx
		},
		roundTrip: []byte{
			0x4c, 0x8d, 0xa4, 0x24, 0x58, 0xfe, 0xff, 0xff, // lea -0x1a8(%rsp),%r12
			0x4d, 0x3b, 0x66, 0x10, // cmp 0x10(%r14),%r12
			0x0f, 0x86, 0x68, 0x0e, 0x00, 0x00, // jbe
			0x55,             // push %rbp
			0x48, 0x89, 0xe5, // mov %rsp,%rbp
		},
		newproc: []byte{
			0xb9, 0x10, 0x00, 0x00, 0x00, // mov $0x10,%ecx
			0x48, 0x8d, 0x15, 0xf4, 0x05, 0x20, 0x00, // lea 0x2005f4(%rip),%rdx
			0xf0, 0x48, 0x0f, 0xc1, 0x0a, // lock xadd %rcx,(%rdx)
			0xc3, // ret
		},
		tls: 8,
	}
}

const forgedPush = 18 // distance of "push %rbp" in plain's roundTrip

// bytes lays the file out: headers, code, line table, build information.
func (f forged) bytes() []byte {
	const namesAt, infoAt, headersAt = 0x1800, 0x1900, 0x1a00
	file := make([]byte, headersAt+4*64)
	quantum := byte(1)
	if f.machine == elf.EM_AARCH64 {
		quantum = 4
	}
	copy(file[forgedText:], f.morestack)
	copy(file[forgedText+0x100:], f.roundTrip)
	copy(file[forgedText+0x200:], f.newproc)
	f.lineTable(file[forgedTable:namesAt], quantum)

	info := append([]byte(buildInfoMagic), 8, buildInfoInline)
	info = append(info, make([]byte, 16)...)
	info = binary.AppendUvarint(info, uint64(len(f.version)))
	info = append(info, f.version...)
	copy(file[infoAt:], info)

	names := "\x00.gopclntab\x00.go.buildinfo\x00.shstrtab\x00"
	copy(file[namesAt:], names)
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Addr: forgedBase + forgedTable, Off: forgedTable, Size: namesAt - forgedTable},
		{Name: 12, Type: uint32(elf.SHT_PROGBITS), Addr: forgedBase + infoAt, Off: infoAt, Size: uint64(len(info))},
		{Name: 26, Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))},
	}
	segments := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: forgedBase, Filesz: uint64(len(file)), Memsz: uint64(len(file))},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Vaddr: forgedData, Memsz: 0x1000},
		{Type: uint32(elf.PT_TLS), Flags: uint32(elf.PF_R), Memsz: f.tls, Align: 8},
	}
	header := elf.Header64{
		Ident:     [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:      uint16(elf.ET_EXEC),
		Machine:   uint16(f.machine),
		Phoff:     64,
		Shoff:     headersAt,
		Phentsize: 56, Phnum: uint16(len(segments)),
		Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: 3,
	}
	copy(file, encode(header))
	copy(file[64:], encode(segments))
	copy(file[headersAt:], encode(sections))
	return file
}

// lineTable writes the header, the names, the index and the records.
func (f forged) lineTable(table []byte, quantum byte) {
	const names, index, records = headerSize, 0x100, 0x40
	copy(table, []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, quantum, 8})
	text := "first\x00" + goTLSName + "\x00" + roundTripName + "\x00" + newprocName + "\x00"
	copy(table[names:], text)
	functions, end := 0, uint32(0)
	for i, name := range []string{goTLSName, roundTripName, newprocName} {
		code := [][]byte{f.morestack, f.roundTrip, f.newproc}[i]
		if code == nil {
			continue
		}
		entry, record := uint32(i*0x100), uint32(records+8*functions)
		binary.LittleEndian.PutUint32(table[index+8*functions:], entry)
		binary.LittleEndian.PutUint32(table[index+8*functions+4:], record)
		binary.LittleEndian.PutUint32(table[index+int(record):], entry)
		offset := bytes.Index([]byte(text), []byte("\x00"+name)) + 1
		binary.LittleEndian.PutUint32(table[index+int(record)+4:], uint32(offset))
		functions, end = functions+1, entry+uint32(len(code))
	}
	binary.LittleEndian.PutUint32(table[index+8*functions:], end)
	for i, word := range []uint64{uint64(functions), 0, forgedBase + forgedText, names, names + uint64(len(text)), 0, 0, index} {
		binary.LittleEndian.PutUint64(table[8+8*i:], word)
	}
}

func encode(v any) []byte {
	var out bytes.Buffer
	if err := binary.Write(&out, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return out.Bytes()
}
