package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
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
	var errors bytes.Buffer
	command.Stderr = &errors
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ask MariaDB: %w\n%s", err, errors.Bytes())
	}
	return output, nil
}

// mariaRecord asks for what has been executed or refused, in the order in which
// it ended. What stands in no database is of no client: see Statements. Of the
// commands that are no statements only a refused one to prepare is of interest.
const mariaRecord = `SELECT JSON_OBJECT('Client', CURRENT_SCHEMA, 'Text', IFNULL(SQL_TEXT, EVENT_NAME),
	'Error', IF(MYSQL_ERRNO = 0, '', CAST(MYSQL_ERRNO AS CHAR)))
FROM performance_schema.events_statements_history_long
WHERE CURRENT_SCHEMA IS NOT NULL AND (EVENT_NAME NOT LIKE 'statement/com/%'
	OR EVENT_NAME IN ('statement/com/Query', 'statement/com/Execute')
	OR EVENT_NAME = 'statement/com/Prepare' AND MYSQL_ERRNO != 0)
ORDER BY TIMER_END`

// Statements are all statements that have been executed, or refused, since the
// start, in the order in which they ended, by the server's own statistics: the
// general log would not tell errors. The client is the database in which it
// worked, so each client must have one of its own. Statements of more than 512
// bytes are cut.
func (m *MariaDB) Statements() ([]Statement, error) {
	rows, err := m.query(mariaRecord)
	if err != nil {
		return nil, err
	}
	var statements []Statement
	for row := range bytes.Lines(rows) {
		var statement Statement
		if err := json.Unmarshal(row, &statement); err != nil {
			return nil, fmt.Errorf("read MariaDB's record %q: %w", row, err)
		}
		statements = append(statements, statement)
	}
	return statements, nil
}
