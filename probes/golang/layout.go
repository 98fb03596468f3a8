// Package golang finds out, from the executable alone, what the kernel must
// know to tell the goroutines of a Go program apart: where the running
// goroutine's structure (runtime.g) hangs off the thread, where in it the ids
// of the goroutine and of its creator are, which ids are not used yet, and how
// the one probe that cannot be avoided gets from a net/http client connection to
// its file descriptor.
//
// The net/http client writes requests from a goroutine of each connection, not
// from the one that asked. The probe at net/http.(*persistConn).roundTrip runs
// in the one that asked, with the connection as receiver; the descriptor ties
// the two together.
//
// Nothing is guessed. Field offsets come from a table made from the real
// toolchains (internal/tablegen); everything else is read from the program's
// own code and tables, which are there in stripped and position-independent
// programs too. What cannot be known for sure is an UnsupportedError.
package golang

//go:generate go run ./internal/tablegen -o table.go

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ErrNotGo says that a file is not a Go program.
var ErrNotGo = errors.New("not a Go program")

// UnsupportedError says that a program is, as far as can be seen, written in
// Go, but that its layout cannot be known for sure.
type UnsupportedError struct {
	Version string // of Go, as the program states it; empty if that was not reached
	Reason  string // for people, for example "older than go1.21"
}

func (e *UnsupportedError) Error() string {
	if e.Version == "" {
		return "unsupported program: " + e.Reason
	}
	return "unsupported go program (" + e.Version + "): " + e.Reason
}

// Layout is what the kernel must know of one Go program. It holds for every
// process that runs the same file.
type Layout struct {
	Version string      // of Go, as the program states it
	Machine elf.Machine // EM_X86_64 or EM_AARCH64

	// TLSOffset is where a thread of an amd64 program keeps the address of its
	// runtime.g, relative to the thread's FS base: negative. On arm64 it is 0:
	// there the address is in register x28.
	TLSOffset int32

	// GoID and ParentGoID are the offsets in runtime.g of two 64-bit words:
	// the goroutine's id and that of the goroutine that started it. Ids begin
	// at 1. An id of 0 is the scheduler's own stack, which also runs C code:
	// it says nothing about requests.
	GoID, ParentGoID uint32

	// RoundTrip is the offset in the file at which a uprobe sees
	// net/http.(*persistConn).roundTrip, with the *persistConn in RAX (amd64)
	// or R0 (arm64). It is 0 where there is none, and NoRoundTrip says why.
	RoundTrip   uint64
	NoRoundTrip string

	Conn ConnLayout

	// M, P, OldP and GoidCache lead from a g to the ids that the next
	// goroutines will get:
	//
	//	g + M                  address of the m, the thread that runs it
	//	m + P                  address of the p, the right to run; it may be 0 in a system call:
	//	m + OldP               then this is the p that it had
	//	p + GoidCache          the next id that this p hands out ...
	//	p + GoidCache + 8      ... and where its ids end: none left if they are equal
	//
	// A p takes GoidBatch ids at once. Nobody but the p's thread hands them out,
	// so those from the first word to the second are unused. The p of a thread
	// in a system call may be another thread's by now, and be refilled between
	// the reads of the two words: more than GoidBatch ids between them prove
	// nothing. With up to GoidBatch, the first word being read first, all of
	// them were unused when the reading began. Both words are 0 in a p that never started a
	// goroutine.
	M, P, OldP, GoidCache uint32

	// GoidGen is the address, before the loader's bias, of the last id that a p
	// took (runtime.sched.goidgen, 64 bits): no greater one was handed out.
	// GoidGenAt has it for a process. It is 0 where the program's code does
	// not tell, and NoGoidGen says why.
	GoidGen   uint64
	NoGoidGen string

	load loading
}

// ConnLayout leads from a *net/http.persistConn to a file descriptor. All but
// the hashes are byte offsets:
//
//	persistConn + Persist           interface {itab, data}; its data word follows its itab word
//	itab + ItabType                 address of the dynamic type
//	type + TypeHash                 32-bit hash of the type: TCPHash, UnixHash, TLSHash, or stop
//	data + TLS (of TLSHash only)    interface {itab, data} again, now TCPHash, UnixHash, or stop
//	data + FD                       address of the netFD
//	netFD + Sysfd                   the descriptor, a 64-bit word
//
// The compiler makes the hash from the type's full name, so that it is the same
// in all programs built by a toolchain: comparing it is what keeps the kernel
// from taking some other net.Conn for one of these. The first word of the chain
// that cannot be read, and any other type, means that there is no link.
type ConnLayout struct {
	Persist, TLS, FD, Sysfd    uint32
	TCPHash, UnixHash, TLSHash uint32
}

// Offsets of the runtime's types, the same from Go 1.21 on.
const (
	InterfaceData = 8  // in a non-empty interface: the data word
	ItabType      = 8  // in internal/abi.ITab: the dynamic type
	TypeHash      = 16 // in internal/abi.Type: the hash
	GoidBatch     = 16 // ids that a p takes at once
)

const roundTripName = "net/http.(*persistConn).roundTrip"

// Inspect reads the layout of the program in a file, usually /proc/PID/exe. It
// reads what it needs of the file through buffers of at most 256 KiB, a few
// milliseconds' work also for the largest programs. The result may be kept for
// as long as the file's device, inode, size and time of change (st_ctim) stay
// the same.
//
// The error is ErrNotGo for other programs, an *UnsupportedError for Go
// programs whose layout is not known for sure, and another one if the file
// cannot be read or is damaged.
func Inspect(path string) (*Layout, error) {
	// A path that turns out to be a pipe must not block us.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("inspect program: %w", err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("inspect program: %w", err)
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("inspect program: %s is not a regular file", path)
	}
	img, err := newImage(file, uint64(stat.Size()))
	if err != nil {
		return nil, fmt.Errorf("inspect program: %w", err)
	}
	layout, err := inspect(img)
	if err != nil {
		return nil, fmt.Errorf("inspect program: %w", err)
	}
	return layout, nil
}

func inspect(img *image) (*Layout, error) {
	version, err := readVersion(img)
	if err != nil {
		return nil, err
	}
	fields, reason := lookUp(version)
	if reason != "" {
		return nil, &UnsupportedError{Version: version, Reason: reason}
	}
	layout := &Layout{
		Version:    version,
		Machine:    elf.Machine(img.header.Machine),
		GoID:       fields.goID,
		ParentGoID: fields.parentGoID,
		Conn:       fields.conn,
		M:          fields.m,
		P:          fields.p,
		OldP:       fields.oldP,
		GoidCache:  fields.goidCache,
		load:       img.loading(),
	}
	functions, err := findFunctions(img)
	if err != nil {
		return nil, &UnsupportedError{Version: version, Reason: err.Error()}
	}
	if layout.Machine == elf.EM_X86_64 {
		layout.TLSOffset, err = findG(img, functions)
		if err != nil {
			return nil, &UnsupportedError{Version: version, Reason: err.Error()}
		}
	}
	layout.RoundTrip, err = findRoundTrip(img, functions)
	if err != nil {
		layout.NoRoundTrip = err.Error()
	}
	layout.GoidGen, err = findGoidGen(img, functions)
	if err != nil {
		layout.NoGoidGen = err.Error()
	}
	return layout, nil
}

func findFunctions(img *image) (map[string]span, error) {
	table, err := readLineTable(img)
	if err != nil {
		return nil, err
	}
	return table.find(goTLSName, roundTripName, newprocName)
}

func findG(img *image, functions map[string]span) (int32, error) {
	f, ok := functions[goTLSName]
	if !ok {
		return 0, fmt.Errorf("no %s in the program (its runtime is a shared object)", goTLSName)
	}
	code, _, err := img.code(f.start, maxPrologue)
	if err != nil {
		return 0, err
	}
	return img.tlsOffset(code)
}

func findRoundTrip(img *image, functions map[string]span) (uint64, error) {
	f, ok := functions[roundTripName]
	if !ok {
		return 0, errors.New("no net/http client in the program")
	}
	code, off, err := img.code(f.start, maxPrologue)
	if err != nil {
		return 0, err
	}
	distance, err := probePoint(elf.Machine(img.header.Machine), code)
	if err != nil {
		return 0, err
	}
	return off + uint64(distance), nil
}

// fields are the version-dependent offsets, one row of the table.
type fields struct {
	minor            int
	goID, parentGoID uint32
	m, p, oldP       uint32
	goidCache        uint32
	conn             ConnLayout
}

// lookUp returns the row of the table for a version of Go, or the reason why
// there is none.
func lookUp(version string) (fields, string) {
	minor, reason := parseVersion(version)
	if reason != "" {
		return fields{}, reason
	}
	oldest, newest := table[0].minor, table[len(table)-1].minor
	switch {
	case minor < oldest:
		return fields{}, fmt.Sprintf("older than go1.%d", oldest)
	case minor > newest:
		return fields{}, fmt.Sprintf("newer than go1.%d, the newest whose layout is known", newest)
	}
	for _, row := range table {
		if row.minor == minor {
			return row, ""
		}
	}
	return fields{}, "layout of this version is not known"
}

// parseVersion returns the minor version of a released toolchain: go1.M or
// go1.M.P, and behind it at most experiments that are known to change nothing
// here, as " X:a,b" or, since Go 1.26, "-X:a,b".
func parseVersion(version string) (int, string) {
	release, experiments, custom := strings.Cut(version, " X:")
	if !custom {
		release, experiments, custom = strings.Cut(version, "-X:")
	}
	if custom {
		for name := range strings.SplitSeq(experiments, ",") {
			if !slices.Contains(harmlessExperiments, name) {
				return 0, "built with the experiment " + strconv.Quote(name)
			}
		}
	}
	numbers := strings.Split(release, ".")
	if numbers[0] != "go1" || len(numbers) < 2 || len(numbers) > 3 {
		return 0, "not a released version of Go"
	}
	for _, number := range numbers[1:] {
		if n, err := strconv.Atoi(number); err != nil || n < 0 {
			return 0, "not a released version of Go"
		}
	}
	minor, _ := strconv.Atoi(numbers[1]) // checked above
	return minor, ""
}
