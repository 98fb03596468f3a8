package program_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/proc/proctest"
	"github.com/clewtrace/clew/probes/discover/program"
)

func TestByName(t *testing.T) {
	for exe, want := range map[string]program.Info{
		"/usr/bin/python3.11":             {Runtime: program.CPython, Version: "3.11", Launcher: true},
		"/usr/bin/python3":                {Runtime: program.CPython, Launcher: true},
		"/usr/bin/pypy3.9":                {Runtime: program.PyPy, Version: "3.9", Launcher: true},
		"/usr/local/bin/node (deleted)":   {Runtime: program.NodeJS, Multiplexes: true, Launcher: true},
		"/root/.bun/bin/bun":              {Runtime: program.Bun, Multiplexes: true, Launcher: true},
		"/usr/lib/jvm/java-17/bin/java":   {Runtime: program.JVM, Launcher: true},
		"/usr/bin/ruby3.1":                {Runtime: program.Ruby, Version: "3.1", Launcher: true},
		"/usr/sbin/php-fpm8.2":            {Runtime: program.PHP, Version: "8.2", Launcher: true},
		"/usr/share/dotnet/dotnet":        {Runtime: program.Dotnet, Multiplexes: true, Launcher: true},
		"/usr/lib/erlang/bin/beam.smp":    {Runtime: program.Beam, Multiplexes: true, Launcher: true},
		"/root/.deno/bin/deno":            {Runtime: program.Deno, Multiplexes: true, Launcher: true},
		"/usr/sbin/nginx":                 {Runtime: program.Nginx, Proxy: true, Launcher: true},
		"/usr/sbin/nginx (deleted)":       {Runtime: program.Nginx, Proxy: true, Launcher: true},
		"/usr/sbin/haproxy":               {Runtime: program.Native, Multiplexes: true, Proxy: true},
		"/usr/local/bin/envoy":            {Runtime: program.Native, Multiplexes: true, Proxy: true},
		"/usr/sbin/varnishd":              {Runtime: program.Native, Multiplexes: true, Proxy: true},
		"/usr/sbin/squid":                 {Runtime: program.Native, Multiplexes: true, Proxy: true},
		"/usr/local/bin/ztunnel":          {Runtime: program.Native, Multiplexes: true},
		"/usr/sbin/apache2":               {Runtime: program.Native},
		"/usr/bin/pythonista":             {Runtime: program.Native},
		"/usr/lib/postgresql/15/bin/psql": {Runtime: program.Native},
		"":                                {Runtime: program.Native},
	} {
		if got := program.ByName(exe); got != want {
			t.Errorf("%q: got %+v, want %+v", exe, got, want)
		}
	}
}

// identify says what a living process runs.
func identify(t *testing.T, pid int) program.Info {
	t.Helper()
	p, err := proc.New("").Open(uint32(pid))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	exe, err := p.Link("exe")
	if err != nil {
		t.Fatal(err)
	}
	var cache program.Cache
	first := cache.Identify(p, exe)
	if again := cache.Identify(p, exe); again != first {
		t.Errorf("identified as %+v, then from the cache as %+v", first, again)
	}
	return first
}

// run starts a program that stays until the test ends.
func run(t *testing.T, name string, args ...string) int {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	command := exec.Command(path, args...)
	stdin, err := command.StdinPipe() // never written: programs that read it wait
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = command.Process.Kill(); _ = command.Wait() })
	return command.Process.Pid
}

func TestIdentifySelf(t *testing.T) {
	info := identify(t, os.Getpid())
	if info.Runtime != program.Go || info.Version != runtime.Version() || !info.Multiplexes {
		t.Errorf("own program is %+v, want %s", info, runtime.Version())
	}
}

func TestIdentifyStrippedGo(t *testing.T) {
	dir := t.TempDir()
	proctest.Write(t, filepath.Join(dir, "go.mod"), "module example.com/shop/v2\n\ngo 1.21\n")
	proctest.Write(t, filepath.Join(dir, "cmd/checkout/main.go"), "package main\n\nfunc main() { select {} }\n")
	// Called node, to see that content counts more than name.
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "node"), "./cmd/checkout")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("no Go toolchain: %v\n%s", err, out)
	}
	want := program.Info{
		Runtime: program.Go, Version: runtime.Version(), Multiplexes: true,
		MainPackage: "example.com/shop/v2/cmd/checkout", Module: "example.com/shop/v2",
	}
	main := filepath.Join(dir, "node")
	if info := identify(t, run(t, main)); info != want {
		t.Errorf("got %+v, want %+v", info, want)
	}
}

func TestIdentifyRealPrograms(t *testing.T) {
	java := filepath.Join(t.TempDir(), "Wait.java")
	proctest.Write(t, java, "class Wait { public static void main(String[] a) throws Exception { System.in.read(); } }")
	for _, test := range []struct {
		name, want string
		args       []string
	}{
		{"/usr/bin/python3", program.CPython, []string{"-c", "input()"}},
		{"/usr/bin/node", program.NodeJS, []string{"-e", "process.stdin.resume()"}},
		{"/usr/bin/java", program.JVM, []string{java}},
		{"/usr/bin/ruby", program.Ruby, []string{"-e", "gets"}},
		{"/usr/bin/php", program.PHP, []string{"-r", "fgets(STDIN);"}},
		{"/bin/sh", program.Native, nil},
		{"/bin/sleep", program.Native, []string{"60"}},
	} {
		t.Run(filepath.Base(test.name), func(t *testing.T) {
			if info := identify(t, run(t, test.name, test.args...)); info.Runtime != test.want || info.Multiplexes != (test.want == program.NodeJS) {
				t.Errorf("got %+v, want %s", info, test.want)
			}
		})
	}
}

// TestIdentifyLinked compiles small programs that carry the marks of a runtime.
func TestIdentifyLinked(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	for name, test := range map[string]struct {
		compiler    string
		mark        string
		runtime     string
		multiplexes bool
	}{
		"plain":      {"GCC", "nothing special", program.Native, false},
		"tokio":      {"rustc version 1.80.0", "/root/.cargo/registry/src/index.crates.io-1/tokio-1.35.1/src/runtime/mod.rs", program.Native, true},
		"not Rust":   {"GCC", "/tokio-1.35.1/", program.Native, false},
		"Rust alone": {"rustc version 1.80.0", "nothing special", program.Native, false},
		"dotnet":     {"GCC", "libhostfxr.so", program.Dotnet, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source := filepath.Join(dir, "a.c")
			filler := "262100" // puts the mark across the seam of two reads
			if test.runtime == program.Dotnet {
				filler = "1000"
			}
			proctest.Write(t, source, `#include <unistd.h>
__asm__(".ident \"`+test.compiler+`\"");
const char filler[`+filler+`] = {1};
const char mark[] = "`+test.mark+`";
int main(int n, char **v) { (void)v; pause(); return mark[n] + filler[n]; }
`)
			if out, err := exec.Command("gcc", "-o", filepath.Join(dir, name), source).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			info := identify(t, run(t, filepath.Join(dir, name)))
			if info.Runtime != test.runtime || info.Multiplexes != test.multiplexes {
				t.Errorf("got %+v, want %+v", info, test)
			}
		})
	}
}

// TestIdentifyMapped loads a runtime as a library that the program file does
// not name.
func TestIdentifyMapped(t *testing.T) {
	root := proctest.New(t, proctest.Process{PID: 9, Comm: "launcher", Exe: "/nowhere/launcher"})
	proctest.Write(t, filepath.Join(root, "9/maps"),
		"55d0 r-xp 0 08:01 1 /opt/launcher\n7f00 r-xp 0 08:01 2 /opt/jdk/lib/server/libjvm.so\n")
	proctest.Write(t, filepath.Join(root, "launcher"), strings.Repeat("no ELF ", 100))
	if err := os.Remove(filepath.Join(root, "9/exe")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "launcher"), filepath.Join(root, "9/exe")); err != nil {
		t.Fatal(err)
	}
	p, err := proc.New(root).Open(9)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var cache program.Cache
	if info := program.Loaded(p, cache.Identify(p, "/opt/launcher")); info.Runtime != program.JVM || info.Launcher {
		t.Errorf("got %+v, want an embedded jvm", info)
	}
	if err := os.Remove(filepath.Join(root, "9/maps")); err != nil {
		t.Fatal(err)
	}
	if info := program.Loaded(p, cache.Identify(p, "/opt/launcher")); info.Runtime != program.Native {
		t.Errorf("got %+v: what is mapped must not be remembered of the file", info)
	}
}
