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
	mounts, err := procfs.GetMounts()
	if err != nil {
		return 0, fmt.Errorf("find the cgroup2 mount: %w", err)
	}
	for _, m := range mounts {
		if m.FSType != "cgroup2" {
			continue
		}
		var stat unix.Stat_t
		if err := unix.Stat(filepath.Join(m.MountPoint, path), &stat); err != nil {
			return 0, fmt.Errorf("look up cgroup %s: %w", path, err)
		}
		return stat.Ino, nil
	}
	return 0, errors.New("find the cgroup2 mount: there is none")
}
