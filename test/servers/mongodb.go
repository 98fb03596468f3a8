package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// MongoDB is a running FerretDB, which speaks MongoDB: see test/ferretdb.
type MongoDB struct {
	*rig.Process
	Address string // host:port
}

// StartMongoDB runs the FerretDB that test/install has built, and waits until it
// answers.
func StartMongoDB(ctx context.Context, s *rig.Scene, c Config) (*MongoDB, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find FerretDB: %w", err)
	}
	built, err := filepath.Glob(filepath.Join(cache, "clew", "ferretdb-*[0-9]"))
	if err != nil || len(built) == 0 {
		return nil, errors.New("find FerretDB: not built; run test/install")
	}
	dir, err := directory(s, "mongo", "")
	if err != nil {
		return nil, err
	}
	m := new(MongoDB)
	if _, m.Address, err = localhost(); err != nil {
		return nil, err
	}
	c.Env = append(c.Env, "ADDRESS="+m.Address, "DATA="+dir)
	if m.Process, err = start(s, c, rig.Command{Name: "ferretdb", Path: built[len(built)-1], Dir: dir}); err != nil {
		return nil, err
	}
	return m, rig.Listening(ctx, m.Process, "tcp", m.Address)
}

// Statements are all commands since the start, in the order in which they came,
// with the texts
//
//	COMMAND COLLECTION
//	COMMAND
//
// where the collection is missing if the command's value is another. Those with
// which drivers watch the server, and say goodbye, are left out.
func (m *MongoDB) Statements() ([]Statement, error) {
	var statements []Statement
	leftOut := true // the latest
	for line := range strings.Lines(m.Process.Output()) {
		text := strings.TrimSuffix(line, "\n")
		code, failed := strings.CutPrefix(text, "error ")
		switch {
		case len(text) == len(line):
			return nil, fmt.Errorf("read FerretDB's record: %q has no end", line)
		case failed && !leftOut:
			statements[len(statements)-1].Error = code
		case !failed:
			leftOut = text == "hello" || text == "endSessions" || strings.EqualFold(text, "ismaster")
			if !leftOut {
				statements = append(statements, Statement{Text: text})
			}
		}
	}
	return statements, nil
}
