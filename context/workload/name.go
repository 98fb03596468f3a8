package workload

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clewtrace/clew/probes/discover/program"
)

// maxName bounds a service name in bytes.
const maxName = 255

// subject is a process whose service is to be named. Its files are read only
// when its arguments do not suffice.
type subject struct {
	exe      string   // path
	args     []string // argv[0] first; empty when there is a title
	title    string   // what the program has written over its arguments
	program  program.Info
	environ  map[string]string
	cwd      func() string // "" when unknown
	readFile func(path string, limit int) ([]byte, error)
}

// serviceName names the service by what runs: the program given to an
// interpreter, else the executable. It is "" only when nothing at all is known.
func serviceName(s *subject) string {
	name := ""
	switch runtime := s.program.Runtime; {
	case runtime == program.Go:
		name = goName(s)
	case runtime == program.PHP && strings.HasPrefix(s.title, "php-fpm: "):
		name = fpmName(s.title)
	case !s.program.Launcher:
		name = shellName(s)
	case runtime == program.JVM:
		name = javaName(s)
	case runtime == program.CPython, runtime == program.PyPy:
		name = pythonName(s)
	case runtime == program.NodeJS, runtime == program.Bun, runtime == program.Deno:
		name = nodeName(s)
	case runtime == program.Ruby:
		name = rubyName(s)
	case runtime == program.PHP:
		name = phpName(s)
	case runtime == program.Dotnet:
		name = dotnetName(s)
	case runtime == program.Beam:
		name = beamName(s)
	}
	if name == "" {
		name = executableName(s)
	}
	return name
}

// executableName is the base name of the executable, or of argv[0] when one
// executable goes by many names.
func executableName(s *subject) string {
	base := ""
	if s.exe != "" {
		base = path.Base(s.exe)
	}
	switch base {
	case "", "busybox", "toybox", "coreutils", "redis-check-rdb", "valkey-check-rdb":
		called, _, _ := strings.Cut(s.title, " ")
		if len(s.args) > 0 {
			called = s.args[0]
		}
		if called != "" {
			return path.Base(called)
		}
	}
	return base
}

// vague are names that say "the program" and not which: a service called so is
// better named after its directory or module.
var vague = map[string]bool{
	"": true, ".": true, "/": true, "__main__": true, "a.out": true, "app": true,
	"application": true, "bin": true, "cmd": true, "entrypoint": true, "exe": true, "index": true,
	"main": true, "program": true, "run": true, "server": true, "service": true, "start": true,
}

// vagueDirectories hold programs without naming them.
var vagueDirectories = map[string]bool{
	"app": true, "apps": true, "bin": true, "build": true, "cmd": true, "code": true, "current": true,
	"dist": true, "home": true, "html": true, "lib": true, "local": true, "opt": true,
	"out": true, "public": true, "release": true, "releases": true, "root": true, "sbin": true,
	"server": true, "share": true, "src": true, "srv": true, "target": true, "tmp": true,
	"usr": true, "var": true, "web": true, "workspace": true, "www": true,
}

// directoryName returns the nearest telling name on the way up from dir, such
// as "checkout" for /srv/checkout/current/src, or "".
func directoryName(dir string) string {
	if !strings.HasPrefix(dir, "/") {
		return ""
	}
	const levels = 4 // farther up a directory says little about the program
	for range levels {
		parent, base := path.Split(path.Clean(dir))
		user := parent == "/home/" // /home/NAME is a person, not a program
		if base != "" && !vagueDirectories[base] && !user && strings.Trim(base, "0123456789") != "" {
			return base
		}
		dir = parent
	}
	return ""
}

// absolute resolves a path against the working directory.
func (s *subject) absolute(file string) string {
	if !strings.HasPrefix(file, "/") {
		file = s.cwd() + "/" + file
	}
	return path.Clean(file)
}

// scriptName names a script by its file, or by its directory when the file is
// called index, main, app or the like.
func (s *subject) scriptName(script string) string {
	name := trimExtension(path.Base(script))
	if vague[name] {
		if directory := directoryName(path.Dir(s.absolute(script))); directory != "" {
			return directory
		}
	}
	return name
}

// words returns the arguments, or the words of a title: some programs write a
// command line with spaces over the one they had.
func (s *subject) words() []string {
	if s.title != "" {
		return strings.Fields(s.title)
	}
	return s.args
}

// extensions of scripts and programs, which are no part of their name.
var extensions = []string{
	".py", ".pyc", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx",
	".rb", ".ru", ".php", ".phar", ".pl", ".sh", ".bash", ".dll", ".jar", ".war", ".java", ".lua",
}

func trimExtension(file string) string {
	if extension := path.Ext(file); slices.Contains(extensions, extension) {
		return strings.TrimSuffix(file, extension)
	}
	return file
}

// operand returns the index, from the given one on, of the first argument that
// is neither an option nor the value of one in valued; len(args) if none.
func operand(args []string, from int, valued map[string]bool) int {
	for i := from; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			return min(i+1, len(args))
		case len(arg) < 2 || arg[0] != '-':
			return i
		case valued[arg]:
			i++
		}
	}
	return len(args)
}

// option returns the value of the first of these options, given as "-x value",
// "--long value" or "--long=value".
func option(args []string, names ...string) string {
	for i, arg := range args {
		for _, name := range names {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if value, ok := strings.CutPrefix(arg, name+"="); ok {
				return value
			}
		}
	}
	return ""
}

// bracketed matches what many servers put at the end of their title: the
// application, as in "gunicorn: worker [shop.wsgi]".
var bracketed = regexp.MustCompile(`\[([^\[\] ]+)\]\s*$`)

func bracket(title string) string {
	if m := bracketed.FindStringSubmatch(title); m != nil {
		return m[1]
	}
	return ""
}

// goName is the name of the executable, which is what its authors called it and
// operators see. Only when that is vague ("main", "server", the "__debug_bin"
// of a debugger) does the import path in the build information decide.
func goName(s *subject) string {
	name := executableName(s)
	if !vague[name] && !strings.HasPrefix(name, "__debug_bin") {
		return name
	}
	for _, importPath := range []string{s.program.MainPackage, s.program.Module} {
		base := path.Base(importPath)
		if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
			base = path.Base(path.Dir(importPath)) // major version suffix
		}
		if !vague[base] && base != "command-line-arguments" {
			return base
		}
	}
	return name
}

// shells are native interpreters whose first operand is a script, with the
// letters of the options that make it something else.
var shells = map[string]string{
	"ash": "c", "bash": "c", "dash": "c", "ksh": "c", "sh": "c", "zsh": "c",
	"lua": "e", "perl": "eE", "tclsh": "",
}

func shellName(s *subject) string {
	name := executableName(s)
	inline, ok := shells[name]
	if !ok || len(s.args) < 2 {
		return name
	}
	i := operand(s.args, 1, map[string]bool{"-o": true, "+o": true, "-O": true, "--rcfile": true})
	isInline := func(arg string) bool {
		return len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && strings.ContainsAny(arg, inline)
	}
	if i >= len(s.args) || slices.ContainsFunc(s.args[1:i], isInline) {
		return name
	}
	return s.scriptName(s.args[i])
}
