package golang

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func inspectBytes(file []byte) (*Layout, error) {
	img, err := newImage(bytes.NewReader(file), uint64(len(file)))
	if err != nil {
		return nil, err
	}
	return inspect(img)
}

func TestForged(t *testing.T) {
	layout, err := inspectBytes(plain().bytes())
	if err != nil {
		t.Fatal(err)
	}
	if layout.TLSOffset != -8 || layout.Machine != elf.EM_X86_64 || layout.Version != "go1.26.8" {
		t.Errorf("layout %+v", layout)
	}
	if want := uint64(forgedText + 0x100 + forgedPush); layout.RoundTrip != want {
		t.Errorf("probe point %#x (%s), want %#x", layout.RoundTrip, layout.NoRoundTrip, want)
	}
	if layout.GoidGen != forgedData {
		t.Errorf("goidgen %#x (%s), want %#x", layout.GoidGen, layout.NoGoidGen, forgedData)
	}
}

func TestNoRoundTrip(t *testing.T) {
	for reason, code := range map[string][]byte{
		"no net/http client": nil,
		"prologue":           {0x48, 0x31, 0xc0, 0x55},       // xor %rax,%rax; push %rbp
		"unknown form":       {0x48, 0x8d, 0x40, 0x08, 0x55}, // lea 8(%rax),%rax; push %rbp
	} {
		f := plain()
		f.roundTrip = code
		layout, err := inspectBytes(f.bytes())
		if err != nil {
			t.Fatal(err)
		}
		if layout.RoundTrip != 0 || !strings.Contains(layout.NoRoundTrip, reason) {
			t.Errorf("probe point %#x, reason %q, want %q", layout.RoundTrip, layout.NoRoundTrip, reason)
		}
	}
}

func TestPlaceOfG(t *testing.T) {
	relative := []byte{
		0x48, 0xc7, 0xc1, 0xc0, 0xff, 0xff, 0xff, // mov $-0x40,%rcx
		0x64, 0x48, 0x8b, 0x39, // mov %fs:(%rcx),%rdi
	}
	tests := map[string]struct {
		code   []byte
		tls    uint64
		want   int32
		reason string
	}{
		"position independent":     {relative, 0x100, -0x40, ""},
		"beyond the storage":       {relative, 0x20, 0, "outside"},
		"loader":                   {append([]byte{0x48, 0x8b, 0x0d, 0, 1, 0, 0}, relative[7:]...), 0x100, 0, "loader"}, // mov 0x100(%rip),%rcx
		"constant overwritten":     {append(append(relative[:7:7], 0x48, 0x89, 0xd1), relative[7:]...), 0x100, 0, "loader"},
		"no thread-local variable": {bytes.Repeat([]byte{0x90}, 20), 8, 0, "does not load g"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := plain()
			f.morestack, f.tls = test.code, test.tls
			layout, err := inspectBytes(f.bytes())
			if test.reason == "" {
				if err != nil || layout.TLSOffset != test.want {
					t.Fatalf("%+v, %v", layout, err)
				}
				return
			}
			checkUnsupported(t, err, test.reason)
		})
	}
}

func checkUnsupported(t *testing.T, err error, reason string) {
	t.Helper()
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) {
		t.Fatalf("got %v, want an UnsupportedError", err)
	}
	if !strings.Contains(unsupported.Error(), reason) {
		t.Errorf("got %q, want %q in it", unsupported, reason)
	}
}

func TestVersions(t *testing.T) {
	for version, reason := range map[string]string{
		"go1.21":                       "",
		"go1.21.0":                     "",
		"go1.26.8":                     "",
		"go1.26.8-X:nodwarf5":          "",
		"go1.25.3 X:boringcrypto":      "",
		"go1.22.5 X:arenas":            `experiment "arenas"`,
		"go1.26.8-X:nodwarf5,arenas":   `experiment "arenas"`,
		"go1.26.8 X:":                  `experiment ""`,
		"go1.20.14":                    "older than go1.21",
		"go1.19.8":                     "older than go1.21",
		"go1.99.0":                     "newer than",
		"go1.26rc1":                    "not a released version",
		"go1.26.8 (Vendor 1.26.8-1)":   "not a released version",
		"devel go1.27-4f2c1 Mon Jan 5": "not a released version",
		"go2.0":                        "not a released version",
		"":                             "malformed version",
		strings.Repeat("9", 300):       "malformed version",
	} {
		f := plain()
		f.version = version
		_, err := inspectBytes(f.bytes())
		switch {
		case reason == "":
			if err != nil {
				t.Errorf("%s: %v", version, err)
			}
		case reason == "malformed version":
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("%q: %v", version, err)
			}
		default:
			checkUnsupported(t, err, reason)
		}
	}
}

// TestTable has each minor version from the oldest to the newest in order, so
// that lookUp's bounds tell the truth.
func TestTable(t *testing.T) {
	for i, row := range table {
		if row.minor != table[0].minor+i {
			t.Errorf("row %d is of go1.%d", i, row.minor)
		}
		if row.m == 0 || row.p == 0 || row.oldP <= row.p || row.goidCache == 0 {
			t.Errorf("go1.%d: %+v", row.minor, row)
		}
		if row.goID == 0 || row.parentGoID == 0 || row.conn.Persist == 0 || row.conn.Sysfd == 0 {
			t.Errorf("go1.%d: %+v", row.minor, row)
		}
		if c := row.conn; c.TCPHash == 0 || c.TCPHash == c.UnixHash || c.TCPHash == c.TLSHash || c.UnixHash == c.TLSHash {
			t.Errorf("go1.%d: hashes %#x %#x %#x", row.minor, c.TCPHash, c.UnixHash, c.TLSHash)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	pipe := filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/bin/sh", script} {
		if _, err := Inspect(path); !errors.Is(err, ErrNotGo) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{pipe, dir, filepath.Join(dir, "missing")} {
		if _, err := Inspect(path); err == nil || errors.Is(err, ErrNotGo) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestDamaged(t *testing.T) {
	whole := plain().bytes()
	for n := range whole {
		if layout, err := inspectBytes(whole[:n]); err == nil {
			t.Fatalf("first %d bytes give %+v", n, layout)
		}
	}
	// Any word of any header made huge: an error or a layout, no panic.
	for _, value := range []uint64{1<<64 - 1, 1 << 63, 1<<63 - 1, 1 << 32, 1 << 20} {
		for at := 0; at+8 <= len(whole); at += 4 {
			file := bytes.Clone(whole)
			binary.LittleEndian.PutUint64(file[at:], value)
			_, _ = inspectBytes(file)
		}
	}
	noSections := bytes.Clone(whole)
	binary.LittleEndian.PutUint16(noSections[60:], 0)
	_, err := inspectBytes(noSections)
	checkUnsupported(t, err, "no section headers")
	circular := bytes.Clone(whole) // both records at one place
	copy(circular[forgedTable+0x100+8+4:], circular[forgedTable+0x100+4:][:4])
	_, err = inspectBytes(circular)
	checkUnsupported(t, err, "out of order")
	foreign := bytes.Clone(whole)
	binary.LittleEndian.PutUint16(foreign[18:], uint16(elf.EM_RISCV))
	_, err = inspectBytes(foreign)
	checkUnsupported(t, err, "neither amd64 nor arm64")
}

func FuzzInspect(f *testing.F) {
	f.Add(plain().bytes())
	arm := plain()
	arm.machine = elf.EM_AARCH64
	arm.roundTrip = []byte{
		0x90, 0x0b, 0x40, 0xf9, // ldr x16, [x28, #16]
		0xf1, 0x03, 0x09, 0xd1, // sub x17, sp, #576
		0x3f, 0x02, 0x10, 0xeb, // cmp x17, x16
		0xc9, 0x5c, 0x00, 0x54, // b.ls
	}
	arm.newproc = newprocARM64
	f.Add(arm.bytes())
	stripped := plain()
	stripped.roundTrip, stripped.newproc = nil, nil
	f.Add(stripped.bytes())
	f.Add(plain().bytes()[:0x1000])
	f.Fuzz(func(t *testing.T, file []byte) {
		layout, err := inspectBytes(file)
		if err == nil && layout.RoundTrip >= uint64(len(file)) {
			t.Errorf("probe point %#x is beyond the file", layout.RoundTrip)
		}
		if err == nil && (layout.GoidGen == 0) != (layout.NoGoidGen != "") {
			t.Errorf("goidgen %#x, reason %q", layout.GoidGen, layout.NoGoidGen)
		}
	})
}
