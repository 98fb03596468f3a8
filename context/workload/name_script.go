package workload

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
)

// nodeValued are the options of node, deno and bun that take the next argument.
var nodeValued = map[string]bool{
	"-r": true, "--require": true, "--import": true, "--loader": true, "--experimental-loader": true,
	"-C": true, "--conditions": true, "--inspect-port": true, "--input-type": true, "--title": true,
	"--icu-data-dir": true, "--env-file": true, "--preload": true, "--cwd": true,
	"-c": true, "--config": true, "--import-map": true, "--cert": true, "--port": true,
}

// nodeCommands are commands of deno and bun that stand before the script.
var nodeCommands = map[string]bool{"run": true, "serve": true, "task": true, "start": true, "inspect": true}

// nodeName names a JavaScript program by the nearest package.json above it,
// else by its script.
func nodeName(s *subject) string {
	if s.title != "" { // process.title was set: "next-server (v14.1.0)"
		if name := s.packageName(s.cwd()); name != "" {
			return name
		}
		return titleTool(s.title)
	}
	i := operand(s.args, 1, nodeValued)
	for _, arg := range s.args[min(1, len(s.args)):i] {
		switch arg {
		case "-e", "--eval", "-p", "--print", "-pe":
			return ""
		}
	}
	if i < len(s.args) && nodeCommands[s.args[i]] {
		i = operand(s.args, i+1, nodeValued)
	}
	if i >= len(s.args) {
		return ""
	}
	script := s.absolute(s.args[i])
	if here := path.Clean(s.cwd()); script == here || trimExtension(script) == script && path.Dir(script) == here {
		// "node ." or "bun run dev"
		if name := s.packageName(s.cwd()); name != "" {
			return name
		}
	}
	if name := s.packageName(path.Dir(script)); name != "" {
		return name
	}
	return s.scriptName(s.args[i])
}

const (
	// packageLevels bounds how far up a package.json is looked for: farther than
	// sources lie below their project.
	packageLevels = 8
	// packageLimit bounds how much of one is read; the name stands near the top.
	packageLimit = 32 << 10
)

// packageName returns the name in the nearest package.json, at dir or above,
// that has one.
func (s *subject) packageName(dir string) string {
	if !strings.HasPrefix(dir, "/") {
		return ""
	}
	for range packageLevels {
		content, err := s.readFile(path.Join(dir, "package.json"), packageLimit)
		if err == nil {
			if name := jsonName(content); name != "" {
				return name
			}
		}
		if dir == "/" {
			break
		}
		dir = path.Dir(dir)
	}
	return ""
}

// jsonName returns the member "name" of a JSON object. It reads token by token,
// because the content may be cut.
func jsonName(content []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(content))
	depth := 0
	isKey := false // whether the next string at depth 1 is a key
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				if depth++; depth == 1 {
					if t == '[' {
						return ""
					}
					isKey = true
					continue
				}
			} else if depth--; depth == 0 {
				return ""
			}
			if depth == 1 {
				isKey = true // a nested value has just ended
			}
		case string:
			if depth == 1 && isKey && t == "name" {
				value, _ := decoder.Token()
				name, _ := value.(string)
				return name
			}
			if depth == 1 {
				isKey = !isKey
			}
		default:
			isKey = isKey || depth == 1
		}
	}
}

// rubyValued are ruby's options whose value may stand apart.
var rubyValued = map[string]bool{"-r": true, "-I": true, "-C": true, "-E": true, "--encoding": true}

// rubyServers run the application of the directory they are started in.
var rubyServers = map[string]bool{
	"bundle": true, "falcon": true, "passenger": true, "puma": true, "rackup": true, "rails": true,
	"rake": true, "sidekiq": true, "spring": true, "thin": true, "unicorn": true,
}

func rubyName(s *subject) string {
	if s.title != "" {
		words := strings.Fields(s.title)
		if len(words) > 2 && words[0] == "sidekiq" { // sidekiq 7.1.0 shop [0 of 5 busy]
			return words[2]
		}
		if name := bracket(s.title); name != "" { // puma 6.3.0 (tcp://0.0.0.0:80) [shop]
			return name
		}
		return fallback(directoryName(s.cwd()), titleTool(s.title))
	}
	i := operand(s.args, 1, rubyValued)
	for _, arg := range s.args[min(1, len(s.args)):i] {
		if strings.HasPrefix(arg, "-e") {
			return ""
		}
	}
	if i >= len(s.args) {
		return ""
	}
	tool := trimExtension(path.Base(s.args[i]))
	if rubyServers[tool] {
		return fallback(directoryName(s.cwd()), tool)
	}
	return s.scriptName(s.args[i])
}

// fpmName reads the title of PHP's process manager: a worker is named after its
// pool, which is one application.
func fpmName(title string) string {
	if pool, ok := strings.CutPrefix(title, "php-fpm: pool "); ok {
		return strings.TrimSpace(pool)
	}
	return "php-fpm"
}

var phpValued = map[string]bool{
	"-c": true, "-d": true, "-f": true, "-r": true, "-S": true, "-t": true, "-z": true, "-B": true, "-E": true, "-F": true, "-R": true,
}

func phpName(s *subject) string {
	if len(s.args) == 0 {
		return ""
	}
	i := operand(s.args, 1, phpValued)
	options := s.args[1:i]
	if option(options, "-r") != "" {
		return ""
	}
	if file := option(s.args[1:], "-f"); file != "" {
		return s.scriptName(file)
	}
	script := ""
	if i < len(s.args) {
		script = s.args[i]
	}
	switch base := path.Base(script); {
	case base == "artisan" || base == "console": // the command line of a framework's application
		return fallback(directoryName(path.Dir(s.absolute(script))), base)
	case option(options, "-S") == "":
		return strings.TrimPrefix(s.scriptName(script), ".")
	}
	// The built-in server: named after its document root, else its router.
	if root := option(options, "-t"); root != "" {
		if name := directoryName(s.absolute(root)); name != "" {
			return name
		}
	}
	if name := trimExtension(path.Base(script)); script != "" && !vague[name] {
		return name
	}
	return directoryName(s.cwd())
}

var dotnetValued = map[string]bool{
	"--runtimeconfig": true, "--depsfile": true, "--additionalprobingpath": true,
	"--additional-deps": true, "--fx-version": true, "--roll-forward": true,
}

// dotnetName names a program by the assembly that the dotnet command runs.
func dotnetName(s *subject) string {
	i := operand(s.args, 1, dotnetValued)
	if i < len(s.args) && s.args[i] == "exec" {
		i = operand(s.args, i+1, dotnetValued)
	}
	if i < len(s.args) && strings.HasSuffix(s.args[i], ".dll") {
		return trimExtension(path.Base(s.args[i]))
	}
	return ""
}

// beamName names an Erlang or Elixir program by its release, else by its node
// name without the host.
func beamName(s *subject) string {
	if release := s.environ[envRelease]; release != "" {
		return release
	}
	node, _, _ := strings.Cut(option(s.args, "-sname", "-name"), "@")
	return node
}
