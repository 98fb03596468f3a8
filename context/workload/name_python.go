package workload

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// pythonName finds what the interpreter was told to run: a script, a module, or
// the application that a server or task runner among these loads.
func pythonName(s *subject) string {
	if application := bracket(s.title); application != "" {
		return moduleName(application) // gunicorn: worker [shop.wsgi]
	}
	args := s.words()
	if s.title != "" && (len(args) == 0 || !strings.HasPrefix(path.Base(args[0]), "python")) {
		return s.pythonTool(titleTool(s.title), args)
	}
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--check-hash-based-pycs":
			i++
		case strings.HasPrefix(arg, "--"):
		case len(arg) > 1 && arg[0] == '-':
			letter, value := pythonCluster(arg)
			if letter == 'c' {
				return ""
			}
			if letter != 0 && value == "" {
				if i++; i >= len(args) {
					return ""
				}
				value = args[i]
			}
			if letter == 'm' {
				return s.pythonTool(strings.TrimSuffix(value, ".__main__"), args[i:])
			}
		case arg == "-" || arg == "":
			return ""
		default:
			return s.pythonScript(arg, args[i:])
		}
	}
	return ""
}

// pythonCluster finds, in an option such as "-um", the first letter that takes
// a value, and the value when it is joined.
func pythonCluster(arg string) (letter byte, value string) {
	for i := 1; i < len(arg); i++ {
		if strings.IndexByte("cmWXQ", arg[i]) >= 0 {
			return arg[i], arg[i+1:]
		}
	}
	return 0, ""
}

// pythonScript names a script; args begins with it.
func (s *subject) pythonScript(script string, args []string) string {
	base := path.Base(script)
	if base == "manage.py" {
		if project := s.djangoProject(); project != "" {
			return project
		}
		return directoryName(path.Dir(s.absolute(script)))
	}
	tool := trimExtension(base)
	if tool == "__main__" { // python /usr/lib/…/gunicorn/__main__.py
		tool = path.Base(path.Dir(script))
	}
	if name := s.pythonTool(tool, args); name != tool {
		return name
	}
	return s.scriptName(script)
}

// titleTool is the first word of a title, without its punctuation.
func titleTool(title string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(title, "["), " ")
	word = path.Base(strings.TrimRight(word, ":]"))
	if word == "celeryd" {
		return "celery"
	}
	return word
}

// pythonTool names what a well-known command runs, or the command itself; args
// begins with its own name.
func (s *subject) pythonTool(tool string, args []string) string {
	if len(args) > 0 {
		args = args[1:]
	}
	application := ""
	switch tool {
	case "gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "waitress-serve", "waitress":
		application = servedApplication(args)
	case "flask":
		if application = option(args, "--app", "-A"); application == "" {
			application = s.environ[envFlaskApp]
		}
	case "celery":
		application = strings.TrimRight(option(args, "-A", "--app"), ")")
	case "django", "django-admin":
		return fallback(s.djangoProject(), tool)
	case "fastapi":
		if i := operand(args, 0, nil); i+1 < len(args) && strings.HasSuffix(args[i+1], ".py") {
			return s.scriptName(args[i+1])
		}
	default:
		return tool
	}
	if application == "" { // these take their default from the directory they run in
		return fallback(directoryName(s.cwd()), tool)
	}
	return moduleName(application)
}

// djangoProject is the package of the settings: "shop" of "shop.settings".
func (s *subject) djangoProject() string {
	project, _, _ := strings.Cut(s.environ[envDjango], ".")
	return project
}

func fallback(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

var (
	// callable is an application given as module:attribute. The attribute begins
	// with a letter, which tells it from host:port.
	callable = regexp.MustCompile(`^[A-Za-z_][\w./-]*:[A-Za-z_][\w.]*(\(.*\))?$`)
	// dotted is an application given as a module alone.
	dotted = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)
	// switches are options of those servers that take no value.
	switches = []string{"--reload", "--preload", "--daemon", "-D", "--proxy-headers", "--use-colors", "--no-access-log", "--factory", "--check-config"}
)

// servedApplication finds the application among the arguments of a WSGI or ASGI
// server: the last module:attribute, else the last word that can be a module
// and is not the value of an option.
func servedApplication(args []string) string {
	for _, arg := range slices.Backward(args) {
		if callable.MatchString(arg) && !strings.HasPrefix(arg, "unix:") && !strings.HasPrefix(arg, "fd:") {
			return arg
		}
	}
	for i, arg := range slices.Backward(args) {
		valued := i > 0 && strings.HasPrefix(args[i-1], "-") &&
			!strings.Contains(args[i-1], "=") && !slices.Contains(switches, args[i-1])
		if !valued && dotted.MatchString(arg) {
			return arg
		}
	}
	return ""
}

// vagueModules end the names of modules that only hold the application.
var vagueModules = map[string]bool{"app": true, "application": true, "asgi": true, "main": true, "server": true, "wsgi": true}

// moduleName names an application given as module:attribute, or as a file, by
// its module: "shop" for "shop.wsgi:application", "app" for "app:app".
func moduleName(application string) string {
	module, _, _ := strings.Cut(application, ":")
	if strings.HasSuffix(module, ".py") || strings.Contains(module, "/") {
		return trimExtension(path.Base(module))
	}
	parts := strings.Split(module, ".")
	for len(parts) > 1 && vagueModules[parts[len(parts)-1]] {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, ".")
}
