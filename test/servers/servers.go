// Package servers runs the databases and brokers that the traced programs talk
// to, each in a directory and on a port of its own, and reads back what the
// server itself says that it was asked. One file a server.
package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"

	"github.com/clewtrace/clew/test/rig"
)

// Config says how to run a server.
type Config struct {
	// Watched runs it in the scene's cgroup, so that the agent sees the
	// server's side of each connection too.
	Watched bool
	Env     []string
}

// Statement is one thing that a server was asked, as its own record has it. In
// a list of them the order is that of the record.
type Statement struct {
	Client string // who asked, by the name that it gave itself; "" where the record does not tell
	Text   string // the statement, or the command, in the server's writing
	Error  string // the server's code of its refusal; "" for success
}

// String shows a statement in one line of bounded length.
func (s Statement) String() string {
	text := s.Text
	if len(text) > 120 {
		text = text[:120] + "…"
	}
	if s.Error != "" {
		return fmt.Sprintf("%s: %q failed with %s", s.Client, text, s.Error)
	}
	return fmt.Sprintf("%s: %q", s.Client, text)
}

// start runs the command, in the scene's cgroup if it is to be watched.
func start(s *rig.Scene, c Config, command rig.Command) (*rig.Process, error) {
	command.Env = append(command.Env, c.Env...)
	if c.Watched {
		return s.Start(command)
	}
	return s.StartOutside(command)
}

// directory makes a directory of the scene that belongs to that user of the
// system ("" is us). The name has to be short: the path of a unix socket has
// room for 107 bytes.
func directory(s *rig.Scene, name, owner string) (string, error) {
	dir, err := os.MkdirTemp(s.Dir, name+"-")
	if err != nil {
		return "", fmt.Errorf("make the directory of %s: %w", name, err)
	}
	if owner == "" {
		return dir, nil
	}
	account, err := user.Lookup(owner)
	if err != nil {
		return "", fmt.Errorf("run %s: not installed? run test/install: %w", name, err)
	}
	uid, errUID := strconv.Atoi(account.Uid)
	gid, errGID := strconv.Atoi(account.Gid)
	if errUID != nil || errGID != nil {
		return "", fmt.Errorf("run %s: user %s has the ids %s and %s", name, owner, account.Uid, account.Gid)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return "", fmt.Errorf("make the directory of %s: %w", name, err)
	}
	if err := os.Chmod(s.Dir, 0o711); err != nil { // its owner has to get through
		return "", fmt.Errorf("make the directory of %s: %w", name, err)
	}
	return dir, nil
}

// as makes the command run as another user of the system. It gets a System V
// IPC namespace of its own, so that nothing of it remains when it is killed.
// The wrappers replace themselves, so the process is the command's own.
func as(owner string, c rig.Command) rig.Command {
	c.Args = append([]string{
		"--ipc", "--", "setpriv", "--pdeathsig=KILL", // the kernel forgets ours when the user changes
		"--reuid=" + owner, "--regid=" + owner, "--init-groups", "--", c.Path,
	}, c.Args...)
	c.Path = "unshare"
	return c
}

// prepare runs a command to its end, before a server starts or beside it, where
// nothing is watched.
func prepare(c rig.Command) error {
	command := exec.Command(c.Path, c.Args...)
	command.Dir = c.Dir
	command.Env = append(os.Environ(), c.Env...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("prepare %s: %w\n%s", c.Name, err, output)
	}
	return nil
}

// localhost is a free port of the loopback interface, and its address.
func localhost() (port int, address string, err error) {
	if port, err = rig.FreePort(); err != nil {
		return 0, "", err
	}
	return port, fmt.Sprintf("127.0.0.1:%d", port), nil
}
