package golang

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// loading is how a program gets to its place in memory.
type loading struct {
	entry uint64 // its entry point, before the loader's bias
	fixed bool   // there is no bias
}

// GoidGenAt returns GoidGen's address in a process that runs the program. The
// loader's bias is the distance between the entry point of the file and that
// which the kernel told the process, on record in /proc/PID/auxv: unlike the
// process's mappings this does not depend on how a file system numbers its
// files, nor on what the process maps.
//
// The error is that of reading the record, or says that GoidGen is not known or
// that the process runs another program or has ended.
func (l *Layout) GoidGenAt(pid uint32) (uint64, error) {
	if l.GoidGen == 0 {
		return 0, fmt.Errorf("find goidgen: %s", l.NoGoidGen)
	}
	entry, err := entryPoint(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, fmt.Errorf("find goidgen: %w", err)
	}
	// All machines' pages are multiples of the smallest.
	const page = 4096
	bias := entry - l.load.entry
	if bias%page != 0 || l.load.fixed && bias != 0 {
		return 0, errors.New("find goidgen: the process runs another program")
	}
	return l.GoidGen + bias, nil
}

// entryPoint reads a process's entry point from its auxiliary vector: pairs of
// 64-bit words, the last of them of type 0.
func entryPoint(path string) (uint64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	const typeEntry, maxVector = 9, 4096 // the kernel keeps under 60 pairs
	raw, err := io.ReadAll(io.LimitReader(file, maxVector))
	if err != nil {
		return 0, err
	}
	for ; len(raw) >= 16; raw = raw[16:] {
		switch binary.LittleEndian.Uint64(raw) {
		case typeEntry:
			return binary.LittleEndian.Uint64(raw[8:]), nil
		case 0:
			return 0, errors.New("no entry point on record")
		}
	}
	return 0, errors.New("no entry point on record: the process has ended")
}

func (img *image) loading() loading {
	return loading{entry: img.header.Entry, fixed: elf.Type(img.header.Type) != elf.ET_DYN}
}
