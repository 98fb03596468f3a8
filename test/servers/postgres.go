package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// postgresPrograms is where Debian puts what is not for everybody's PATH.
const postgresPrograms = "/usr/lib/postgresql/*/bin"

// Postgres is a running PostgreSQL with a superuser postgres, who needs no
// password, and a database of the same name.
type Postgres struct {
	*rig.Process
	Address string // host:port; no TLS
	Port    int
	Sockets string // directory of its unix socket, as libpq's host

	programs, log string
	marks         int
}

// StartPostgres runs PostgreSQL and waits until it answers.
func StartPostgres(ctx context.Context, s *rig.Scene, c Config) (*Postgres, error) {
	found, err := filepath.Glob(postgresPrograms)
	if err != nil || len(found) == 0 {
		return nil, errors.New("find PostgreSQL: not installed; run test/install")
	}
	dir, err := directory(s, "pg", "postgres")
	if err != nil {
		return nil, err
	}
	p := &Postgres{Sockets: dir, programs: found[len(found)-1], log: filepath.Join(dir, "record.json")}
	if p.Port, p.Address, err = localhost(); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := prepare(as("postgres", rig.Command{
		Name: "PostgreSQL", Dir: dir, Path: filepath.Join(p.programs, "initdb"),
		Args: []string{"-D", data, "-A", "trust", "-N", "--locale=C", "-E", "UTF8"},
	})); err != nil {
		return nil, err
	}
	if p.Process, err = start(s, c, as("postgres", rig.Command{
		Name: "postgres", Dir: dir, Path: filepath.Join(p.programs, "postgres"),
		Args: append([]string{"-D", data, "-p", strconv.Itoa(p.Port), "-k", dir}, settings(
			"listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=32MB", "max_connections=200",
			"dynamic_shared_memory_type=mmap", "autovacuum=off",
			// Every statement once, when it has ended: with its duration, or
			// with the error. log_statement would leave out those that cannot
			// be parsed, and say the others twice when they fail.
			"log_min_duration_statement=0", "log_min_error_statement=error", "log_min_messages=error",
			"log_destination=jsonlog", "logging_collector=on", "log_rotation_size=0",
			"log_directory="+dir, "log_filename=record.log", "log_parameter_max_length=0",
		)...),
	})); err != nil {
		return nil, err
	}
	if err := rig.Listening(ctx, p.Process, "tcp", p.Address); err != nil {
		return nil, err
	}
	return p, rig.Until(ctx, "PostgreSQL", func(context.Context) error { return p.Run("SELECT 1") })
}

// settings are options of a command line, one each.
func settings(list ...string) []string {
	options := make([]string, 0, 2*len(list))
	for _, setting := range list {
		options = append(options, "-c", setting)
	}
	return options
}

// Run runs statements, unwatched, which the record will not tell of.
func (p *Postgres) Run(statements ...string) error {
	arguments := []string{"-X", "-q", "-h", p.Sockets, "-p", strconv.Itoa(p.Port), "-U", "postgres", "-v", "ON_ERROR_STOP=1"}
	for _, statement := range statements {
		arguments = append(arguments, "-c", statement)
	}
	return prepare(rig.Command{
		Name: "a database", Dir: p.Sockets, Path: "psql", Args: arguments, Env: []string{"PGAPPNAME=" + unrecorded},
	})
}

// unrecorded is the name of our own client.
const unrecorded = "clew-test"

// Statements are all statements that have been executed, or refused, since the
// start: one for each message that asks for it, in the order in which they
// ended. The client is its application_name.
func (p *Postgres) Statements() ([]Statement, error) {
	// The log is written by a process of its own, in order: what stands before
	// a statement of ours has arrived when ours has.
	p.marks++
	mark := fmt.Sprintf("SELECT 'mark %d'", p.marks)
	if err := p.Run(mark); err != nil {
		return nil, err
	}
	var statements []Statement
	return statements, rig.Until(context.Background(), "PostgreSQL's record", func(context.Context) error {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return fmt.Errorf("read PostgreSQL's record: %w", err)
		}
		var marked bool
		if statements, marked, err = postgresRecord(text, mark); err == nil && !marked {
			err = errors.New("the mark is not there yet")
		}
		return err
	})
}

// postgresRecord reads the statements up to the mark, and says whether the mark
// was met.
func postgresRecord(text []byte, mark string) (statements []Statement, marked bool, err error) {
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // being written
		}
		var entry struct {
			ApplicationName string `json:"application_name"`
			Severity        string `json:"error_severity"`
			State           string `json:"state_code"`
			Message         string `json:"message"`
			Statement       string `json:"statement"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			return nil, false, fmt.Errorf("read PostgreSQL's record %q: %w", line, err)
		}
		statement := Statement{Client: entry.ApplicationName}
		switch {
		case entry.Severity == "ERROR" && entry.Statement != "":
			statement.Text, statement.Error = entry.Statement, entry.State
		case entry.Severity == "LOG":
			if statement.Text = executed(entry.Message); statement.Text == "" {
				continue
			}
		default:
			continue
		}
		if entry.ApplicationName != unrecorded {
			statements = append(statements, statement)
		} else if statement.Text == mark {
			return statements, true, nil
		}
	}
	return statements, false, nil
}

// executed is the statement in a message such as
//
//	duration: 0.123 ms  statement: SELECT 1
//	duration: 0.123 ms  execute NAME: SELECT 1
//
// and "" in others: parse and bind have durations of their own.
func executed(message string) string {
	rest, ok := strings.CutPrefix(message, "duration: ")
	if !ok {
		return ""
	}
	_, rest, ok = strings.Cut(rest, " ms  ")
	if !ok {
		return ""
	}
	if text, ok := strings.CutPrefix(rest, "statement: "); ok {
		return text
	}
	if !strings.HasPrefix(rest, "execute ") {
		return ""
	}
	_, text, _ := strings.Cut(rest, ": ") // no client here names things with a colon and a space
	return text
}
