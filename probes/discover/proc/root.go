package proc

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ReadFile returns at most limit bytes of a file of the target: path is looked
// up as the target would, in its own root. Symbolic links are followed but
// cannot lead out of that root, and anything that is not a regular file is
// refused before it is opened, because opening a fifo can block and opening a
// device can act.
func (p *Process) ReadFile(path string, limit int) ([]byte, error) {
	root, err := p.open("root", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	found, err := retry(func() (int, error) {
		return unix.Openat2(root, path, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(found)
	file, err := reopenRegular(found, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(int(file.Fd()), limit)
}

// FileID identifies the content of a file well enough to cache what was found
// in it: a rebuilt program has another inode or another time.
type FileID struct {
	Device, Inode uint64
	Size          int64
	Modified      int64 // nanoseconds since 1970
}

// ExeID identifies the program that the process runs.
func (p *Process) ExeID() (FileID, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(p.dir, "exe", &st, 0); err != nil {
		return FileID{}, fail("stat", "exe", err)
	}
	return FileID{Device: st.Dev, Inode: st.Ino, Size: st.Size, Modified: st.Mtim.Nano()}, nil
}

// OpenExe opens the program that the process runs, even when its file has been
// deleted or replaced since.
func (p *Process) OpenExe() (*os.File, error) {
	found, err := p.open("exe", unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer unix.Close(found)
	return reopenRegular(found, "exe")
}

// reopenRegular opens for reading what a path-only descriptor stands for.
func reopenRegular(found int, path string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("open %s: not a regular file", path)
	}
	// Through our own /proc: a path-only descriptor cannot be read, and this
	// opens the very file that was just checked.
	again := "/proc/self/fd/" + strconv.Itoa(found)
	fd, err := retry(func() (int, error) {
		return unix.Open(again, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}
