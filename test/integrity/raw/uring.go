package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring with one request at a time; the layouts are those of
// linux/io_uring.h.
type ring struct {
	fd             int
	queues, array  []byte // memory shared with the kernel
	sqTail, cqHead *uint32
	cqTail         *uint32
	sqMask, cqMask uint32
	indices        *uint32
	completions    unsafe.Pointer
	buffer         []byte // of the request in the kernel's hands
}

type ringParams struct {
	sqEntries, cqEntries, flags, idle, idleCPU, features, workers uint32
	_                                                             [3]uint32
	sq, cq                                                        ringOffsets
}

type ringOffsets struct {
	head, tail, mask, entries, a, b, c, _ uint32
	_                                     uint64
}

type ringRequest struct {
	opcode, flags uint8
	priority      uint16
	fd            int32
	offset        uint64
	address       uint64
	length        uint32
	messageFlags  uint32
	data          uint64
	_             [3]uint64
}

type ringCompletion struct {
	data   uint64
	result int32
	flags  uint32
}

const (
	ringEnterWait = 1 // IORING_ENTER_GETEVENTS
	ringSend      = 26
	ringReceive   = 27
	ringArray     = 0x10000000 // IORING_OFF_SQES
	ringSingleMap = 1          // IORING_FEAT_SINGLE_MMAP
)

func openRing() (*ring, error) {
	var p ringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("set an io_uring up: %w", errno)
	}
	r := &ring{fd: int(fd)}
	if p.features&ringSingleMap == 0 {
		r.close()
		return nil, errors.New("set an io_uring up: the kernel is too old")
	}
	size := max(int(p.sq.c+p.sqEntries*4), int(p.cq.b+p.cqEntries*uint32(unsafe.Sizeof(ringCompletion{}))))
	var err error
	if r.queues, err = unix.Mmap(r.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		r.close()
		return nil, fmt.Errorf("map an io_uring: %w", err)
	}
	if r.array, err = unix.Mmap(r.fd, ringArray, int(p.sqEntries)*int(unsafe.Sizeof(ringRequest{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		r.close()
		return nil, fmt.Errorf("map an io_uring: %w", err)
	}
	at := func(offset uint32) unsafe.Pointer { return unsafe.Pointer(&r.queues[offset]) }
	r.sqTail, r.sqMask, r.indices = (*uint32)(at(p.sq.tail)), *(*uint32)(at(p.sq.mask)), (*uint32)(at(p.sq.c))
	r.cqHead, r.cqTail, r.cqMask, r.completions = (*uint32)(at(p.cq.head)), (*uint32)(at(p.cq.tail)), *(*uint32)(at(p.cq.mask)), at(p.cq.b)
	return r, nil
}

func (r *ring) close() {
	if r.queues != nil {
		_ = unix.Munmap(r.queues)
	}
	if r.array != nil {
		_ = unix.Munmap(r.array)
	}
	_ = unix.Close(r.fd)
}

// do has the kernel do one thing, and waits for it.
func (r *ring) do(opcode uint8, fd int, b []byte) (int, error) {
	r.buffer = b
	tail := atomic.LoadUint32(r.sqTail)
	index := tail & r.sqMask
	request := (*ringRequest)(unsafe.Pointer(&r.array[uintptr(index)*unsafe.Sizeof(ringRequest{})]))
	*request = ringRequest{opcode: opcode, fd: int32(fd), address: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), length: uint32(len(b))}
	*(*uint32)(unsafe.Add(unsafe.Pointer(r.indices), index*4)) = index
	atomic.StoreUint32(r.sqTail, tail+1)
	submit := uintptr(1)
	for atomic.LoadUint32(r.cqTail) == atomic.LoadUint32(r.cqHead) {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), submit, 1, ringEnterWait, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, fmt.Errorf("enter an io_uring: %w", errno)
		}
		if errno == 0 {
			submit = 0
		}
	}
	head := atomic.LoadUint32(r.cqHead)
	done := *(*ringCompletion)(unsafe.Add(r.completions, uintptr(head&r.cqMask)*unsafe.Sizeof(ringCompletion{})))
	atomic.StoreUint32(r.cqHead, head+1)
	if done.result < 0 {
		return 0, unix.Errno(-done.result)
	}
	return int(done.result), nil
}

func (w *wire) uring() (*ring, error) {
	var err error
	if w.ring == nil {
		w.ring, err = openRing()
	}
	return w.ring, err
}

func (w *wire) uringSend(all []byte) error {
	r, err := w.uring()
	if err != nil {
		return err
	}
	for len(all) > 0 {
		n, err := r.do(ringSend, w.fd, all)
		if errors.Is(err, unix.EAGAIN) {
			err = w.wait(unix.POLLOUT)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("send by io_uring: %w", err)
		}
		all = all[n:]
	}
	return nil
}

// uringReceive waits first: a request to an io_uring has no deadline.
func (w *wire) uringReceive(b []byte) (int, error) {
	r, err := w.uring()
	if err != nil {
		return 0, err
	}
	if err := w.wait(unix.POLLIN); err != nil {
		return 0, err
	}
	return r.do(ringReceive, w.fd, b)
}
