package proc

import (
	"bytes"
	"strings"
)

const (
	// argsLimit bounds how much of a command line is read. What names a service
	// stands near the front; a class path of 100 KB happens and comes first, so
	// this is the kernel's limit for one argument (MAX_ARG_STRLEN) and some.
	argsLimit = 160 << 10
	// environLimit bounds how much of an environment is read.
	environLimit = 256 << 10
	// maxArgs is how many arguments are kept.
	maxArgs = 1024
)

// Args is a command line.
type Args struct {
	// List holds the arguments, the name of the program first. It is empty for
	// kernel threads, zombies, and in the first instants of exec.
	List []string
	// Title is the whole text when the program has written a title of its own
	// over its arguments ("nginx: worker process"); List is then nil.
	Title string
}

// Args reads the process's command line.
func (p *Process) Args() (Args, error) {
	data, err := p.Read("cmdline", argsLimit)
	if err != nil {
		return Args{}, err
	}
	return ParseArgs(data), nil
}

// ParseArgs splits the content of /proc/PID/cmdline. Arguments are separated by
// NUL; a program that rewrites its title leaves one string with spaces in it,
// padded with NULs or spaces, or unterminated. A single argument with a space
// in it cannot be told from a title and is taken for one.
func ParseArgs(data []byte) Args {
	data = bytes.TrimRight(data, "\x00")
	if len(data) == 0 {
		return Args{}
	}
	if bytes.IndexByte(data, 0) < 0 {
		text := strings.ToValidUTF8(string(bytes.TrimSpace(data)), "\uFFFD")
		if text == "" {
			return Args{}
		}
		if strings.ContainsRune(text, ' ') {
			return Args{Title: text}
		}
		return Args{List: []string{text}}
	}
	var args Args
	for len(args.List) < maxArgs && len(data) > 0 {
		arg, rest, _ := bytes.Cut(data, []byte{0})
		args.List = append(args.List, strings.ToValidUTF8(string(arg), "\uFFFD"))
		data = rest
	}
	return args
}

// Environ returns those of the wanted variables that the process was started
// with. Later changes by the program itself do not show in /proc.
func (p *Process) Environ(wanted ...string) (map[string]string, error) {
	data, err := p.Read("environ", environLimit)
	if err != nil {
		return nil, err
	}
	return ParseEnviron(data, wanted...), nil
}

// ParseEnviron picks the wanted variables out of the content of
// /proc/PID/environ. Of a variable that is set twice the first counts, as for
// getenv(3). Whatever is not NAME=VALUE is passed over.
func ParseEnviron(data []byte, wanted ...string) map[string]string {
	var found map[string]string
	for len(data) > 0 {
		entry, rest, _ := bytes.Cut(data, []byte{0})
		data = rest
		name, value, ok := bytes.Cut(entry, []byte{'='})
		if !ok {
			continue
		}
		for _, want := range wanted {
			if want != string(name) {
				continue
			}
			if _, twice := found[want]; twice {
				break
			}
			if found == nil {
				found = make(map[string]string, len(wanted))
			}
			found[want] = string(value)
		}
	}
	return found
}
