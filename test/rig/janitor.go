package rig

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// sweep waits until its standard input ends, which happens when the process
// that holds the other end closes it or dies in whatever way. Then it kills all
// that runs in the cgroup $1, removes it and those below it, and removes the
// directory $2. The kernel takes a moment to empty a killed cgroup, hence the
// repeated rmdir.
const sweep = `
read _
if [ -n "$1" ]; then
	echo 1 >"$1/cgroup.kill"
	n=0
	until rmdir "$1"/*/ 2>/dev/null; rmdir "$1" 2>/dev/null || [ $n -ge 200 ]; do sleep 0.05; n=$((n + 1)); done
fi
rm -rf "$2"
[ -z "$1" ] || [ ! -d "$1" ]
`

// janitor removes what a scene leaves in the system, also when the process that
// made it is killed: it is a shell that outlives its parent by one breath.
type janitor struct {
	shell    *exec.Cmd
	lifeline *os.File
}

func hireJanitor(cgroup, directory string) (*janitor, error) {
	end, lifeline, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the janitor's pipe: %w", err)
	}
	defer end.Close()
	shell := exec.Command("/bin/sh", "-c", sweep, "janitor", cgroup, directory)
	shell.Stdin = end
	shell.Stderr = os.Stderr
	// A session of its own, so that Ctrl-C reaches only those that it is for.
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := shell.Start(); err != nil {
		lifeline.Close()
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	return &janitor{shell: shell, lifeline: lifeline}, nil
}

// dismiss lets the janitor do its work, and waits for it. Only the first call
// does anything.
func (j *janitor) dismiss() error {
	if j.lifeline.Close() != nil {
		return nil
	}
	if err := j.shell.Wait(); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
