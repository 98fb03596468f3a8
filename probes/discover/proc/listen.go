package proc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxListeners bounds the listening sockets remembered per namespace.
	maxListeners = 16384
	// maxDescriptors bounds how many open files of a process are looked at, in
	// rising order. Listening sockets are opened early and have low numbers; a
	// proxy with 100,000 connections must not cost 100,000 system calls.
	maxDescriptors = 4096
)

// Listeners finds the TCP ports that processes listen on. It reads the sockets
// of each network namespace once, so one value serves one pass over many
// processes and is then thrown away. It is not safe for concurrent use.
type Listeners struct {
	// Wanted says which ports matter; nil means all. Where none of them is
	// listened on in a namespace, no process of it is looked into.
	Wanted func(port uint16) bool

	namespaces map[string]map[uint64]uint16 // by link of ns/net: socket inode to port
}

// Ports returns the wanted TCP ports, IPv4 and IPv6, on which the process holds a
// listening socket, sorted. A socket inherited over fork counts for each holder.
func (l *Listeners) Ports(p *Process) ([]uint16, error) {
	name, err := p.Link("ns/net")
	if err != nil {
		return nil, err
	}
	sockets, known := l.namespaces[name]
	if !known {
		if sockets, err = l.listening(p); err != nil {
			return nil, err
		}
		if l.namespaces == nil {
			l.namespaces = make(map[string]map[uint64]uint16)
		}
		l.namespaces[name] = sockets
	}
	if len(sockets) == 0 {
		return nil, nil
	}
	return held(p, sockets)
}

// held returns the ports of those sockets that the process has open.
func held(p *Process, sockets map[uint64]uint16) ([]uint16, error) {
	fd, err := p.open("fd", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), "fd")
	defer dir.Close()
	names, err := dir.Readdirnames(maxDescriptors)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fail("list", "fd", err)
	}
	var ports []uint16
	var link [64]byte // "socket:[18446744073709551615]" is 29 bytes; longer ones are files
	for _, name := range names {
		n, err := unix.Readlinkat(fd, name, link[:])
		if err != nil {
			continue // closed meanwhile
		}
		inode, ok := socketInode(link[:n])
		if !ok {
			continue
		}
		if port, ok := sockets[inode]; ok && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports, nil
}

func socketInode(link []byte) (uint64, bool) {
	inner, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok || !bytes.HasSuffix(inner, []byte{']'}) {
		return 0, false
	}
	inode, err := strconv.ParseUint(string(inner[:len(inner)-1]), 10, 64)
	return inode, err == nil
}

// listening reads the listening sockets of the process's network namespace.
func (l *Listeners) listening(p *Process) (map[uint64]uint16, error) {
	sockets := make(map[uint64]uint16)
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		fd, err := p.open(table, unix.O_RDONLY|unix.O_NONBLOCK)
		if errors.Is(err, ErrGone) && table == "net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fd), table)
		parseListening(file, sockets)
		file.Close()
	}
	if l.Wanted != nil {
		maps.DeleteFunc(sockets, func(_ uint64, port uint16) bool { return !l.Wanted(port) })
	}
	return sockets, nil
}

// parseListening reads a table of /proc/net/tcp's form. The kernel prints all
// listening sockets before any other (tcp_seq_start in net/ipv4/tcp_ipv4.c), so
// reading ends at the first that is not: a hundred thousand connections cost
// nothing.
func parseListening(table io.Reader, sockets map[uint64]uint16) {
	const stateListen = "0A"
	lines := bufio.NewScanner(table)
	lines.Buffer(make([]byte, 4096), 4096)
	lines.Scan() // the heading
	for lines.Scan() && len(sockets) < maxListeners {
		// sl local remote state queues timer retransmits uid timeout inode
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		if fields[3] != stateListen {
			return
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(hex, 16, 16)
		if err != nil {
			continue
		}
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		if err != nil || inode == 0 {
			continue
		}
		sockets[inode] = uint16(port)
	}
}
