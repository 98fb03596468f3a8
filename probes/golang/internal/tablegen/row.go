package main

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/clewtrace/clew/probes/golang"
)

// row is one row of the table.
type row struct {
	goID, parentGoID int64
	m, p, oldP       int64
	goidCache        int64
	conn             golang.ConnLayout
}

func (r row) literal(minor int) string {
	return fmt.Sprintf("{minor: %d, goID: %d, parentGoID: %d, m: %d, p: %d, oldP: %d, goidCache: %d, conn: ConnLayout{\n"+
		"Persist: %d, TLS: %d, FD: %d, Sysfd: %d,\nTCPHash: %#08x, UnixHash: %#08x, TLSHash: %#08x,\n}}",
		minor, r.goID, r.parentGoID, r.m, r.p, r.oldP, r.goidCache, r.conn.Persist, r.conn.TLS, r.conn.FD, r.conn.Sysfd,
		r.conn.TCPHash, r.conn.UnixHash, r.conn.TLSHash)
}

// runtimeType is Go's own attribute DW_AT_go_runtime_type: where the runtime's
// description of the type is, relative to the first one.
const runtimeType dwarf.Attr = 0x2904

// structs holds the byte offsets of fields by "type.field", and those of the
// runtime's descriptions of pointer types by "*type".
type structs map[string]int64

func readRow(path string) (row, error) {
	file, err := elf.Open(path)
	if err != nil {
		return row{}, fmt.Errorf("open program: %w", err)
	}
	defer file.Close()
	fields, err := readStructs(file)
	if err != nil {
		return row{}, fmt.Errorf("read debugging information: %w", err)
	}
	if err := fields.checkConstants(); err != nil {
		return row{}, err
	}
	if err := checkGoidGen(file, path, fields); err != nil {
		return row{}, err
	}
	r := row{
		goID:       fields["runtime.g.goid"],
		parentGoID: fields["runtime.g.parentGoid"],
		m:          fields["runtime.g.m"],
		p:          fields["runtime.m.p"],
		oldP:       fields["runtime.m.oldp"],
		goidCache:  fields["runtime.p.goidcache"],
	}
	r.conn.Persist = uint32(fields["net/http.persistConn.conn"])
	r.conn.TLS = uint32(fields["crypto/tls.Conn.conn"])
	// TCPConn and UnixConn are nothing but a net.conn.
	r.conn.FD = uint32(fields["net.TCPConn.conn"] + fields["net.conn.fd"])
	r.conn.Sysfd = uint32(fields["net.netFD.pfd"] + fields["internal/poll.FD.Sysfd"])
	for name, hash := range map[string]*uint32{
		"*net.TCPConn":     &r.conn.TCPHash,
		"*net.UnixConn":    &r.conn.UnixHash,
		"*crypto/tls.Conn": &r.conn.TLSHash,
	} {
		if *hash, err = readHash(file, fields[name]); err != nil {
			return row{}, fmt.Errorf("read hash of %s: %w", name, err)
		}
	}
	return r, nil
}

// wanted are the fields whose offsets are needed; all of them must be there.
var wanted = map[string][]string{
	"runtime.g":            {"goid", "parentGoid", "m"},
	"runtime.m":            {"p", "oldp"},
	"runtime.p":            {"goidcache", "goidcacheend"},
	"runtime.schedt":       {"goidgen"},
	"runtime.moduledata":   {"pcHeader", "text"},
	"internal/abi.Type":    {"Hash"},
	"net/http.persistConn": {"conn"},
	"crypto/tls.Conn":      {"conn"},
	"net.TCPConn":          {"conn"},
	"net.UnixConn":         {"conn"},
	"net.conn":             {"fd"},
	"net.netFD":            {"pfd"},
	"internal/poll.FD":     {"Sysfd"},
}

// checkConstants verifies what package golang takes for constant.
func (s structs) checkConstants() error {
	for name, fields := range wanted {
		for _, field := range fields {
			if _, ok := s[name+"."+field]; !ok {
				return fmt.Errorf("no field %s of %s", field, name)
			}
		}
	}
	for field, want := range map[string]int64{
		"internal/abi.Type.Hash":      golang.TypeHash,
		"runtime.moduledata.pcHeader": 0,
		"runtime.moduledata.text":     176,
		"runtime.p.goidcacheend":      s["runtime.p.goidcache"] + 8,
		"net.UnixConn.conn":           s["net.TCPConn.conn"],
	} {
		if s[field] != want {
			return fmt.Errorf("%s is at %d, not %d", field, s[field], want)
		}
	}
	// It was runtime.itab up to Go 1.21.
	for _, field := range []string{"internal/abi.ITab.Type", "runtime.itab._type"} {
		if offset, ok := s[field]; ok && offset == golang.ItabType {
			return nil
		}
	}
	return errors.New("the type of an itab is not where it was")
}

// readStructs reads the offsets of all fields of the types needed.
func readStructs(file *elf.File) (structs, error) {
	data, err := file.DWARF()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{"runtime.itab": true, "internal/abi.ITab": true}
	for name := range wanted {
		names[name] = true
	}
	found, reader := structs{}, data.Reader()
	for {
		entry, err := reader.Next()
		if err != nil || entry == nil {
			return found, err
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		switch {
		case entry.Tag == dwarf.TagCompileUnit:
		case entry.Tag == dwarf.TagStructType && names[name]:
			if err := found.addMembers(reader, name); err != nil {
				return nil, err
			}
		case entry.Tag == dwarf.TagPointerType:
			if offset, ok := entry.Val(runtimeType).(uint64); ok {
				found[name] = int64(offset)
			}
		default:
			reader.SkipChildren()
		}
	}
}

func (s structs) addMembers(reader *dwarf.Reader, name string) error {
	for {
		member, err := reader.Next()
		if err != nil {
			return err
		}
		if member == nil || member.Tag == 0 {
			return nil
		}
		field, _ := member.Val(dwarf.AttrName).(string)
		if offset, ok := member.Val(dwarf.AttrDataMemberLoc).(int64); ok {
			s[name+"."+field] = offset
		}
		reader.SkipChildren()
	}
}

// checkGoidGen verifies that the variable which package golang finds in the code
// is the one that the symbols name. Of a version that is not in the table yet it
// finds none: a second run checks that.
func checkGoidGen(file *elf.File, path string, fields structs) error {
	layout, err := golang.Inspect(path)
	var unsupported *golang.UnsupportedError
	if errors.As(err, &unsupported) {
		log.Printf("goidgen is not checked: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	sched, err := symbol(file, "runtime.sched")
	if err != nil {
		return err
	}
	if want := sched.Value + uint64(fields["runtime.schedt.goidgen"]); layout.GoidGen != want {
		return fmt.Errorf("goidgen is found at %#x (%s), not %#x", layout.GoidGen, layout.NoGoidGen, want)
	}
	return nil
}

func symbol(file *elf.File, name string) (elf.Symbol, error) {
	symbols, err := file.Symbols()
	if err != nil {
		return elf.Symbol{}, err
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
	if i < 0 {
		return elf.Symbol{}, fmt.Errorf("no symbol %s", name)
	}
	return symbols[i], nil
}

// readHash reads the hash of a type from its description, at an offset from
// where all descriptions begin.
func readHash(file *elf.File, offset int64) (uint32, error) {
	types, err := symbol(file, "runtime.types")
	if err != nil {
		return 0, err
	}
	if int(types.Section) >= len(file.Sections) || offset == 0 {
		return 0, errors.New("not in the program")
	}
	section := file.Sections[types.Section]
	var raw [4]byte
	at := int64(types.Value-section.Addr) + offset + golang.TypeHash
	if _, err := section.ReadAt(raw[:], at); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(raw[:]), nil
}
