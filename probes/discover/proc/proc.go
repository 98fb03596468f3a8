// Package proc reads the facts of one process from a proc filesystem.
//
// It is made for a node agent that looks at programs it does not trust, while
// they come and go. A general library (procfs) lists the processes; of one
// process the facts are read here, by three rules that it does not have:
// everything is read through one descriptor of the /proc directory, so that a
// pid which is taken over by another process in the middle gives ErrGone and
// never a mixture of two; every read is bounded; and a file of the target is
// opened only when it is a regular file, found without leaving the target's
// root.
package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// ErrGone says that there is no such process, or no more. It is the normal end
// of a race with a process that exits, and never worth a log line.
var ErrGone = errors.New("process is gone")

// FS is a mounted proc filesystem. The zero value is the one at /proc.
type FS struct{ root string }

// New returns the proc filesystem mounted at root, such as /proc, or /host/proc
// in a container. An empty root means /proc.
func New(root string) FS { return FS{root: root} }

// Root is where the filesystem is mounted.
func (f FS) Root() string {
	if f.root == "" {
		return "/proc"
	}
	return f.root
}

// Self returns the caller's pid as this filesystem numbers processes, which
// differs from os.Getpid when it was mounted for another pid namespace.
func (f FS) Self() (uint32, error) {
	link, err := os.Readlink(f.Root() + "/self")
	if err != nil {
		return 0, fmt.Errorf("read own pid: %w", err)
	}
	pid, err := strconv.ParseUint(link, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read own pid: %w", err)
	}
	return uint32(pid), nil
}

// Read returns at most limit bytes of a file that belongs to no process, such
// as "sys/kernel/random/boot_id".
func (f FS) Read(name string, limit int) ([]byte, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(f.Root()+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	return readAll(fd, limit)
}

// Each calls visit with the pid of every process, in no particular order, until
// visit returns false.
func (f FS) Each(visit func(pid uint32) bool) error {
	library, err := procfs.NewFS(f.Root())
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	all, err := library.AllProcs()
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, p := range all {
		if !visit(uint32(p.PID)) {
			return nil
		}
	}
	return nil
}

// Process is an open process directory. It stays with the process it was opened
// for: once that is gone every method returns ErrGone, whoever has its pid.
type Process struct {
	PID uint32
	dir int
}

// Open opens the process with this pid, or returns ErrGone.
func (f FS) Open(pid uint32) (*Process, error) {
	path := f.Root() + "/" + strconv.FormatUint(uint64(pid), 10)
	dir, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fail("open process", path, err)
	}
	return &Process{PID: pid, dir: dir}, nil
}

// Close releases the descriptor.
func (p *Process) Close() { unix.Close(p.dir) }

// Read returns at most limit bytes of the process's file name, such as "cgroup".
func (p *Process) Read(name string, limit int) ([]byte, error) {
	fd, err := p.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	data, err := readAll(fd, limit)
	if err != nil {
		return nil, fail("read", name, err)
	}
	return data, nil
}

// Link returns where the process's symbolic link name points, such as "exe".
func (p *Process) Link(name string) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(p.dir, name, buf[:])
	if err != nil {
		return "", fail("read link", name, err)
	}
	return string(buf[:n]), nil
}

func (p *Process) open(name string, flags int) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(p.dir, name, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, fail("open", name, err)
	}
	return fd, nil
}

// fail turns the two errors by which /proc says that a process has gone into
// ErrGone. ENOENT of a link can also mean that a living process has no such
// thing (a kernel thread has no exe), which is why callers read stat first.
func fail(op, name string, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// retry repeats a call that a signal interrupted: the Go runtime preempts with
// signals, and opening files on some filesystems can be interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// readAll reads up to limit bytes. Files of /proc have no size to go by, so the
// buffer starts small and doubles.
func readAll(fd, limit int) ([]byte, error) {
	buf := make([]byte, 0, min(limit, 1024))
	for len(buf) < limit {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(limit, 4*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		n, err := retry(func() (int, error) { return unix.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			break
		}
		buf = buf[:len(buf)+n]
	}
	return buf, nil
}
