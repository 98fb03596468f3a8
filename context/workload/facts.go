package workload

import (
	"errors"
	"path"
	"strings"
	"time"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/program"
)

// Exec is what the kernel says when a process starts a program.
type Exec struct {
	PID, Parent uint32
	Comm        string // at most 15 bytes
	// Filename is the path given to execve: of a script the script itself, not
	// its interpreter. May be relative, or cut by the kernel.
	Filename string
	Time     time.Time
}

// facts is what is known of a process: read from /proc where it still is, else
// from the kernel's record. Shared between a process and those it forks, so
// never changed once made.
type facts struct {
	pid, parent uint32
	// started tells the process from others of the same pid: clock ticks since
	// boot, or the time of the exec when it was never seen in /proc.
	started   uint64
	exe       string // path, "" when unknown
	command   string // argv[0], "" when the program has overwritten it
	service   string // the name given by the program, not by its environment
	container string
	program   program.Info
	environ   map[string]string
	read      bool // from /proc, not only from the kernel's record
}

// fromRecord makes the facts of a process that is gone already.
func fromRecord(e Exec, container string) facts {
	f := facts{pid: e.PID, parent: e.Parent, container: container}
	if !e.Time.IsZero() {
		f.started = uint64(e.Time.UnixNano())
	}
	script := trimExtension(e.Filename) != e.Filename // the kernel names the script, not its interpreter
	if strings.HasPrefix(e.Filename, "/") && !script {
		f.exe = clean(e.Filename, maxValue)
	}
	f.service = clean(trimExtension(path.Base(e.Filename)), maxName)
	if e.Filename == "" {
		f.service = clean(e.Comm, maxName)
	}
	f.program = program.ByName(e.Filename)
	return f
}

// reader reads processes.
type reader struct {
	fs       proc.FS
	programs program.Cache
}

// readProcess reads what /proc says about a process. It starts from what is
// known already and replaces what it can, so that a process which dies in the
// middle keeps the rest. The error is nil when everything was read.
func (r *reader) readProcess(pid uint32, known facts) (facts, error) {
	p, err := r.fs.Open(pid)
	if err != nil {
		return known, err
	}
	defer p.Close()
	stat, err := p.Stat()
	if err != nil {
		return known, err
	}
	known.pid, known.parent, known.started = pid, stat.Parent, stat.Started
	if known.service == "" {
		known.service = clean(stat.Comm, maxName)
	}
	if stat.Zombie {
		return known, proc.ErrGone
	}
	if cgroups, err := p.Cgroups(); err == nil {
		known.container = proc.Container(cgroups)
	}
	if stat.KernelThread {
		known.read = true
		return known, nil
	}
	exe, err := p.Link("exe")
	if err != nil {
		return known, err
	}
	known.exe = clean(strings.TrimSuffix(exe, " (deleted)"), maxValue)
	known.program = r.programs.Identify(p, exe)
	// An unreadable environment is not worth giving up the rest for.
	environ, err := p.Environ(envServiceName, envResource, envFlaskApp, envDjango, envRelease)
	if err == nil && len(environ) > 0 {
		known.environ = environ
	}
	args, err := p.Args()
	if err != nil {
		return known, err
	}
	if known.command = ""; len(args.List) > 0 {
		known.command = clean(args.List[0], maxValue)
	}
	known.service = clean(serviceName(newSubject(p, &known, args)), maxName)
	known.read = true
	return known, nil
}

func newSubject(p *proc.Process, f *facts, args proc.Args) *subject {
	return &subject{
		exe:     f.exe,
		args:    args.List,
		title:   args.Title,
		program: f.program,
		environ: f.environ,
		cwd: func() string {
			cwd, err := p.Link("cwd")
			if err != nil {
				return ""
			}
			return cwd
		},
		readFile: p.ReadFile,
	}
}

func isGone(err error) bool { return errors.Is(err, proc.ErrGone) }
