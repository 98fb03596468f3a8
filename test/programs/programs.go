// Package programs knows how to build and start the programs that the tests
// trace. Each is a small server in the ordinary libraries of its language, with
// these endpoints:
//
//	/               answers at once
//	/slow?ms=N      answers after N milliseconds
//	/error          answers 500
//	/call?url=U     fetches U with another id= and answers with what came
//	/later?url=U    answers at once and fetches U after &ms=N milliseconds
//
// Go, python-http, node-http and uvicorn have /later. They also fetch the URL in
// the variable HEARTBEAT every 25 milliseconds, on behalf of no request.
//
// A request names itself by the header X-Request-Id or the query parameter id;
// what belongs to what is written to the file of ground truth (see ReadTruth).
package programs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// Config is what a program is told.
type Config struct {
	Service string // its OTEL_SERVICE_NAME; "" leaves the name to the agent; see Program
	Truth   string // file of ground truth; "" for none
	Backend string // host:port, for proxies
	Env     []string

	// Address is where it listens: host:port, or "unix:" and a path; "" is a
	// free port of 127.0.0.1. Only go and gunicorn listen elsewhere.
	Address string

	dir string // scratch
}

// Program is one entry of the catalogue.
type Program struct {
	Name  string
	Needs []string // executables

	// Named are the services that its processes are, where it cannot be given a
	// name: it writes over its environment as soon as it runs, so that a name
	// there may be gone before anybody has read it.
	Named []string

	socket   string // unix socket in its directory that its last command connects to
	build    func(w *Workshop) error
	commands func(w *Workshop, c Config) ([]rig.Command, error)
}

// Missing is the executable that the program needs and that is not installed,
// "" for none.
func (p Program) Missing() string {
	for _, name := range p.Needs {
		if _, err := exec.LookPath(name); err != nil {
			return name
		}
	}
	return ""
}

// Workshop builds programs, each once, in a directory of its own.
type Workshop struct {
	source string // of this package
	dir    string
	built  map[string]bool
}

// OpenWorkshop makes a workshop which builds in dir.
func OpenWorkshop(dir string) (*Workshop, error) {
	root, err := rig.Root()
	if err != nil {
		return nil, err
	}
	return &Workshop{source: filepath.Join(root, "test", "programs"), dir: dir, built: make(map[string]bool)}, nil
}

// Server is a running program.
type Server struct {
	*rig.Process
	Address string // host:port, or "unix:" and a path
	URL     string // http://host:port, "" with a unix socket
}

// Start builds the program if that has not been done, runs it in the scene's
// cgroup and waits until it listens.
func (w *Workshop) Start(ctx context.Context, s *rig.Scene, p Program, c Config) (*Server, error) {
	if err := w.prepare(p); err != nil {
		return nil, err
	}
	var err error
	if c.dir, err = os.MkdirTemp(s.Dir, p.Name+"-"); err != nil {
		return nil, fmt.Errorf("make the directory of %s: %w", p.Name, err)
	}
	if c.Address == "" {
		port, err := rig.FreePort()
		if err != nil {
			return nil, err
		}
		c.Address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	if p.Named != nil {
		c.Service = ""
	}
	commands, err := p.commands(w, c)
	if err != nil {
		return nil, err
	}
	var last *rig.Process
	for i, command := range commands {
		if i > 0 && p.socket != "" {
			if err := rig.Listening(ctx, last, "unix", filepath.Join(c.dir, p.socket)); err != nil {
				return nil, err
			}
		}
		command.Name = p.Name
		command.Env = append(command.Env, c.environment()...)
		if last, err = s.Start(command); err != nil {
			return nil, err
		}
	}
	if path, ok := strings.CutPrefix(c.Address, "unix:"); ok {
		return &Server{Process: last, Address: c.Address}, rig.Listening(ctx, last, "unix", path)
	}
	return &Server{Process: last, Address: c.Address, URL: "http://" + c.Address},
		rig.Listening(ctx, last, "tcp", c.Address)
}

// prepare builds a program, unless that has been done.
func (w *Workshop) prepare(p Program) error {
	if missing := p.Missing(); missing != "" {
		return fmt.Errorf("start %s: %s is not installed; run test/install", p.Name, missing)
	}
	if p.build == nil || w.built[p.Name] {
		return nil
	}
	if err := p.build(w); err != nil {
		return err
	}
	w.built[p.Name] = true
	return nil
}

func (c Config) environment() []string {
	env := append([]string{"LISTEN=" + c.Address}, c.Env...)
	if _, port, err := net.SplitHostPort(c.Address); err == nil {
		env = append(env, "PORT="+port)
	}
	if c.Truth != "" {
		env = append(env, "GROUND_TRUTH="+c.Truth)
	}
	if c.Service != "" {
		env = append(env, "OTEL_SERVICE_NAME="+c.Service)
	}
	return env
}

// fill writes a configuration file with its words in capitals replaced.
func (w *Workshop) fill(c Config, template, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(w.source, template))
	if err != nil {
		return "", fmt.Errorf("configure a program: %w", err)
	}
	backend := c.Backend
	if backend == "" {
		backend = "127.0.0.1:9" // discard: nobody proxies there
	}
	filled := strings.NewReplacer(
		"DIRECTORY", c.dir, "127.0.0.1:PORT", c.Address, "BACKEND", backend,
		"INDEX", filepath.Join(w.source, "php", "index.php"),
	).Replace(string(text))
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(filled), 0o644); err != nil {
		return "", fmt.Errorf("configure a program: %w", err)
	}
	return path, nil
}

// buildGo builds gohttp stripped, as released programs are.
func buildGo(w *Workshop) error {
	return rig.GoBuild(filepath.Join(w.source, "gohttp"), filepath.Join(w.dir, "gohttp"), ".", "-ldflags=-s -w")
}

// Calls builds the program that uses the system calls it is told, and returns
// its path; see calls/calls.c.
func (w *Workshop) Calls() (string, error) {
	binary := filepath.Join(w.dir, "calls")
	compile := exec.Command("gcc", "-O2", "-o", binary, filepath.Join(w.source, "calls", "calls.c"), "-luring")
	if output, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile calls.c: %w\n%s", err, output)
	}
	return binary, nil
}

func buildJava(w *Workshop) error {
	compile := exec.Command("javac", "-d", filepath.Join(w.dir, "java"), filepath.Join(w.source, "java", "Server.java"))
	if output, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("compile the java program: %w\n%s", err, output)
	}
	return nil
}

// buildExpress installs express unless that has been done.
func buildExpress(w *Workshop) error {
	dir := filepath.Join(w.source, "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "express")); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look for express: %w", err)
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	install.Dir = dir
	if output, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("install express: %w\n%s", err, output)
	}
	return nil
}
