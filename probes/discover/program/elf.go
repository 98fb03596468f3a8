package program

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"io"
)

const (
	// maxRust bounds how much constant data of a Rust program is searched. The
	// strings of a library lie anywhere in it; 16 MiB cover nearly all programs
	// and take some milliseconds, once per executable.
	maxRust = 16 << 20
	// maxLauncher bounds the same for others: the launcher of a .NET program is
	// small, and whatever has more constants is something else.
	maxLauncher = 256 << 10
	// maxStrings bounds the table of dynamic names that is read.
	maxStrings = 8 << 20
	// maxComment bounds the section where compilers sign; some 200 bytes.
	maxComment = 4096
)

// taskRuntimes are strings that Rust's multi-threaded task runtimes leave in a
// program: names of their threads, and paths in their panic messages.
var taskRuntimes = []string{"tokio-r", "/tokio-1.", "/async-executor-1."}

// inspect reads an executable and adds to what its name says; what the file says
// counts more, for a Go program may well be called node. The ELF reader of the standard library is not
// hardened against hostile files: sizes are checked here, and a panic in it
// means a file that is not worth understanding.
func inspect(file io.ReaderAt, named Info) (info Info) {
	defer func() {
		if recover() != nil {
			info = named
		}
	}()
	image, err := elf.NewFile(file)
	if err != nil {
		return named
	}
	if image.Section(".go.buildinfo") != nil {
		return inspectGo(file)
	}
	if named.Runtime != Native {
		return named
	}
	names := section(file, image, ".dynstr", maxStrings)
	switch {
	case image.Section("__managedcode") != nil, // .NET compiled ahead of time
		bytes.Contains(names, []byte("DotNetRuntimeInfo")), // a .NET program in a single file
		bytes.Contains(section(file, image, ".rodata", maxLauncher), []byte("libhostfxr.so")):
		return Info{Runtime: Dotnet, Multiplexes: true}
	case bytes.Contains(section(file, image, ".comment", maxComment), []byte("rustc")):
		named.Multiplexes = named.Multiplexes || hasTaskRuntime(file, image.Section(".rodata"))
		return named
	case bytes.Contains(names, []byte("node_module_register")), // Node.js under another name
		bytes.Contains(names, []byte("napi_create_function")): // or another runtime for its extensions
		return Info{Runtime: NodeJS, Multiplexes: true}
	case names == nil:
		return named // linked statically
	}
	libraries, err := image.ImportedLibraries()
	if err != nil {
		return named
	}
	for _, library := range libraries {
		if runtime := byLibrary(library); runtime != "" {
			return Info{Runtime: runtime, Multiplexes: multiplexes(runtime)}
		}
	}
	return named
}

func inspectGo(file io.ReaderAt) Info {
	info := Info{Runtime: Go, Multiplexes: true}
	if build, err := buildinfo.Read(file); err == nil {
		info.Version, info.MainPackage, info.Module = build.GoVersion, build.Path, build.Main.Path
	}
	return info
}

// section returns the content of a section that is no longer than limit, or nil.
func section(file io.ReaderAt, image *elf.File, name string, limit uint64) []byte {
	found := image.Section(name)
	if found == nil || found.Type == elf.SHT_NOBITS || found.FileSize > limit {
		return nil
	}
	content := make([]byte, found.FileSize)
	if _, err := file.ReadAt(content, int64(found.Offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return content
}

// hasTaskRuntime searches the constants of a Rust program.
func hasTaskRuntime(file io.ReaderAt, constants *elf.Section) bool {
	if constants == nil || constants.Type == elf.SHT_NOBITS {
		return false
	}
	const chunk, overlap = 256 << 10, 64 // no mark is longer than the overlap
	buf := make([]byte, chunk)
	size := int64(min(constants.FileSize, maxRust))
	for at := int64(0); at < size; at += chunk - overlap {
		n, err := file.ReadAt(buf[:min(chunk, size-at)], int64(constants.Offset)+at)
		for _, mark := range taskRuntimes {
			if bytes.Contains(buf[:n], []byte(mark)) {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
	return false
}
