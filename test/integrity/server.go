package integrity

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stall is how long the server waits for the rest of a request: longer than any
// client waits for its answer.
const stall = 90 * time.Second

// Record is what arrived for one request, and what was answered.
type Record struct {
	ID     string      `json:"id"`
	Method string      `json:"method"`
	Target string      `json:"target"`
	Head   string      `json:"head"`            // SHA-256 of the head without lines of trace context
	Text   []byte      `json:"text"`            // the head as it came, at most 16 KiB of it
	Trace  []TraceLine `json:"trace,omitempty"` // the lines of trace context
	Custom string      `json:"custom"`          // Custom of the head
	Body   Body        `json:"body"`
	Status int         `json:"status"`
	Sent   string      `json:"sent"` // SHA-256 of the answer's body
	Conn   int         `json:"conn"` // number of the connection
	Nth    int         `json:"nth"`  // number of the request on it, from 0
	Error  string      `json:"error,omitempty"`
}

// Server records what arrives.
type Server struct {
	seed string
	pool []byte

	mu    sync.Mutex
	quiet sync.Cond // busy has become 0
	out   *json.Encoder
	conns int
	busy  int // requests in work
}

// NewServer makes a server that writes its records, one a line, to out.
func NewServer(seed string, out io.Writer) *Server {
	s := &Server{seed: seed, pool: Pool(seed), out: json.NewEncoder(out)}
	s.quiet.L = &s.mu
	return s
}

// Serve answers on the connections of a listener until it is closed.
func (s *Server) Serve(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		s.mu.Lock()
		s.conns++
		c := &conversation{server: s, conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), number: s.conns}
		s.mu.Unlock()
		go c.run()
	}
}

func (s *Server) work(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy += n; s.busy == 0 {
		s.quiet.Broadcast()
	}
}

// record writes a record.
func (s *Server) record(r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Encode(r)
}

// conversation is one connection.
type conversation struct {
	server *Server
	conn   net.Conn
	reader *bufio.Reader
	number int
	nth    int
}

func (c *conversation) run() {
	defer c.conn.Close()
	for more := true; more; {
		first, err := c.reader.Peek(1)
		if err != nil {
			return // the client is through; what it misses it says itself
		}
		c.server.work(1)
		_ = c.conn.SetDeadline(time.Now().Add(stall))
		if first[0] == 0 {
			more = c.binary()
		} else {
			more = c.exchange()
		}
		c.server.work(-1)
		_ = c.conn.SetDeadline(time.Time{})
		c.nth++
	}
	// What is unread when a socket is closed makes it a reset, which takes from
	// the client what it has not read yet.
	if tcp, ok := c.conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_ = c.conn.SetDeadline(time.Now().Add(stall))
		if n, _ := io.Copy(io.Discard, c.reader); n > 0 {
			_ = c.server.record(Record{Error: fmt.Sprintf("%d bytes after the end of connection %d", n, c.number)})
		}
	}
}

// binary takes a message of another protocol: 0, 32 bytes of id, 4 of length,
// the bytes; and answers with their digest.
func (c *conversation) binary() bool {
	r := Record{Method: "BINARY", Custom: digestHeaders(nil), Conn: c.number, Nth: c.nth}
	head := make([]byte, 37)
	_, err := io.ReadFull(c.reader, head)
	if err == nil {
		r.ID = strings.TrimRight(string(head[1:33]), " ")
		var length int64
		if length, err = strconv.ParseInt(string(head[33:37]), 36, 64); err == nil {
			r.Body, err = Length(c.reader, length)
		}
	}
	if err == nil {
		_, err = io.WriteString(c.conn, r.Body.SHA)
	}
	return c.finish(r, err)
}

// finish records an exchange, and says whether the connection may go on.
func (c *conversation) finish(r Record, err error) bool {
	if err != nil {
		r.Error = err.Error()
	}
	return c.server.record(r) == nil && err == nil
}

func (c *conversation) exchange() bool {
	head, err := ReadHead(c.reader)
	method, target, version := head.First()
	if target == "/idle" {
		return c.idle()
	}
	trace, rest := head.Trace()
	whole := slices.Concat(append(append([][]byte{head.Lead}, head.Lines...), head.End)...)
	r := Record{
		ID: IDOf(target), Method: method, Target: target, Head: Digest(rest), Text: whole[:min(len(whole), 16<<10)],
		Trace: trace, Custom: Custom(head), Conn: c.number, Nth: c.nth,
	}
	if err != nil {
		return c.finish(r, err)
	}
	if id := head.Value("X-Id"); id != "" {
		r.ID = id
	}
	reply := ReplyTo(c.server.seed, r.ID, method, head.Value("X-Keep") != "")
	if !strings.HasPrefix(version, "HTTP/1.1") || head.Has("Connection", "close") {
		reply.How = ByClose
	}
	reply.Early = reply.Early && head.Value("X-Late") == ""
	if tunnel := head.Value("X-Tunnel"); tunnel != "" {
		err = c.tunnel(&r, tunnel)
		return c.finish(r, err) && false
	}
	if strings.HasPrefix(version, "HTTP/1.1") && head.Has("Expect", "100-continue") {
		_, err = io.WriteString(c.conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	if err == nil && reply.Early {
		err = c.replyHead(&r, reply)
	}
	if err == nil {
		r.Body, err = c.body(head)
	}
	if err == nil && !reply.Early {
		err = c.replyHead(&r, reply)
	}
	if err == nil {
		err = c.replyBody(&r, reply)
	}
	return c.finish(r, err) && reply.How != ByClose
}

// idle answers when no request is in work.
func (c *conversation) idle() bool {
	s := c.server
	s.work(-1) // this one
	s.mu.Lock()
	for s.busy > 0 {
		s.quiet.Wait()
	}
	s.mu.Unlock()
	s.work(1)
	_, _ = io.WriteString(c.conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	return false
}

// body reads the body that belongs to a head. X-Raw tells the length where the
// head itself is deliberately unclear.
func (c *conversation) body(h Head) (Body, error) {
	raw, lengths, chunked := h.Value("X-Raw"), h.Values("Content-Length"), h.Has("Transfer-Encoding", "chunked")
	switch {
	case raw != "":
		lengths = []string{raw}
	case chunked && len(lengths) == 0:
		return Chunked(c.reader)
	case len(lengths) == 0:
		return Length(c.reader, 0)
	case chunked || len(lengths) > 1:
		return Body{}, errors.New("the body's length is told more than once")
	}
	n, err := strconv.ParseInt(lengths[0], 10, 64)
	if err != nil || n < 0 {
		return Body{}, fmt.Errorf("read the body's length %q", lengths[0])
	}
	return Length(c.reader, n)
}

// replyHead sends the head of the answer.
func (c *conversation) replyHead(r *Record, reply Reply) error {
	r.Status = reply.Status
	var head strings.Builder
	fmt.Fprintf(&head, "HTTP/1.1 %d Answer\r\nX-Id: %s\r\nX-Head-SHA256: %s\r\n", reply.Status, r.ID, r.Head)
	if !reply.Early {
		fmt.Fprintf(&head, "X-Body-SHA256: %s\r\n", r.Body.SHA)
	}
	switch {
	case reply.How == ByClose:
		head.WriteString("Connection: close\r\n")
	case reply.Status == 204:
	case reply.How == ByChunks:
		head.WriteString("Transfer-Encoding: chunked\r\n")
	default:
		fmt.Fprintf(&head, "Content-Length: %d\r\n", reply.Body.Size)
	}
	head.WriteString("\r\n")
	_, err := io.WriteString(c.conn, head.String())
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// replyBody sends the body of the answer.
func (c *conversation) replyBody(r *Record, reply Reply) error {
	body := reply.Body.Of(c.server.pool)
	r.Sent = Digest(body)
	if reply.Bodiless(r.Method) {
		return nil
	}
	for piece := range slices.Chunk(body, reply.Pieces) {
		if reply.How == ByChunks {
			piece = slices.Concat(fmt.Appendf(nil, "%x\r\n", len(piece)), piece, []byte("\r\n"))
		}
		if _, err := c.conn.Write(piece); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if reply.How == ByChunks {
		if _, err := io.WriteString(c.conn, "0\r\n\r\n"); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}

// tunnel answers as a server that switches protocols, and takes the bytes that
// follow, which are nobody's to change.
func (c *conversation) tunnel(r *Record, length string) error {
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil {
		return fmt.Errorf("read the tunnel's length: %w", err)
	}
	r.Status, r.Sent = 101, Digest(nil)
	switched := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: integrity\r\nX-Id: " + r.ID + "\r\n\r\n"
	if r.Method == "CONNECT" {
		r.Status, switched = 200, "HTTP/1.1 200 Connected\r\nX-Id: "+r.ID+"\r\n\r\n"
	}
	if _, err := io.WriteString(c.conn, switched); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	r.Body, err = Length(c.reader, n)
	return err
}

// Custom is a digest of the headers that the plan put into a request, in
// whatever order and case of their names they came.
func Custom(h Head) string {
	var headers [][2]string
	for _, line := range h.Lines[min(1, len(h.Lines)):] {
		name, value, _ := strings.Cut(string(line), ":")
		headers = append(headers, [2]string{name, value})
	}
	return digestHeaders(headers)
}

func digestHeaders(headers [][2]string) string {
	var lines []string
	for _, header := range headers {
		if name := strings.ToLower(header[0]); strings.HasPrefix(name, "x-i-") {
			lines = append(lines, name+":"+strings.TrimSpace(header[1]))
		}
	}
	slices.Sort(lines)
	return Digest([]byte(strings.Join(lines, "\n")))
}
