package integrity

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// OpenLine makes the network interface of a line in the network namespace of the
// calling thread. What is sent through the interface is read from the file, a
// packet at a time, and what is written to the file is received there.
func OpenLine(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("name an interface: %w", err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make the interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Weather is what happens to packets between two lines: of a hundred, 2 are lost,
// 5 arrive some milliseconds late, behind those sent after them, and 1 twice.
type Weather struct {
	Passed, Lost, Late, Twice atomic.Int64
}

// Blow passes packets one way until a line is closed.
func (w *Weather) Blow(from, to *os.File, s Source) {
	packet := make([]byte, 64<<10)
	for {
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		// A write fails only when the queue is full or the line is closed, and
		// then the packet is lost too.
		switch chance := s.IntN(100); {
		case chance < 2:
			w.Lost.Add(1)
		case chance < 7:
			w.Late.Add(1)
			late := slices.Clone(packet[:n])
			time.AfterFunc(time.Duration(1+s.IntN(5))*time.Millisecond, func() { _, _ = to.Write(late) })
		case chance < 8:
			w.Twice.Add(1)
			_, _ = to.Write(packet[:n])
			_, _ = to.Write(packet[:n])
		default:
			w.Passed.Add(1)
			_, _ = to.Write(packet[:n])
		}
	}
}
