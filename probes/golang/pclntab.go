package golang

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of a line table. The largest programs in wide use (the Kubernetes
// ones, 100 MB and more) have 150,000 functions and 12 MB of their names.
const (
	maxFunctions = 4 << 20
	maxNameTable = 256 << 20
)

// lineTable is the table that the Go runtime itself uses to walk stacks, so
// that it is in every Go program, stripped or not. Only the form of Go 1.20 and
// later is read (runtime.pcHeader).
type lineTable struct {
	img       *image
	text      uint64 // address that entry points are relative to
	functions uint64 // number of functions
	names     uint64 // offsets in the file, from here on: the names, each ended by NUL
	namesEnd  uint64
	index     uint64 // the sorted function index, its records behind it
	end       uint64
}

const (
	headerSize = 72
	// Of runtime.moduledata, the same from Go 1.21 on.
	moduleHeader = 0
	moduleText   = 176
)

// errNoLineTable says that there is no line table of a known form.
var errNoLineTable = errors.New("no line table of go1.20 or later")

// headerStart is how the table begins: magic number, two zeros, the
// instruction quantum, the size of a pointer.
func headerStart(machine elf.Machine) []byte {
	quantum := byte(1)
	if machine == elf.EM_AARCH64 {
		quantum = 4
	}
	return []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, quantum, 8}
}

// readLineTable finds the table and checks its header.
func readLineTable(img *image) (*lineTable, error) {
	section, start, err := findLineTable(img)
	if err != nil {
		return nil, fmt.Errorf("find line table: %w", err)
	}
	header, err := img.read(start, headerSize)
	if err != nil {
		return nil, fmt.Errorf("read line table: %w", err)
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(header[8+8*i:]) }
	size := section.Off + section.Size - start
	names, namesEnd, index := word(3), word(4), word(7)
	functions := word(0)
	if functions > maxFunctions || names < headerSize || namesEnd < names || namesEnd-names > maxNameTable ||
		index < namesEnd || index > size || size-index < functions*8+4 {
		return nil, fmt.Errorf("read line table: %w", errNoLineTable)
	}
	t := &lineTable{
		img:       img,
		functions: functions,
		names:     start + names,
		namesEnd:  start + namesEnd,
		index:     start + index,
		end:       start + size,
	}
	t.text, err = textStart(img, section.Addr+(start-section.Off))
	if err != nil {
		return nil, fmt.Errorf("find start of text: %w", err)
	}
	return t, nil
}

// findLineTable returns the section that holds the table, and the table's
// offset in the file. The Go linker gives it a section of its own, but C
// linkers merge that of a position-independent program (before Go 1.26) with
// other constants.
func findLineTable(img *image) (elf.Section64, uint64, error) {
	start := headerStart(elf.Machine(img.header.Machine))
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro"} {
		section, ok := img.section(name)
		if !ok {
			continue
		}
		in := cursor{img: img, end: section.Off + section.Size}
		off, found, err := in.index(section.Off, start)
		if err != nil {
			return elf.Section64{}, 0, err
		}
		if found {
			return section, off, nil
		}
	}
	return elf.Section64{}, 0, errNoLineTable
}

// textStart returns the address that the table at the given address counts
// from. C linkers put code of their own first, so it is not that of .text. It
// stands in the table's header up to Go 1.25, in the module data from then on.
func textStart(img *image, table uint64) (uint64, error) {
	const inHeader = 24
	text, err := img.pointer(table + inHeader)
	if err != nil {
		return 0, err
	}
	if text != 0 {
		return text, nil
	}
	module, ok := img.section(".go.module")
	if !ok {
		return 0, errors.New("no module data")
	}
	header, err := img.pointer(module.Addr + moduleHeader)
	if err != nil {
		return 0, err
	}
	if header != table {
		return 0, errors.New("module data of an unknown form")
	}
	return img.pointer(module.Addr + moduleText)
}

// span is where the code of a function is, up to the beginning of the next one.
type span struct{ start, end uint64 }

// find returns where the functions that are in the program are. A name that was
// inlined everywhere, or left out by the linker, is missing.
func (t *lineTable) find(functions ...string) (map[string]span, error) {
	wanted := make(map[uint32]string, len(functions))
	for _, name := range functions {
		in := cursor{img: t.img, end: t.namesEnd}
		// The NUL in front keeps it from being the end of a longer name.
		off, found, err := in.index(t.names, []byte("\x00"+name+"\x00"))
		if err != nil {
			return nil, fmt.Errorf("read function names: %w", err)
		}
		if found {
			wanted[uint32(off+1-t.names)] = name
		}
	}
	found := make(map[string]span, len(wanted))
	if err := t.walk(wanted, found); err != nil {
		return nil, fmt.Errorf("read function table: %w", err)
	}
	return found, nil
}

// walk goes through the functions until all that are wanted, by the offset of
// their name, are found.
func (t *lineTable) walk(wanted map[uint32]string, found map[string]span) error {
	indexEnd := t.index + 8*t.functions
	index := cursor{img: t.img, end: indexEnd + 4} // the end of the last function
	records := cursor{img: t.img, end: t.end}
	previous := uint64(0)
	for off := t.index; off < indexEnd && len(found) < len(wanted); off += 8 {
		entry, err := index.bytes(off, 12)
		if err != nil {
			return err
		}
		// Records stand in the order of their functions. Insisting on it
		// keeps a forged table from making us read in circles.
		record := uint64(binary.LittleEndian.Uint32(entry[4:]))
		if record <= previous {
			return fmt.Errorf("records out of order: %w", errNoLineTable)
		}
		previous = record
		raw, err := records.bytes(t.index+record, 8)
		if err != nil {
			return err
		}
		if name, ok := wanted[binary.LittleEndian.Uint32(raw[4:])]; ok {
			found[name] = span{
				start: t.text + uint64(binary.LittleEndian.Uint32(raw)),
				end:   t.text + uint64(binary.LittleEndian.Uint32(entry[8:])),
			}
		}
	}
	return nil
}
