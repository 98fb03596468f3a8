package trial

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long one wait may take. On loopback everything that arrives at
// all does so in microseconds; the rest is for a busy node.
const patience = time.Second

// bench is what checks are carried out on: a server, and the way to it. All
// connections go to the same port, as membership is a matter of the destination.
type bench struct {
	listener *net.TCPListener
	address  netip.AddrPort // to connect to: the listener's, or of what stands before it
	patience time.Duration
	waiting  func(fd int) (int, error) // how many bytes can be read: FIONREAD
	through  through
}

// through puts something before a server and returns where to connect to. That is
// how tests show that each fault is found.
type through func(server netip.AddrPort) (netip.AddrPort, error)

// direct puts nothing there.
func direct(server netip.AddrPort) (netip.AddrPort, error) { return server, nil }

// newBench listens on a loopback address, on a port that the kernel chooses.
func newBench(address netip.Addr, through through) (*bench, error) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		return nil, fmt.Errorf("open a server: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	to, err := through(netip.AddrPortFrom(address, port))
	if err != nil {
		listener.Close()
		return nil, err
	}
	return &bench{
		listener: listener,
		address:  to,
		patience: patience,
		waiting:  func(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCINQ) },
		through:  through,
	}, nil
}

func (b *bench) close() { b.listener.Close() }

// pair is a connection with both its ends.
type pair struct {
	*client
	conn   *net.TCPConn  // the server's end
	server *bufio.Reader // reads it
}

func (b *bench) connect() (*pair, error) {
	c, err := connect(b.address, b.patience)
	if err != nil {
		return nil, err
	}
	conn, err := b.accept()
	if err != nil {
		c.close()
		return nil, fmt.Errorf("accept a connection: %w", err)
	}
	return &pair{client: c, conn: conn, server: bufio.NewReaderSize(patient{conn, b.patience}, 64<<10)}, nil
}

func (b *bench) accept() (*net.TCPConn, error) {
	if err := b.listener.SetDeadline(time.Now().Add(b.patience)); err != nil {
		return nil, err
	}
	return b.listener.AcceptTCP()
}

func (p *pair) close() {
	p.client.close()
	p.conn.Close()
}

// patient gives every read of the server, not the whole, its time.
type patient struct {
	conn *net.TCPConn
	time time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(p.time)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}

// deliver sends a request and compares what the server receives. It reports
// whether a traceparent was added. The sender has a goroutine of its own, as a
// large body does not fit into the sockets' buffers.
func (p *pair) deliver(r request, may rewriting) (bool, error) {
	sent := make(chan error, 1)
	go func() { sent <- r.send(p.client, r.head, r.body) }()
	added, err := p.received(r)
	if err != nil {
		p.conn.Close() // the sender may wait for this reader
	}
	// A fault found here explains what it does to the sender.
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	if err != nil {
		return added, err
	}
	if p.server.Buffered() > 0 {
		return added, errors.New("the server receives more than was sent")
	}
	return added, may.judge(added)
}

// received reads one request at the server and compares it.
func (p *pair) received(r request) (bool, error) {
	head, err := p.head()
	if err != nil {
		return false, err
	}
	added, err := compareHead(r.head, head)
	if err != nil {
		return added, err
	}
	return added, p.body(r.body)
}

// maxHead bounds the head of a request at the server; those sent are far below.
const maxHead = 16 << 10

// head reads what the server receives up to the empty line.
func (p *pair) head() ([]byte, error) {
	var head []byte
	for len(head) < maxHead {
		line, err := p.server.ReadSlice('\n')
		head = append(head, line...)
		if err != nil {
			return nil, fmt.Errorf("the server misses the end of the head after %d bytes: %w", len(head), err)
		}
		if len(line) <= len("\r\n") && len(head) > len(line) {
			return head, nil
		}
	}
	return nil, errors.New("the server receives a head without end")
}

// body reads as much as was sent and compares it.
func (p *pair) body(sent []byte) error {
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(p.server, got); err != nil {
		return fmt.Errorf("the server misses the body after %d of %d bytes: %w", n, len(sent), err)
	}
	return compareBytes("the body", sent, got)
}

// respond writes an answer at the server.
func (p *pair) respond(b []byte) error {
	err := p.conn.SetWriteDeadline(time.Now().Add(p.patience))
	if err == nil {
		_, err = p.conn.Write(b)
	}
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// answerSize is the length of an answer that a check does not care about.
const answerSize = 300

// exchange delivers a request, answers it and compares the answer.
func (p *pair) exchange(r request, may rewriting) (bool, error) {
	added, err := p.deliver(r, may)
	if err != nil {
		return added, err
	}
	want := answer(answerSize)
	if err := p.respond(want); err != nil {
		return added, err
	}
	got, err := p.receive(len(want))
	if err != nil {
		return added, fmt.Errorf("the answer is missed: %w", err)
	}
	return added, compareBytes("the answer", want, got)
}

// finish ends the connection from the client's side and makes sure that neither
// end receives a byte more.
func (p *pair) finish() error {
	if err := p.closeWrite(); err != nil {
		return err
	}
	if err := p.serverEnded(); err != nil {
		return err
	}
	if err := p.conn.CloseWrite(); err != nil {
		return fmt.Errorf("end the answers: %w", err)
	}
	return p.ended()
}

// serverEnded reports by its error whether the server sees the stream end here.
func (p *pair) serverEnded() error {
	_, err := p.server.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return errors.New("the server receives more than was sent")
	}
	return fmt.Errorf("the server sees no end of the stream: %w", err)
}
