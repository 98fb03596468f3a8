package test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/test/rig"
)

// What users typed, in every place where a statement can have it. None of it
// may leave in a span.
const (
	secretWord   = "hush"
	secretNumber = "918273645"
)

// verb is what an entry of the workload is for a client.
type verb string

const (
	early    verb = "early"    // prepared before the agent runs, executed afterwards, where the client can
	plain    verb = "run"      // without parameters
	prepared verb = "prepared" // with parameters, by the client's way for that
	refused  verb = "refused"  // the server must refuse it
	several  verb = "several"  // several statements in one message, where the client can
	begin    verb = "begin"    // by the client's own call, as is commit
	commit   verb = "commit"
	copyIn   verb = "copyin" // with one row, where the client can
	copyOut  verb = "copyout"
)

type entry struct {
	verb
	statement  string
	parameters []string // those of digits only are integers
}

// workload is what every client does on each of its connections, in the
// dialect of a server. The table is temporary: each connection has its own.
func workload(text, create, large string) []entry {
	return []entry{
		{early, "SELECT CAST(? AS " + text + ")", []string{"hush-early"}},
		{plain, create, nil},
		{plain, "INSERT INTO items VALUES (1, 'hush-alpha', 918273645), (2, 'hush-beta', 918273645)", nil},
		{plain, "SELECT name FROM items WHERE name = 'hush-alpha' AND id IN (1, 2, 918273645)", nil},
		{prepared, "INSERT INTO items VALUES (?, ?, 7)", []string{"10", "hush-ten"}},
		{prepared, "INSERT INTO items VALUES (?, ?, 7)", []string{"11", "hush-eleven"}},
		{prepared, "INSERT INTO items VALUES (?, ?, 7)", []string{secretNumber, "hush-twelve"}},
		{prepared, "SELECT name FROM items WHERE id = ?", []string{secretNumber}},
		{prepared, "SELECT name FROM items WHERE id = ?", []string{"1000"}},
		{plain, "UPDATE items SET name = 'hush-gamma' WHERE id = 2", nil},
		{refused, "INSERT INTO items VALUES (918273645, 'hush-again', 0)", nil},
		{refused, "SELEC 'hush-syntax'", nil},
		{refused, "SELECT id FROM items_that_are_not WHERE name = 'hush-nothing'", nil},
		{begin, "BEGIN", nil},
		{plain, "UPDATE items SET price = 918273645 WHERE id = 1", nil},
		{plain, "DELETE FROM items WHERE id = 10", nil},
		{commit, "COMMIT", nil},
		{plain, large, nil},
		{plain, "INSERT INTO items VALUES (20, '" + strings.Repeat("hush-large ", 10_000) + "', 0)", nil},
		{copyIn, "COPY items FROM STDIN", []string{"30", "hush-copied", secretNumber}},
		{copyOut, "COPY items TO STDOUT", nil},
		{several, "SELECT 'hush-one'; SELECT 918273645; DELETE FROM items", nil},
	}
}

// file is the workload as the clients read it.
func file(entries []entry) string {
	var text strings.Builder
	for _, e := range entries {
		text.WriteString(strings.Join(append([]string{string(e.verb), e.statement}, e.parameters...), "\t") + "\n")
	}
	return text.String()
}

// script is the workload for clients that read SQL, psql and mariadb, of which
// only psql can COPY. It waits at the gate first.
func script(entries []entry, copies bool) string {
	var text strings.Builder
	text.WriteString("\\! cat \"$GATE\"\n")
	for _, e := range entries {
		switch {
		case e.verb == early, !copies && (e.verb == copyIn || e.verb == copyOut):
		case e.verb == several && copies:
			text.WriteString(strings.ReplaceAll(e.statement, ";", "\\;") + ";\n")
		case e.verb == several:
			fmt.Fprintf(&text, "DELIMITER //\n%s//\nDELIMITER ;\n", e.statement)
		case e.verb == copyIn:
			fmt.Fprintf(&text, "%s;\n%s\n\\.\n", e.statement, strings.Join(e.parameters, "\t"))
		default:
			statement := e.statement
			for _, parameter := range e.parameters {
				if strings.Trim(parameter, "0123456789") != "" {
					parameter = "'" + parameter + "'"
				}
				statement = strings.Replace(statement, "?", parameter, 1)
			}
			text.WriteString(statement + ";\n")
		}
	}
	return text.String()
}

// sqlClient is a client that nobody here wrote, driven by a program of
// test/clients that does the workload with it.
type sqlClient struct {
	name    string
	command []string // words with a $ are filled from the environment by the shell
	// together says that it talks on several connections at once, so that the
	// order of what it asks is not its own.
	together bool
}

const (
	shellTwice = `%[1]s -h 127.0.0.1 %[2]s <$SCRIPT >/dev/null; %[1]s %[3]s <$SCRIPT >/dev/null`
	bench      = `cat "$GATE"; for mode in simple extended prepared; do pgbench -h 127.0.0.1 -n -M $mode %s || exit; done`
)

var postgresClients = []sqlClient{
	{name: "psql", command: shell(fmt.Sprintf(shellTwice, "psql -X", "", "-h $SOCKET"))},
	{name: "pgbench", command: shell(fmt.Sprintf(bench, "-c 1 -t 20"))},
	{name: "pgbench-together", command: shell(fmt.Sprintf(bench, "-c 8 -j 2 -t 10")), together: true},
	{name: "psycopg2", command: []string{"/usr/bin/python3", "$CLIENTS/python/with_psycopg2.py"}},
	{name: "asyncpg", command: []string{"/usr/bin/python3", "$CLIENTS/python/with_asyncpg.py"}},
	{name: "libpq-pipeline", command: []string{"$BUILT/pipeline"}},
	{name: "node-postgres", command: []string{"node", "$CLIENTS/node/with_pg.js"}},
	{name: "pgx", command: []string{"$BUILT/pgx"}},
	{name: "pgx-batch", command: []string{"$BUILT/pgx", "batch"}},
	{name: "lib-pq", command: []string{"$BUILT/sqldb", "postgres"}},
	{name: "pgjdbc", command: []string{"java", "-XX:TieredStopAtLevel=1", "-cp", "$BUILT/java:/usr/share/java/postgresql.jar", "Jdbc",
		"jdbc:postgresql://127.0.0.1:$PORT/postgres?user=postgres&ApplicationName=pgjdbc&assumeMinServerVersion=15&prepareThreshold=1"}},
}

var mariaClients = []sqlClient{
	{name: "mariadb", command: shell(fmt.Sprintf(shellTwice,
		"mariadb --no-defaults -u root --force $DATABASE 2>/dev/null", "-P $PORT", "-S $SOCKET"))},
	{name: "pymysql", command: []string{"/usr/bin/python3", "$CLIENTS/python/with_pymysql.py"}},
	{name: "mysql2", command: []string{"node", "$CLIENTS/node/with_mysql2.js"}},
	{name: "go-sql-driver", command: []string{"$BUILT/sqldb", "mysql"}},
	{name: "mariadb-java", command: []string{"java", "-XX:TieredStopAtLevel=1", "-cp", "$BUILT/java:/usr/share/java/mariadb-java-client.jar", "Jdbc",
		"jdbc:mariadb://127.0.0.1:$PORT/$DATABASE?user=root&useServerPrepStmts=true"}},
}

func shell(text string) []string { return []string{"sh", "-c", text} }

// database is the one that a client of MariaDB works in.
func (c sqlClient) database() string { return strings.ReplaceAll(c.name, "-", "_") }

// gate lets a program go on when the test wants it to.
type gate struct {
	path string
	end  *os.File // held while the program waits
}

// start runs the client and waits until its first connections stand. What it is
// told by its environment is written in the variables.
func (c sqlClient) start(s *stage, variables map[string]string) (*rig.Process, *gate) {
	s.Helper()
	g := &gate{path: filepath.Join(s.scene.Dir, c.name+".gate")}
	if err := syscall.Mkfifo(g.path, 0o600); err != nil {
		s.Fatal(err)
	}
	words, env := filled(c.command, variables, "GATE="+g.path, "DATABASE="+c.database(),
		"PGAPPNAME="+c.name, "OTEL_SERVICE_NAME="+c.name, "PYTHONDONTWRITEBYTECODE=1")
	process, err := s.scene.Start(rig.Command{Name: c.name, Path: words[0], Args: words[1:], Env: env})
	if err != nil {
		s.Fatal(err)
	}
	return process, g
}

// filled is a command with its $VARIABLES filled in, and the environment that has
// them all, the further ones included. A shell fills them in by itself.
func filled(command []string, variables map[string]string, further ...string) (words, env []string) {
	all := maps.Clone(variables)
	for _, variable := range further {
		name, value, _ := strings.Cut(variable, "=")
		all[name] = value
	}
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	for _, word := range command {
		if command[0] != "sh" {
			word = os.Expand(word, func(name string) string { return all[name] })
		}
		words = append(words, word)
	}
	return words, env
}

// await waits until the program is at the gate.
func (g *gate) await(t *testing.T, p *rig.Process) {
	t.Helper()
	err := rig.Reached(t.Context(), p, "the gate", func(context.Context) (err error) {
		// It fails as long as nobody reads.
		g.end, err = os.OpenFile(g.path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// open lets the program go on, now and whenever it comes again.
func (g *gate) open(t *testing.T) {
	t.Helper()
	if err := os.Remove(g.path); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(os.DevNull, g.path); err != nil {
		t.Error(err)
	}
	g.end.Close()
}

// buildClients builds what has to be built, and returns the directory.
func buildClients(t *testing.T) string {
	t.Helper()
	dir, clients := t.TempDir(), clientsDirectory(t)
	for _, program := range []string{"pgx", "sqldb", "webpgx"} {
		if err := rig.GoBuild(clients, filepath.Join(dir, program), "./"+program); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{
		{"gcc", "-O2", "-o", filepath.Join(dir, "pipeline"), "-I/usr/include/postgresql", filepath.Join(clients, "c", "pipeline.c"), "-lpq"},
		{"javac", "-d", filepath.Join(dir, "java"), filepath.Join(clients, "java", "Jdbc.java"), filepath.Join(clients, "java", "Web.java")},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("build a client: %v\n%s", err, output)
		}
	}
	return dir
}

// clientsDirectory is test/clients.
func clientsDirectory(t *testing.T) string {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "test", "clients")
}
