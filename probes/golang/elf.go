package golang

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Bounds of what an executable may ask of us. Real programs have about 12
// segments, 40 sections and 500 bytes of section names.
const (
	maxSegments = 128
	maxSections = 1024
	maxNames    = 64 << 10
	windowSize  = 256 << 10 // one read of a long stretch; larger gains nothing
)

// image is an ELF executable read piece by piece. debug/elf is not used for
// reading: it loads and inflates what the file's headers tell it to, and these
// files belong to anybody on the machine.
type image struct {
	r        io.ReaderAt
	size     uint64
	header   elf.Header64
	segments []elf.Prog64
	sections map[string]elf.Section64
}

var errTruncated = errors.New("reaches beyond the end of the file")

// newImage reads the headers. It returns an UnsupportedError for what is a
// valid executable of another kind.
func newImage(r io.ReaderAt, size uint64) (*image, error) {
	img := &image{r: r, size: size}
	ident, err := img.read(0, binary.Size(img.header))
	if err != nil || !bytes.HasPrefix(ident, []byte(elf.ELFMAG)) {
		return nil, fmt.Errorf("read ELF header: not an ELF file: %w", ErrNotGo)
	}
	if elf.Class(ident[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(ident[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, &UnsupportedError{Reason: "not a 64-bit little-endian program"}
	}
	decode(ident, &img.header)
	switch elf.Machine(img.header.Machine) {
	case elf.EM_X86_64, elf.EM_AARCH64:
	default:
		return nil, &UnsupportedError{Reason: "neither amd64 nor arm64"}
	}
	if err := img.readSegments(); err != nil {
		return nil, fmt.Errorf("read program headers: %w", err)
	}
	if err := img.readSections(); err != nil {
		return nil, fmt.Errorf("read section headers: %w", err)
	}
	return img, nil
}

func (img *image) readSegments() error {
	var segment elf.Prog64
	n, entry := int(img.header.Phnum), binary.Size(segment)
	if n > maxSegments || n > 0 && int(img.header.Phentsize) != entry {
		return fmt.Errorf("%d entries of %d bytes", n, img.header.Phentsize)
	}
	raw, err := img.read(img.header.Phoff, n*entry)
	if err != nil {
		return err
	}
	for ; len(raw) > 0; raw = raw[entry:] {
		decode(raw, &segment)
		img.segments = append(img.segments, segment)
	}
	return nil
}

func (img *image) readSections() error {
	var section elf.Section64
	n, entry := int(img.header.Shnum), binary.Size(section)
	if n == 0 {
		return &UnsupportedError{Reason: "no section headers (packed or fully stripped)"}
	}
	if n > maxSections || int(img.header.Shentsize) != entry || int(img.header.Shstrndx) >= n {
		return fmt.Errorf("%d entries of %d bytes", n, img.header.Shentsize)
	}
	raw, err := img.read(img.header.Shoff, n*entry)
	if err != nil {
		return err
	}
	decode(raw[int(img.header.Shstrndx)*entry:], &section)
	names, err := img.read(section.Off, int(min(section.Size, maxNames)))
	if err != nil {
		return err
	}
	img.sections = make(map[string]elf.Section64, n)
	for ; len(raw) > 0; raw = raw[entry:] {
		decode(raw, &section)
		if uint64(section.Name) >= uint64(len(names)) {
			continue
		}
		name, _, _ := bytes.Cut(names[section.Name:], []byte{0})
		if _, seen := img.sections[string(name)]; !seen {
			img.sections[string(name)] = section
		}
	}
	return nil
}

// section returns a section that has bytes in the file, all of them there.
func (img *image) section(name string) (elf.Section64, bool) {
	s, ok := img.sections[name]
	if !ok || elf.SectionType(s.Type) == elf.SHT_NOBITS || s.Off > img.size || s.Size > img.size-s.Off {
		return elf.Section64{}, false
	}
	return s, true
}

// read returns n bytes at an offset of the file. The callers bound n.
func (img *image) read(off uint64, n int) ([]byte, error) {
	if off > img.size || uint64(n) > img.size-off || off > math.MaxInt64 {
		return nil, errTruncated
	}
	buf := make([]byte, n)
	if _, err := img.r.ReadAt(buf, int64(off)); err != nil {
		return nil, err
	}
	return buf, nil
}

// fileOffset turns an address into an offset of the file, which is what a
// uprobe is given. flags are those that the segment must have.
func (img *image) fileOffset(addr uint64, flags elf.ProgFlag) (uint64, bool) {
	for _, s := range img.segments {
		if elf.ProgType(s.Type) == elf.PT_LOAD && elf.ProgFlag(s.Flags)&flags == flags &&
			addr >= s.Vaddr && addr-s.Vaddr < s.Filesz {
			return addr - s.Vaddr + s.Off, true
		}
	}
	return 0, false
}

// pointer returns the address stored at addr, before the loader's bias. In a
// position-independent program from a C linker the word in the file is zero and
// its value stands in a relocation.
func (img *image) pointer(addr uint64) (uint64, error) {
	off, ok := img.fileOffset(addr, elf.PF_R)
	if !ok {
		return 0, fmt.Errorf("read pointer: address %#x is not in the file", addr)
	}
	raw, err := img.read(off, 8)
	if err != nil {
		return 0, fmt.Errorf("read pointer: %w", err)
	}
	value := binary.LittleEndian.Uint64(raw)
	if value != 0 || elf.Type(img.header.Type) != elf.ET_DYN {
		return value, nil
	}
	return img.addend(addr)
}

// addend returns what the relative relocation for the word at addr makes of it,
// zero if there is none.
func (img *image) addend(addr uint64) (uint64, error) {
	relative := uint32(elf.R_X86_64_RELATIVE)
	if elf.Machine(img.header.Machine) == elf.EM_AARCH64 {
		relative = uint32(elf.R_AARCH64_RELATIVE)
	}
	relocations, ok := img.section(".rela.dyn")
	if !ok {
		return 0, nil
	}
	const entry = 24 // Elf64_Rela: offset, info, addend
	in := cursor{img: img, end: relocations.Off + relocations.Size}
	for off := relocations.Off; off+entry <= in.end; off += entry {
		raw, err := in.bytes(off, entry)
		if err != nil {
			return 0, fmt.Errorf("read relocations: %w", err)
		}
		if binary.LittleEndian.Uint64(raw) == addr && binary.LittleEndian.Uint32(raw[8:]) == relative {
			return binary.LittleEndian.Uint64(raw[16:]), nil
		}
	}
	return 0, nil
}

// cursor reads forward through a stretch of the file, a window at a time.
type cursor struct {
	img   *image
	end   uint64 // of the stretch
	start uint64 // of the window
	data  []byte // the window
	space []byte
}

// bytes returns n bytes at an offset of the file, valid until the next call.
func (c *cursor) bytes(off uint64, n int) ([]byte, error) {
	if off < c.start || off-c.start > uint64(len(c.data)) || uint64(len(c.data))-(off-c.start) < uint64(n) {
		if err := c.fill(off, n); err != nil {
			return nil, err
		}
	}
	return c.data[off-c.start:][:n], nil
}

// fill moves the window to an offset; it then holds at least n bytes.
func (c *cursor) fill(off uint64, n int) error {
	if c.space == nil {
		c.space = make([]byte, windowSize)
	}
	end := min(c.end, c.img.size)
	if off > end || end-off < uint64(n) {
		return errTruncated
	}
	c.start, c.data = off, c.space[:min(end-off, windowSize)]
	if _, err := c.img.r.ReadAt(c.data, int64(off)); err != nil {
		c.data = nil
		return err
	}
	return nil
}

// index returns the offset of the first occurrence of a short pattern at or
// behind off.
func (c *cursor) index(off uint64, pattern []byte) (uint64, bool, error) {
	for off < c.end && c.end-off >= uint64(len(pattern)) {
		if err := c.fill(off, len(pattern)); err != nil {
			return 0, false, err
		}
		if i := bytes.Index(c.data, pattern); i >= 0 {
			return off + uint64(i), true, nil
		}
		off += uint64(len(c.data) - len(pattern) + 1)
	}
	return 0, false, nil
}

// decode fills a fixed-size struct from bytes that are known to suffice.
func decode(raw []byte, into any) {
	// The only error is a short buffer.
	_, _ = binary.Decode(raw, binary.LittleEndian, into)
}
