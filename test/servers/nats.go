package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// NATS is a running NATS server, whose user may not publish what is called
// forbidden.
type NATS struct {
	*rig.Process
	Address            string // host:port
	Username, Password string

	control net.Conn // ours
	marks   int
}

const natsConfig = `
listen: "%s"
max_traced_msg_len: 16
authorization {
	users: [
		{user: "%s", password: "%s", permissions: {publish: {deny: "forbidden.>"}}}
		{user: "mark", password: "mark"}
	]
}
`

// StartNATS runs NATS and waits until it answers.
func StartNATS(ctx context.Context, s *rig.Scene, c Config) (*NATS, error) {
	dir, err := directory(s, "nats", "")
	if err != nil {
		return nil, err
	}
	n := &NATS{Username: "rig", Password: "hush-nats"}
	if _, n.Address, err = localhost(); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, natsConfig, n.Address, n.Username, n.Password), 0o600); err != nil {
		return nil, fmt.Errorf("configure NATS: %w", err)
	}
	if n.Process, err = start(s, c, rig.Command{
		Name: "nats-server", Path: "nats-server", Dir: dir, Args: []string{"--config", config, "--trace"},
	}); err != nil {
		return nil, err
	}
	if err := rig.Listening(ctx, n.Process, "tcp", n.Address); err != nil {
		return nil, err
	}
	if n.control, err = net.Dial("tcp", n.Address); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if _, err := n.control.Write([]byte(`CONNECT {"user":"mark","pass":"mark","verbose":false}` + "\r\n")); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return n, nil
}

// Statements are all messages that came in and went out since the start, in the
// order of the server's trace, with the texts
//
//	PUB SUBJECT SIZE
//	MSG SUBJECT SIZE
//
// The size is that of the body. A message that the server refused has the error
// "Permissions". The client is the server's number of it.
func (n *NATS) Statements() ([]Statement, error) {
	n.marks++
	mark := "mark-" + strconv.Itoa(n.marks)
	if _, err := fmt.Fprintf(n.control, "PUB %s 0\r\n\r\n", mark); err != nil {
		return nil, fmt.Errorf("ask NATS: %w", err)
	}
	var statements []Statement
	return statements, rig.Until(context.Background(), "NATS's record", func(context.Context) error {
		text := n.Process.Errors()
		end := strings.Index(text, "[PUB "+mark+" 0]")
		if end < 0 {
			return errors.New("the mark is not there yet")
		}
		statements = natsRecord(text[:end])
		return nil
	})
}

// Idle waits until the server has asked that many clients whether they are there,
// as it does a second or two after they have come, and not again for minutes.
func (n *NATS) Idle(ctx context.Context, clients int) error {
	return rig.Until(ctx, "NATS's clients", func(context.Context) error {
		if seen := strings.Count(n.Process.Errors(), "<<- [PONG]"); seen < clients {
			return fmt.Errorf("%d of %d have answered", seen, clients)
		}
		return nil
	})
}

// natsRecord reads lines such as
//
//	[1] 2006/01/02 15:04:05.000000 [TRC] 127.0.0.1:42378 - cid:4 - "v1:go" - <<- [PUB subject 5]
//	[1] 2006/01/02 15:04:05.000000 [TRC] 127.0.0.1:42378 - cid:4 - "v1:go" - ->> [MSG subject 1 5]
func natsRecord(text string) []Statement {
	var statements []Statement
	published := make(map[string]int) // the latest by client, in statements
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, " - cid:")
		who, said, out := strings.Cut(rest, " - ->> [")
		if ok && !out {
			who, said, ok = strings.Cut(rest, " - <<- [")
		}
		if !ok {
			continue
		}
		client, _, _ := strings.Cut(who, " ") // perhaps with its version
		operation, arguments, _ := strings.Cut(strings.TrimSuffix(said, "]\n"), " ")
		fields := strings.Fields(arguments)
		switch {
		case operation == "-ERR" && strings.Contains(arguments, "for Publish"):
			if at, ok := published[client]; ok {
				statements[at].Error = "Permissions"
			}
		case len(fields) < 2 || strings.HasPrefix(fields[0], "mark-"):
		case operation == "PUB" && !out, operation == "HPUB" && !out:
			published[client] = len(statements)
			statements = append(statements, Statement{Client: client, Text: "PUB " + fields[0] + " " + bodySize(operation, fields)})
		case operation == "MSG" && out, operation == "HMSG" && out:
			statements = append(statements, Statement{Client: client, Text: "MSG " + fields[0] + " " + bodySize(operation, fields)})
		}
	}
	return statements
}

// bodySize is the last number, less the size of the headers before it if there
// are some.
func bodySize(operation string, fields []string) string {
	last := fields[len(fields)-1]
	if operation[0] != 'H' {
		return last
	}
	size, err := strconv.Atoi(last)
	headers, also := strconv.Atoi(fields[len(fields)-2])
	if err != nil || also != nil {
		return last
	}
	return strconv.Itoa(size - headers)
}
