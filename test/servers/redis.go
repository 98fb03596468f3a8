package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/clewtrace/clew/test/rig"
)

// Redis is a running Redis that asks for a password.
type Redis struct {
	*rig.Process
	Address  string // host:port
	Socket   string // path of its unix socket
	Password string

	control *redisConn // ours
	marks   int

	mu     sync.Mutex
	record []string // lines of MONITOR
}

// StartRedis runs Redis and waits until it answers.
func StartRedis(ctx context.Context, s *rig.Scene, c Config) (*Redis, error) {
	dir, err := directory(s, "redis", "")
	if err != nil {
		return nil, err
	}
	r := &Redis{Socket: filepath.Join(dir, "s"), Password: "hush-redis"}
	port, address, err := localhost()
	if err != nil {
		return nil, err
	}
	r.Address = address
	if r.Process, err = start(s, c, rig.Command{
		Name: "redis", Path: "redis-server", Dir: dir,
		Args: []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--unixsocket", r.Socket,
			"--requirepass", r.Password, "--save", "", "--appendonly", "no"},
	}); err != nil {
		return nil, err
	}
	if err := rig.Listening(ctx, r.Process, "tcp", r.Address); err != nil {
		return nil, err
	}
	if r.control, err = r.connect(); err != nil {
		return nil, err
	}
	monitor, err := r.connect()
	if err != nil {
		return nil, err
	}
	if _, err := monitor.ask("MONITOR"); err != nil {
		return nil, err
	}
	go r.listen(monitor)
	return r, nil
}

// listen keeps what the server says that it executes, until it ends.
func (r *Redis) listen(monitor *redisConn) {
	defer monitor.Close()
	for {
		line, err := monitor.lines.ReadString('\n')
		if err != nil {
			return
		}
		r.mu.Lock()
		r.record = append(r.record, line)
		r.mu.Unlock()
	}
}

// Statements are all commands that the server has executed since the start, in
// their order, as the text of which only the command's name is given. Commands
// that it refused without an attempt (unknown ones, or not allowed) are not
// there, and none has its error: see Errors. The client is its address.
func (r *Redis) Statements() ([]Statement, error) {
	r.marks++
	mark := fmt.Sprintf("mark-%d", r.marks)
	if _, err := r.control.ask("ECHO", mark); err != nil {
		return nil, err
	}
	var statements []Statement
	return statements, rig.Until(context.Background(), "Redis's record", func(context.Context) error {
		r.mu.Lock()
		lines := r.record
		r.mu.Unlock()
		statements = statements[:0]
		for _, line := range lines {
			s, ok := executedByRedis(line)
			switch {
			case !ok || s.Client == r.control.LocalAddr().String() && s.Text != "ECHO":
			case s.Client != r.control.LocalAddr().String():
				statements = append(statements, s)
			case strings.Contains(line, `"`+mark+`"`):
				return nil
			}
		}
		return errors.New("the mark is not there yet")
	})
}

// executedByRedis reads a line of MONITOR such as
//
//	+1700000000.123456 [0 127.0.0.1:46698] "SET" "key" "value"
//
// What a script executes is not what a client asked: its address is "lua".
func executedByRedis(line string) (Statement, bool) {
	_, rest, ok := strings.Cut(line, " [")
	if !ok {
		return Statement{}, false
	}
	_, rest, _ = strings.Cut(rest, " ")
	client, rest, ok := strings.Cut(rest, `] "`)
	if !ok || client == "lua" {
		return Statement{}, false
	}
	name, _, _ := strings.Cut(rest, `"`)
	return Statement{Client: client, Text: strings.ToUpper(name)}, true
}

// Errors is how often the server has answered with each error code since the
// start, or since Forget.
func (r *Redis) Errors() (map[string]int, error) {
	text, err := r.control.ask("INFO", "errorstats")
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	for line := range strings.Lines(text) {
		var n int
		name, count, ok := strings.Cut(strings.TrimSpace(line), ":count=")
		if code, is := strings.CutPrefix(name, "errorstat_"); ok && is {
			if n, err = strconv.Atoi(count); err != nil {
				return nil, fmt.Errorf("read Redis's errors %q: %w", line, err)
			}
			counts[code] = n
		}
	}
	return counts, nil
}

// Forget sets the statistics back.
func (r *Redis) Forget() error {
	_, err := r.control.ask("CONFIG", "RESETSTAT")
	return err
}

// redisConn is a connection of our own.
type redisConn struct {
	net.Conn
	lines *bufio.Reader
}

func (r *Redis) connect() (*redisConn, error) {
	conn, err := net.Dial("tcp", r.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to Redis: %w", err)
	}
	c := &redisConn{Conn: conn, lines: bufio.NewReader(conn)}
	_, err = c.ask("AUTH", r.Password)
	return c, err
}

// ask sends one command and returns its answer, if that is text.
func (c *redisConn) ask(words ...string) (string, error) {
	var command strings.Builder
	fmt.Fprintf(&command, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := c.Write([]byte(command.String())); err != nil {
		return "", fmt.Errorf("ask Redis: %w", err)
	}
	line, err := c.lines.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("ask Redis: %w", err)
	}
	switch line = strings.TrimSpace(line); line[0] {
	case '-':
		return "", fmt.Errorf("ask Redis: %s", line)
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return "", fmt.Errorf("ask Redis: %w", err)
		}
		text := make([]byte, n+len("\r\n"))
		if _, err := io.ReadFull(c.lines, text); err != nil {
			return "", fmt.Errorf("ask Redis: %w", err)
		}
		return string(text[:n]), nil
	}
	return line[1:], nil
}
