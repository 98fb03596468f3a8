package trial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// group is a cgroup made for one child.
type group struct {
	path string   // its directory
	dir  *os.File // the same, open
}

// newGroup makes a cgroup below the agent's own. A node may have the hierarchy
// mounted more than once, read-only in one place and writable in another: the
// first place that takes it is used.
func newGroup() (*group, error) {
	parents, err := ownGroups()
	if err != nil {
		return nil, err
	}
	var refusals []error
	for _, parent := range parents {
		g, err := newGroupIn(parent)
		if err == nil {
			return g, nil
		}
		refusals = append(refusals, err)
	}
	return nil, join(refusals...)
}

func newGroupIn(parent string) (*group, error) {
	path, err := os.MkdirTemp(parent, "clew-trial-")
	if err != nil {
		return nil, fmt.Errorf("make a private cgroup: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, join(fmt.Errorf("open the private cgroup: %w", err), os.Remove(path))
	}
	return &group{path: path, dir: dir}, nil
}

// removal bounds the time that the kernel takes to empty the cgroup of a process
// that has ended.
const removal = time.Second

// remove takes the cgroup away. No process may run in it any more.
func (g *group) remove() error {
	g.dir.Close()
	for end := time.Now().Add(removal); ; time.Sleep(time.Millisecond) {
		err := os.Remove(g.path)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return fmt.Errorf("remove the private cgroup: %w", err)
		}
	}
}

// ownGroups returns the directories under which the agent's own cgroup of the
// version 2 hierarchy is seen; at least one.
func ownGroups() ([]string, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("read the agent's own cgroup: %w", err)
	}
	own, ok := unifiedPath(string(groups))
	if !ok {
		return nil, errors.New("find the agent's own cgroup: the kernel has no cgroup2 hierarchy")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	dirs := groupDirs(string(mounts), own)
	if len(dirs) == 0 {
		return nil, fmt.Errorf("find the agent's own cgroup: no cgroup2 mount shows %s", own)
	}
	return dirs, nil
}

// unifiedPath finds the path in the version 2 hierarchy in the content of a
// /proc/PID/cgroup: the line "0::PATH" (cgroups(7)).
func unifiedPath(cgroups string) (string, bool) {
	for line := range strings.Lines(cgroups) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return path, strings.HasPrefix(path, "/")
		}
	}
	return "", false
}

// groupDirs returns where the cgroup2 mounts in the content of a
// /proc/PID/mountinfo show the cgroup of that path. A mount may show only a part
// of the hierarchy, namely what is below its root.
func groupDirs(mountinfo, path string) []string {
	var dirs []string
	for line := range strings.Lines(mountinfo) {
		// 41 31 0:38 ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS (proc(5))
		before, after, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		mount, source := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(source) == 0 || source[0] != "cgroup2" {
			continue
		}
		root := unescape.Replace(mount[3])
		below, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
		if ok && (below == "" || below[0] == '/') {
			dirs = append(dirs, filepath.Join(unescape.Replace(mount[4]), below))
		}
	}
	return dirs
}

// unescape undoes what the kernel does to white space and backslashes in
// mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
