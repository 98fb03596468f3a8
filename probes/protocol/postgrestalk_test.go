package protocol

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// postgresTalks has, for each recorded talk, its spans: name, text, then what is
// left to say. The server's own log (log_statement = all) had the same statements
// and errors in the same order. Only of a login and of a commit that failed it
// names no statement.
var postgresTalks = map[string]string{
	"asyncpg": `
SELECT orders | select id, email from orders where id = $1 | 1 rows
SELECT orders | select id, email from orders where id = $1 | 1 rows
BEGIN | BEGIN
UPDATE orders | update orders set total = $1 where id = $2
COMMIT | COMMIT
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
SELECT nowhere | select broken from nowhere where x = $1 | 42P01 relation ? does not exist
INSERT item | insert into item(note) values (?)
INSERT item | insert into item(note) values (?)
INSERT item | insert into item(note) values (?)
BEGIN | BEGIN
SELECT | select generate_series(?, ?) | 2 rows
FETCH | select generate_series(?, ?) | 2 rows
FETCH | select generate_series(?, ?) | 1 rows
COMMIT | COMMIT
COPY item | COPY "item"("id", "note") FROM STDIN (FORMAT binary)
`,
	"cancel": ``,
	"cancelled": `
SELECT | select pg_sleep(?) | 57014 canceling statement due to user request
SELECT | select ? | 1 rows
`,
	"jdbc": `
SET | SET extra_float_digits = ?
SET | SET application_name = ?
SELECT orders | select email from orders where id = $1 | 0 rows
SELECT orders | select email from orders where id = $1 | 1 rows
SELECT orders | select email from orders where id = $1 | 1 rows
BEGIN | BEGIN
INSERT item | insert into item(id, note) values (?)
INSERT item | insert into item(id, note) values (?)
INSERT item | insert into item(id, note) values (?)
COMMIT | COMMIT
BEGIN | BEGIN
SELECT | select generate_series(?, ?) | 2 rows
FETCH | select generate_series(?, ?) | 2 rows
FETCH | select generate_series(?, ?) | 1 rows
COMMIT | COMMIT
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
SELECT | select ? | 1 rows
SELECT orders | select id from orders | 2 rows
`,
	"large": `
SELECT | select repeat(?, ?) as pad, n from generate_series(?, $1::int) n | 150 rows
SELECT | select repeat(?, ?), ? / (? - n) from generate_series(?, $1::int) n | 22012 division by zero
SELECT | select ? | 1 rows
`,
	"lo": `
BEGIN | BEGIN
SELECT pg_catalog.pg_proc SELECT pg_catalog.pg_namespace | select proname, oid from pg_catalog.pg_proc where proname in (?) and pronamespace = (select oid from pg_catalog.pg_namespace where nspname = ?) | 13 rows
CALL | -
CALL | -
CALL | -
CALL | -
COMMIT | COMMIT
`,
	"login": `
CONNECT | - | 28P01 password authentication failed for user ?
`,
	"node": `
SELECT orders | select email from orders where id = $1 | 1 rows
SELECT | select ? | 1 rows
SELECT orders | select total from orders where id = $1 | 1 rows
SELECT orders | select total from orders where id = $1 | 1 rows
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
SELECT missing | select * from missing where a = $1 | 42P01 relation ? does not exist
`,
	"pgbench": `
BEGIN | BEGIN
UPDATE pgbench_accounts | UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2
SELECT pgbench_accounts | SELECT abalance FROM pgbench_accounts WHERE aid = $1 | 1 rows
UPDATE pgbench_tellers | UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2
UPDATE pgbench_branches | UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2
INSERT pgbench_history | INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (?, CURRENT_TIMESTAMP)
END | END
BEGIN | BEGIN
UPDATE pgbench_accounts | UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2
SELECT pgbench_accounts | SELECT abalance FROM pgbench_accounts WHERE aid = $1 | 1 rows
UPDATE pgbench_tellers | UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2
UPDATE pgbench_branches | UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2
INSERT pgbench_history | INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (?, CURRENT_TIMESTAMP)
END | END
`,
	"pgx": `
SELECT orders | select count(*) from orders where id = $1 | 1 rows
SELECT orders | select count(*) from orders where id = $1 | 1 rows
INSERT item | insert into item(id, note) values (?)
SELECT item | select note from item where id = $1 | 2 rows
UPDATE item | update item set note = $1 where id = $2
SELECT orders | select id from orders where id = $1 | 1 rows
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
SELECT SELECT | select ?; select ? | 1 rows
COPY item | copy "item" ("id", "note") from stdin binary
SELECT item | select nosuch from item where id = $1 | 42703 column ? does not exist
DELETE item | delete from item where id = $1
DELETE item | delete from item where id = ?
`,
	"pipeline": `
SELECT orders | select id from orders where id = $1 | 1 rows
INSERT item | insert into item(note) values (?)
SELECT orders | select total from orders where id = $1 | 1 rows
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
SELECT orders | select total from orders where id = $1 | 1 rows
postgresql | ? | 42601 syntax error at or near ?
COPY item | copy item(note) from stdin
SELECT | select ? | 1 rows
`,
	"pq": `
SELECT orders | select count(*) from orders where id = $1 | 1 rows
SELECT orders | select count(*) from orders | 1 rows
SELECT orders | select email from orders where id = $1 | 1 rows
SELECT orders | select email from orders where id = $1 | 1 rows
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
CREATE TABLE t | create table t(a int references orders deferrable initially deferred)
INSERT t | insert into t values (?) | 23503 insert or update on table ? violates foreign key constraint ?
DROP TABLE t | drop table t
`,
	"psql": `
INSERT orders | insert into orders values (?)
SELECT orders | select id, total from orders where email = ? | 1 rows
SELECT | select ? | 1 rows
SELECT orders | select * from orders where id in (?) | 2 rows
UPDATE orders | update orders set total = ? where id = ? | 42601 syntax error at or near ?
INSERT orders | insert into orders values (?) | 23505 duplicate key value violates unique constraint ?
BEGIN | begin
SELECT orders | select nothing from orders | 42703 column ? does not exist
SELECT | select ? | 25P02 current transaction is aborted, commands ignored until end of transaction block
ROLLBACK | rollback
DO | do ? | P0001
COPY item | COPY item (note) FROM STDIN
COPY item | copy item(note) to stdout
SELECT INSERT item SELECT orders | select ?; insert into item(note) values (?); select id from orders where id > ? | 0 rows
PREPARE SELECT orders | prepare p as select id from orders where id = $1 | table orders
EXECUTE | execute p(?) | 1 rows
`,
	"psycopg2": `
BEGIN | BEGIN
SELECT orders | select id from orders where email = ? | 1 rows
DELETE orders | delete from orders where id = ?
COMMIT | COMMIT
BEGIN | BEGIN
DECLARE SELECT | DECLARE "named" CURSOR WITHOUT HOLD FOR select generate_series(?, ?)
FETCH | FETCH FORWARD ALL FROM "named" | 5 rows
CLOSE | CLOSE "named"
COMMIT | COMMIT
`,
	"scram": `
SELECT | select ? | 1 rows
`,
}

// postgresLine is how tell prints a line of postgresTalks.
func postgresLine(line string) string {
	part := strings.Split(line, " | ")
	name := part[0]
	operation, _, _ := strings.Cut(name, " ")
	if strings.HasSuffix(name, "TABLE t") {
		operation += " TABLE"
	}
	summary, table := fmt.Sprintf(" db.query.summary=%q", name), ""
	text := fmt.Sprintf(" db.query.text=%q", part[1])
	if part[1] == "-" {
		text, summary = "", ""
	}
	what := fmt.Sprintf(" db.operation.name=%q", operation) + summary
	if name == "postgresql" {
		what = ""
	}
	rest := ""
	for _, p := range part[2:] {
		first, after, _ := strings.Cut(p, " ")
		switch {
		case first == "table":
			table = fmt.Sprintf(" db.collection.name=%q", after)
		case after == "rows":
			rest += fmt.Sprintf(" db.response.returned_rows=%q", first)
		default:
			name += fmt.Sprintf(" FAILED %q", after)
			rest += fmt.Sprintf(" db.response.status_code=%q error.type=%q", first, first)
		}
	}
	return "postgresql: " + name + ` db.system.name="postgresql" db.namespace="shop"` + what + text + table + rest
}

func TestPostgresTalks(t *testing.T) {
	files, _ := filepath.Glob("testdata/postgres-*.talk")
	if len(files) != len(postgresTalks) {
		t.Errorf("%d talks, %d described", len(files), len(postgresTalks))
	}
	for name, lines := range postgresTalks {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
				if line != "" {
					want = append(want, postgresLine(strings.TrimSpace(line)))
				}
			}
			checkTalk(t, "postgres-"+name+".talk", want...)
			// As much as the kernel copies is enough.
			got, counts := readTalk(t, "postgres-"+name+".talk").play(RoleServer, 4096, 128)
			if !slices.Equal(tellAll(got), want) {
				t.Errorf("captured in part: got\n\t%s\ncounts: %s", strings.Join(tellAll(got), "\n\t"), counts)
			}
		})
	}
}

// TestPostgresTimes checks what spans of a pipeline begin and end with.
func TestPostgresTimes(t *testing.T) {
	out, counts := readTalk(t, "postgres-pipeline.talk").play(RoleClient, whole, 0)
	var got []string
	for _, x := range out {
		got = append(got, times(x))
	}
	// The second Sync's answer is one segment later than the first's.
	want := []string{"2 3 3", "2 3 3", "2 4 4", "2 4 4", "2 5 5", "6 7 7", "10 11 13", "14 15 15"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if want := "kept  8, dropped not_executed 3"; counts != want {
		t.Errorf("counts %s, want %s", counts, want)
	}
}

// TestPostgresComment checks that the context in a statement's comment is for the
// first that executes it.
func TestPostgresComment(t *testing.T) {
	out, _ := readTalk(t, "postgres-pq.talk").play(RoleServer, whole, 0)
	var found []string
	for _, x := range out {
		if x.Trace.Evidence == EvidenceHeader {
			found = append(found, fmt.Sprintf("%s %s %x-%x", times(x), x.Operation, x.Trace.TraceID, x.Trace.ParentID))
		}
	}
	if want := []string{"10 11 11 SELECT 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"}; !slices.Equal(found, want) {
		t.Errorf("got %q", found)
	}
}
