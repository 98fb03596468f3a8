package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// CgroupID returns the number by which the kernel knows a cgroup of the version 2
// hierarchy: the inode of its directory. The path is the one in /proc/PID/cgroup.
func CgroupID(path string) (uint64, error) {
	dir, err := CgroupDir(path)
	if err != nil {
		return 0, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return 0, fmt.Errorf("look up cgroup %s: %w", path, err)
	}
	return stat.Ino, nil
}

// CgroupDir returns the directory of a cgroup of the version 2 hierarchy, likewise.
func CgroupDir(path string) (string, error) {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return "", fmt.Errorf("find the cgroup2 mount: %w", err)
	}
	for _, m := range mounts {
		if m.FSType == "cgroup2" {
			return filepath.Join(m.MountPoint, path), nil
		}
	}
	return "", errors.New("find the cgroup2 mount: there is none")
}

// CgroupRoot returns the directory that paths of version 2 in /proc/PID/cgroup are
// relative to: the mount, unless the agent is in a cgroup namespace of its own, as
// in a container that sees the host's mount. There a path may begin with "/..".
func CgroupRoot() (string, error) {
	mount, err := CgroupDir("/")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("read the own cgroup: %w", err)
	}
	return cgroupRoot(mount, string(own), os.Getpid())
}

// cgroupRoot looks for the process's own directory where its path says, and then
// everywhere below the mount.
func cgroupRoot(mount, own string, pid int) (string, error) {
	at := strings.Index(own, "0::")
	if at < 0 {
		return "", errors.New("read the own cgroup: no hierarchy of version 2")
	}
	path, _, _ := strings.Cut(own[at+len("0::"):], "\n")
	if holds(filepath.Join(mount, path), pid) {
		return mount, nil
	}
	found := ""
	err := filepath.WalkDir(mount, func(dir string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // a cgroup may go while we look
		case entry.IsDir() && holds(dir, pid):
			found = dir
			return fs.SkipAll
		}
		return nil
	})
	if err != nil || found == "" {
		return "", fmt.Errorf("find the own cgroup below %s: the mount shows another part of the hierarchy", mount)
	}
	return strings.TrimSuffix(found, strings.TrimSuffix(path, "/")), nil
}

// holds says whether a process is in the cgroup of this directory.
func holds(dir string, pid int) bool {
	processes, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	return err == nil && slices.Contains(strings.Fields(string(processes)), strconv.Itoa(pid))
}
