package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// MariaDB is a running MariaDB with a user root who needs no password.
type MariaDB struct {
	*rig.Process
	Address string // host:port; no TLS
	Port    int
	Socket  string // its unix socket
}

// StartMariaDB runs MariaDB and waits until it answers.
func StartMariaDB(ctx context.Context, s *rig.Scene, c Config) (*MariaDB, error) {
	dir, err := directory(s, "maria", "mysql")
	if err != nil {
		return nil, err
	}
	m := &MariaDB{Socket: filepath.Join(dir, "socket")}
	if m.Port, m.Address, err = localhost(); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := prepare(rig.Command{
		Name: "MariaDB", Dir: dir, Path: "mariadb-install-db", Args: []string{"--no-defaults", "--user=mysql",
			"--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db"},
	}); err != nil {
		return nil, err
	}
	if m.Process, err = start(s, c, as("mysql", rig.Command{
		Name: "mariadbd", Dir: dir, Path: "mariadbd", Args: []string{
			"--no-defaults", "--datadir=" + data, "--port=" + strconv.Itoa(m.Port), "--bind-address=127.0.0.1",
			"--socket=" + m.Socket, "--innodb-flush-log-at-trx-commit=0", "--max-connections=300",
			"--skip-name-resolve", "--max-allowed-packet=64M",
			// The record: see Statements.
			"--general-log=1", "--log-output=TABLE",
			"--performance-schema=ON", "--performance-schema-instrument=statement/%=ON",
			"--performance-schema-consumer-events-statements-current=ON",
			"--performance-schema-consumer-events-statements-history-long=ON",
			"--performance-schema-events-statements-history-long-size=50000",
			"--performance-schema-max-sql-text-length=512", "--performance-schema-max-digest-length=0",
		},
	})); err != nil {
		return nil, err
	}
	if err := rig.Listening(ctx, m.Process, "unix", m.Socket); err != nil {
		return nil, err
	}
	return m, rig.Until(ctx, "MariaDB", func(context.Context) error { return m.Run("SELECT 1") })
}

// Run runs statements, unwatched.
func (m *MariaDB) Run(statements ...string) error {
	_, err := m.query(strings.Join(statements, ";\n"))
	return err
}

// query runs statements and returns the rows as lines.
func (m *MariaDB) query(text string) ([]byte, error) {
	command := exec.Command("mariadb", "--no-defaults", "--user=root", "--socket="+m.Socket, "--batch", "--raw", "--skip-column-names")
	command.Stdin = strings.NewReader(text)
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ask MariaDB: %w\n%s", err, problems.Bytes())
	}
	return output, nil
}

// mariaRecord asks for what has been executed or refused, in the order in which
// it began. What stands in no database is of no client: see Statements. Of the
// commands that are no statements only a refused one to prepare is of interest.
const mariaRecord = `SELECT JSON_OBJECT('Client', CURRENT_SCHEMA, 'Text', IFNULL(SQL_TEXT, EVENT_NAME),
	'Error', IF(MYSQL_ERRNO = 0, '', CAST(MYSQL_ERRNO AS CHAR)))
FROM performance_schema.events_statements_history_long
WHERE CURRENT_SCHEMA IS NOT NULL AND (EVENT_NAME NOT LIKE 'statement/com/%'
	OR EVENT_NAME IN ('statement/com/Query', '` + mariaExecute + `')
	OR EVENT_NAME = 'statement/com/Prepare' AND MYSQL_ERRNO != 0)
ORDER BY TIMER_START`

// mariaExecute stands for the text of a statement that was prepared by the
// binary protocol; the general log has it.
const mariaExecute = "statement/com/Execute"

// mariaLog asks for what the general log has of statements, in the order in
// which they began.
const mariaLog = `SELECT JSON_OBJECT('Thread', thread_id, 'User', SUBSTRING_INDEX(user_host, '[', 1),
	'Command', command_type, 'Text', LEFT(CONVERT(argument USING utf8mb4), 512))
FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')`

// logged is a line of the general log.
type logged struct {
	Thread              int
	User, Command, Text string
}

// Asked are the texts of the statements that a user's programs have sent since
// the start, or executed by the binary protocol, by the general log: refused
// ones too, as long as they could be prepared.
func (m *MariaDB) Asked(user string) ([]string, error) {
	lines, err := m.general()
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, line := range lines {
		if line.User == user {
			texts = append(texts, line.Text)
		}
	}
	return texts, nil
}

// general is the general log without the lines of statements that others
// execute: EXECUTE in a query has two.
func (m *MariaDB) general() ([]logged, error) {
	lines, err := rows[logged](m, mariaLog)
	if err != nil {
		return nil, err
	}
	last := make(map[int]logged) // of each thread
	return slices.DeleteFunc(lines, func(line logged) bool {
		before := last[line.Thread]
		last[line.Thread] = line
		return line.Command == "Execute" && before.Command == "Query" &&
			strings.HasPrefix(strings.ToUpper(before.Text), "EXECUTE")
	}), nil
}

// Statements are all statements that have been executed, or refused, since the
// start, several in one message as one, in the order in which they began, by the server's own statistics: the
// general log would not tell errors. The client is the database in which it
// worked, so each client must have one of its own. Statements of more than 512
// bytes are cut. Those executed by the binary protocol at the same time may
// have each other's text.
func (m *MariaDB) Statements() ([]Statement, error) {
	statements, err := rows[Statement](m, mariaRecord)
	if err != nil {
		return nil, err
	}
	log, err := m.general()
	if err != nil {
		return nil, err
	}
	executed := slices.DeleteFunc(log, func(line logged) bool { return line.Command != "Execute" })
	for i := range statements {
		if statements[i].Text != mariaExecute {
			continue
		}
		if len(executed) == 0 {
			return nil, errors.New("read MariaDB's record: the general log has too few statements")
		}
		statements[i].Text, executed = executed[0].Text, executed[1:]
	}
	return joined(statements), nil
}

// joined makes one of the statements that were sent together: each of them
// stands in the record with all that follow it.
func joined(statements []Statement) []Statement {
	var all []Statement
	for _, s := range statements {
		if n := len(all) - 1; n >= 0 && all[n].Client == s.Client {
			if before, ok := strings.CutSuffix(all[n].Text, s.Text); ok && strings.HasSuffix(strings.TrimSpace(before), ";") {
				all[n].Error = s.Error // only the last can fail
				continue
			}
		}
		all = append(all, s)
	}
	return all
}

// rows runs a query whose rows are JSON.
func rows[T any](m *MariaDB, query string) ([]T, error) {
	text, err := m.query(query)
	if err != nil {
		return nil, err
	}
	var all []T
	for line := range bytes.Lines(text) {
		var row T
		if err := json.Unmarshal(line, &row); err != nil {
			return nil, fmt.Errorf("read MariaDB's record %q: %w", line, err)
		}
		all = append(all, row)
	}
	return all, nil
}
