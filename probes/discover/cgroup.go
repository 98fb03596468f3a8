package discover

import (
	"errors"
	"fmt"
	"path/filepath"

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
