// Package program says what an executable is made of: the language runtime
// inside, and whether that runtime moves work between threads.
package program

import (
	"bytes"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/clewtrace/clew/probes/discover/proc"
)

// Runtimes, as in Info.Runtime.
const (
	Beam    = "beam" // Erlang, Elixir
	Bun     = "bun"
	CPython = "cpython"
	Deno    = "deno"
	Dotnet  = "dotnet"
	Go      = "go"
	JVM     = "jvm"
	Native  = "native" // C, C++, Rust, and whatever was not recognised
	Nginx   = "nginx"
	NodeJS  = "nodejs"
	PHP     = "php"
	PyPy    = "pypy"
	Ruby    = "ruby"
)

// Info is what an executable is made of.
type Info struct {
	Runtime string // one of the constants, never empty
	// Version is the runtime's, when it was cheap to know: of Go as in the
	// build information ("go1.22.3"), of others from the executable's name
	// ("3.11" from python3.11), else "".
	Version string
	// Multiplexes says that work is known to move between threads, or that one
	// thread runs the work of many requests by turns, so that "the one open
	// request of this thread" is no evidence of anything. Event loops are among
	// these: even while a single request is open, a timer or what an answered
	// request left behind may call out on the same thread. Nginx is not: what it
	// sends upstream, it sends for a request.
	Multiplexes bool
	// Proxy says that the program passes requests on, those of many clients by
	// turns on one thread: what it sends is a request that it has received, with
	// the same method and mostly the same target. It is told by its name.
	Proxy bool
	// Launcher says that the executable is the runtime's own (python3, java),
	// so that its arguments name the program; not one with the runtime inside.
	Launcher bool
	// MainPackage and Module are import paths from the build information of a
	// Go program, else "".
	MainPackage, Module string
}

// maxCached bounds the executables remembered. A busy node runs some hundred
// distinct ones; compilers and tests make new ones without end.
const maxCached = 1024

// Cache identifies programs and remembers them by file. Its zero value is ready
// and safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	known map[proc.FileID]Info
}

// Identify says what the process runs; exe is where its link "exe" points. It
// never fails: a program that cannot be read (or is gone) is named by its path
// alone, and Native if that says nothing.
func (c *Cache) Identify(p *proc.Process, exe string) Info {
	id, err := p.ExeID()
	if err != nil {
		return ByName(exe)
	}
	info, cached := c.get(id)
	if !cached {
		info = identify(p, exe)
		c.put(id, info)
	}
	return info
}

// Loaded adds what is a matter of the process and not of its file, and so is
// never remembered: a runtime that a Native program has loaded as a library
// which its file does not name (Java behind a launcher of one's own, PHP in a
// web server), and an event loop that the program runs, by its command line or
// its modules. Libraries and modules are there only some milliseconds after
// exec; a command line is at once.
func Loaded(p *proc.Process, info Info) Info {
	if info.Runtime == Native {
		if runtime := mapped(p); runtime != "" {
			info.Runtime = runtime
			info.Multiplexes = info.Multiplexes || multiplexes(runtime)
		}
	}
	info.Multiplexes = info.Multiplexes || runsLoop(p, info.Runtime)
	return info
}

func (c *Cache) get(id proc.FileID) (Info, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, ok := c.known[id]
	return info, ok
}

func (c *Cache) put(id proc.FileID, info Info) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[proc.FileID]Info)
	}
	if len(c.known) >= maxCached {
		for victim := range c.known { // any one: to forget is only to look again
			delete(c.known, victim)
			break
		}
	}
	c.known[id] = info
}

// identify looks into the file, if it can be read.
func identify(p *proc.Process, exe string) Info {
	named := ByName(exe)
	file, err := p.OpenExe()
	if err != nil {
		return named
	}
	defer file.Close()
	return inspect(file, named)
}

// names are the executables whose name tells the runtime; the version follows
// the letters, as in python3.11, ruby3.1, php-fpm8.2.
var names = map[string]string{
	"beam.smp": Beam, "beam": Beam, "bun": Bun, "deno": Deno, "dotnet": Dotnet,
	"java": JVM, "nginx": Nginx, "openresty": Nginx, "node": NodeJS, "nodejs": NodeJS,
	"php": PHP, "php-fpm": PHP, "php-cgi": PHP, "pypy": PyPy, "python": CPython, "ruby": Ruby,
}

// moving are native servers known to hand connections between threads, or to
// serve many on one, outside the order of their system calls.
var moving = map[string]bool{
	"envoy": true, "haproxy": true, "traffic_server": true, "linkerd2-proxy": true, "squid": true, "varnishd": true, "ztunnel": true,
}

// proxies are the native programs that pass requests on from event loops of
// their own. Not among them: those with a thread or process for each request
// (Apache), for which the thread is evidence enough; those in Go (Traefik,
// Caddy), whose goroutines are; those that pass on bytes and no requests.
var proxies = map[string]bool{
	"envoy": true, "haproxy": true, "linkerd2-proxy": true, "nginx": true, "openresty": true,
	"squid": true, "traffic_server": true, "varnishd": true,
}

var versioned = regexp.MustCompile(`^([a-z-]+?)-?([0-9]+(?:\.[0-9]+)*)$`)

// ByName says what can be told from the path of an executable alone.
func ByName(exe string) Info {
	base := path.Base(strings.TrimSuffix(exe, " (deleted)"))
	version := ""
	runtime, ok := names[base]
	if !ok {
		if m := versioned.FindStringSubmatch(base); m != nil {
			runtime, version = names[m[1]], m[2]
		}
	}
	if runtime == "" {
		return Info{Runtime: Native, Multiplexes: moving[base], Proxy: proxies[base]}
	}
	if !strings.Contains(version, ".") {
		version = "" // "python3" names a generation, not a version
	}
	return Info{Runtime: runtime, Version: version, Multiplexes: multiplexes(runtime), Proxy: proxies[base], Launcher: true}
}

// multiplexes says which runtimes schedule tasks of their own: over threads (Go,
// .NET, Erlang), or on one thread that is an event loop (the JavaScript ones).
// The JVM does so for virtual threads and in some of its libraries, which the
// executable does not tell.
func multiplexes(runtime string) bool {
	switch runtime {
	case Go, Dotnet, Beam, Bun, Deno, NodeJS:
		return true
	}
	return false
}

// libraries are the shared objects that hold a whole runtime, by the beginning
// of their file name.
var libraries = []struct{ prefix, runtime string }{
	{"libcoreclr.so", Dotnet}, {"libhostfxr.so", Dotnet},
	{"libjli.so", JVM}, {"libjvm.so", JVM},
	{"libnode.so", NodeJS}, {"libpython", CPython}, {"libruby", Ruby}, {"libphp", PHP},
}

func byLibrary(file string) string {
	for _, library := range libraries {
		if strings.HasPrefix(file, library.prefix) {
			return library.runtime
		}
	}
	return ""
}

// mapsLimit bounds how much of the list of mappings is read: some 2,500 lines.
const mapsLimit = 256 << 10

// mapped returns the runtime that the process has loaded as a library, or "".
func mapped(p *proc.Process) string {
	data, err := p.Read("maps", mapsLimit)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(data) {
		slash := bytes.LastIndexByte(line, '/')
		if slash < 0 || !bytes.HasPrefix(line[slash+1:], []byte("lib")) {
			continue
		}
		if runtime := byLibrary(string(bytes.TrimSpace(line[slash+1:]))); runtime != "" {
			return runtime
		}
	}
	return ""
}
