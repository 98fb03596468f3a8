package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// Memcached is a running memcached.
type Memcached struct {
	*rig.Process
	Address string // host:port

	control net.Conn // ours
	marks   int
}

// StartMemcached runs memcached and waits until it answers.
func StartMemcached(ctx context.Context, s *rig.Scene, c Config) (*Memcached, error) {
	dir, err := directory(s, "memcached", "")
	if err != nil {
		return nil, err
	}
	m := new(Memcached)
	port, address, err := localhost()
	if err != nil {
		return nil, err
	}
	m.Address = address
	if m.Process, err = start(s, c, rig.Command{
		Name: "memcached", Path: "memcached", Dir: dir,
		Args: []string{"-u", "nobody", "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-t", "2", "-vv"},
	}); err != nil {
		return nil, err
	}
	if err := rig.Listening(ctx, m.Process, "tcp", m.Address); err != nil {
		return nil, err
	}
	m.control, err = net.Dial("tcp", m.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to memcached: %w", err)
	}
	return m, nil
}

// Statements are all commands in text since the start, in the order in which
// they came, as the text of which only the command's name is given.
func (m *Memcached) Statements() ([]Statement, error) {
	m.marks++
	mark := fmt.Sprintf("get mark-%d", m.marks)
	if _, err := m.control.Write([]byte(mark + "\r\n")); err != nil {
		return nil, fmt.Errorf("ask memcached: %w", err)
	}
	var statements []Statement
	return statements, rig.Until(context.Background(), "memcached's record", func(context.Context) error {
		text := m.Process.Errors()
		if !strings.Contains(text, mark+"\n") {
			return errors.New("the mark is not there yet")
		}
		statements = memcachedRecord(text)
		return nil
	})
}

// memcachedRecord reads what memcached -vv writes: <N COMMAND for what came on
// descriptor N, and >N ANSWER for what went out. Our own marks are left out.
func memcachedRecord(text string) []Statement {
	var statements []Statement
	latest := make(map[string]int) // by descriptor, in statements
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) == 0 || line[0] != '<' && line[0] != '>' {
			continue
		}
		descriptor, rest, _ := strings.Cut(line[1:], " ")
		word, arguments, _ := strings.Cut(rest, " ")
		if line[0] == '>' {
			if at, ok := latest[descriptor]; ok && refusedByMemcached(word) {
				statements[at].Error = word
			}
			continue
		}
		switch {
		case rest == "connection closed.", strings.HasPrefix(rest, "new "), strings.HasPrefix(rest, "server listening"):
			delete(latest, descriptor)
		case strings.HasPrefix(arguments, "mark-"):
		default:
			latest[descriptor] = len(statements)
			statements = append(statements, Statement{Text: word})
		}
	}
	return statements
}

// refusedByMemcached says whether an answer that begins so is an error.
func refusedByMemcached(word string) bool {
	return word == "ERROR" || word == "CLIENT_ERROR" || word == "SERVER_ERROR"
}
