package golang

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shape is one way to build the test program.
type shape struct {
	name      string
	toolchain string // empty: the installed one
	cgo       bool
	args      []string
}

func (s shape) String() string {
	if s.toolchain == "" {
		return s.name
	}
	return s.toolchain + "/" + s.name
}

var (
	static      = shape{name: "static", args: []string{"-ldflags=-s -w"}}
	unoptimized = shape{name: "unoptimized", args: []string{"-gcflags=all=-N -l"}}
	externalPIE = shape{name: "external-pie", cgo: true,
		args: []string{"-buildmode=pie", "-ldflags=-s -w -linkmode=external"}}
)

// shapes are those of the installed toolchain; others follow it.
var shapes = []shape{
	static,
	{name: "unstripped"},
	{name: "pie", args: []string{"-buildmode=pie", "-ldflags=-s -w"}},
	{name: "cgo", cgo: true, args: []string{"-ldflags=-s -w"}},
	{name: "external", cgo: true, args: []string{"-ldflags=-s -w -linkmode=external"}},
	externalPIE,
	{name: "tls-variables", cgo: true, args: []string{"-tags=tlsvars", "-ldflags=-s -w"}},
	unoptimized,
}

// otherShapes has the oldest toolchain, the last one that keeps the start of the
// text in the line table, one between, and the newest. With -short it has the
// first two in one shape each: every toolchain has to be fetched, and every shape
// compiles the standard library anew.
func otherShapes() []shape {
	if testing.Short() {
		return []shape{static.with("go1.21.13"), externalPIE.with("go1.25.14")}
	}
	others := []shape{static.with("go1.27.4"), unoptimized.with("go1.21.13")}
	for _, toolchain := range []string{"go1.21.13", "go1.23.12", "go1.25.14"} {
		others = append(others, static.with(toolchain), externalPIE.with(toolchain))
	}
	return others
}

// with is the shape, built by another toolchain.
func (s shape) with(toolchain string) shape {
	s.toolchain = toolchain
	return s
}

// goBuild builds the test program with a toolchain, which the ordinary mechanism
// fetches on the first use. It works on a copy: the go.mod of this module is too
// new for the older ones.
func goBuild(t *testing.T, s shape, env []string, args ...string) {
	t.Helper()
	cgo := "CGO_ENABLED=0"
	if s.cgo {
		cgo = "CGO_ENABLED=1"
	}
	environ := append(slices.Clip(os.Environ()), "GOFLAGS=", "GOWORK=off", cgo)
	if s.toolchain != "" {
		environ = append(environ, "GOTOOLCHAIN="+s.toolchain)
	}
	dir := t.TempDir()
	if err := errors.Join(
		os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "program"))),
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/program\n\ngo 1.21\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	version := exec.Command("go", "version")
	version.Dir, version.Env = dir, environ
	if out, err := version.CombinedOutput(); err != nil {
		t.Skipf("toolchain %s is not to be had: %s", s.toolchain, out)
	}
	command := exec.Command("go", append([]string{"build"}, args...)...)
	command.Dir, command.Env = dir, append(environ, env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(command.Args[1:], " "), err, out)
	}
}

// buildProgram returns the path of the test program, built in a shape.
func buildProgram(t *testing.T, s shape, env ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	goBuild(t, s, env, append([]string{"-o", path}, s.args...)...)
	return path
}

// buildArchive returns the path of a C program that the test program is linked
// into.
func buildArchive(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := shape{cgo: true}
	archive, program := filepath.Join(dir, "program.a"), filepath.Join(dir, "program")
	goBuild(t, s, nil, "-buildmode=c-archive", "-tags=archive", "-o", archive)
	command := exec.Command("gcc", "-s", "-o", program, filepath.Join("testdata", "archive", "main.c"), archive, "-lpthread")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("link C program: %v\n%s", err, out)
	}
	return program
}

func inspectFile(t *testing.T, path string) *Layout {
	t.Helper()
	layout, err := Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// TestARM64 checks what can be checked without running it: that the probe point
// is a conditional branch near the start of the function that the symbol table
// names, and that goidgen is where its structure, of which it is the first
// field, is.
func TestARM64(t *testing.T) {
	oldest := "go1.21.13"
	for _, s := range []shape{
		{name: "static"},
		{name: "pie", args: []string{"-buildmode=pie"}},
		unoptimized,
		{name: "static", toolchain: oldest},
		unoptimized.with(oldest),
	} {
		t.Run(s.String(), func(t *testing.T) { checkARM64(t, s) })
	}
	// It may use the instruction for atomic addition unconditionally.
	t.Run("v8.1", func(t *testing.T) { checkARM64(t, shape{name: "v8.1"}, "GOARM64=v8.1") })
}

func checkARM64(t *testing.T, s shape, env ...string) {
	t.Helper()
	if s.name+s.toolchain != "static" && testing.Short() {
		t.Skip("compiles the standard library anew")
	}
	path := buildProgram(t, s, append(env, "GOARCH=arm64")...)
	layout := inspectFile(t, path)
	if layout.Machine != elf.EM_AARCH64 || layout.TLSOffset != 0 || layout.RoundTrip == 0 {
		t.Fatalf("%+v", layout)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	entry, word := symbolAndWord(t, file, layout.RoundTrip)
	if distance := layout.RoundTrip - entry; distance > 32 {
		t.Errorf("probe point %#x is %d bytes from the function at %#x", layout.RoundTrip, distance, entry)
	}
	const lowerOrSame = 0x54000009
	if word&0xff00001f != lowerOrSame {
		t.Errorf("probe point holds %#08x, not b.ls", word)
	}
	if want := symbol(t, file, "runtime.sched"); layout.GoidGen != want {
		t.Errorf("goidgen is at %#x (%s), not %#x", layout.GoidGen, layout.NoGoidGen, want)
	}
}

// symbolAndWord returns the offset in the file of roundTrip, by the symbol
// table, and the instruction at another offset.
func symbolAndWord(t *testing.T, file *elf.File, offset uint64) (entry uint64, word uint32) {
	t.Helper()
	text := file.Section(".text")
	raw := make([]byte, 4)
	if _, err := text.ReadAt(raw, int64(offset-text.Offset)); err != nil {
		t.Fatal(err)
	}
	return symbol(t, file, roundTripName) - text.Addr + text.Offset, binary.LittleEndian.Uint32(raw)
}

// symbol returns a symbol's value.
func symbol(t *testing.T, file *elf.File, name string) uint64 {
	t.Helper()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no symbol %s", name)
	}
	return symbols[i].Value
}

// TestDistribution inspects stripped programs that Debian 12 builds with Go
// 1.19, where they are installed.
func TestDistribution(t *testing.T) {
	for _, name := range []string{"caddy", "prometheus", "docker-registry"} {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skip(err)
			}
			_, err = Inspect(path)
			checkUnsupported(t, err, "older than go1.21")
		})
	}
}

// BenchmarkInspect measures the go command itself, or the program that
// INSPECT_PROGRAM names.
func BenchmarkInspect(b *testing.B) {
	path := os.Getenv("INSPECT_PROGRAM")
	if path == "" {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			b.Fatal(err)
		}
		path = filepath.Join(strings.TrimSpace(string(root)), "bin", "go")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(path); err != nil {
			b.Fatal(err)
		}
	}
}
