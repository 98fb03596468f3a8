package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// sqlTalk is a database with its clients.
type sqlTalk struct {
	server  string   // its service, if it is watched
	systems []string // db.system.name may be one of these
	clients []sqlClient
	record  func() ([]servers.Statement, error)
	port    int
	socket  string // what clients take for a host then
	entries []entry

	processes []*rig.Process
	gates     []*gate
	old       int // statements in the record when the agent starts
}

// TestSQLClients lets every client do the workload, on connections that are
// older than the agent and on new ones, over TCP and over unix sockets, and
// compares the spans in Jaeger with what the server says that it was asked.
func TestSQLClients(t *testing.T) {
	s := newStage(t)
	talks := []*sqlTalk{postgresTalk(s, servers.Config{}), mariaTalk(s, servers.Config{})}
	built := buildClients(t)
	for _, talk := range talks {
		talk.arrive(s, built)
	}
	s.watch()
	for _, talk := range talks {
		talk.work(t)
	}
	spans := s.settle()
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "client\tserver's record\tspans\terrors\tspans with error\tprepared unseen\torder")
	for _, talk := range talks {
		record, err := talk.record()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range talk.clients {
			t.Run(c.name, func(t *testing.T) {
				fmt.Fprintln(table, talk.compare(t, c, spans, record[talk.old:]))
			})
		}
	}
	table.Flush()
	fmt.Printf("Spans of SQL clients, against the servers' own records:\n%s", text.String())
	kept(t, spans)
}

func postgresTalk(s *stage, config servers.Config) *sqlTalk {
	s.Helper()
	postgres, err := servers.StartPostgres(s.Context(), s.scene, config)
	if err != nil {
		s.Fatal(err)
	}
	prepareBench(s.T, postgres)
	return &sqlTalk{
		server: "postgres", systems: []string{"postgresql"}, clients: postgresClients, record: postgres.Statements,
		port: postgres.Port, socket: postgres.Sockets, entries: workload(
			"text", "CREATE TEMP TABLE items (id int PRIMARY KEY, name text, price numeric)",
			"SELECT repeat('hush', 250) FROM generate_series(1, 4000)"),
	}
}

// prepareBench makes the tables of pgbench.
func prepareBench(t *testing.T, postgres *servers.Postgres) {
	t.Helper()
	bench := exec.Command("pgbench", "-i", "-q", "-h", postgres.Sockets, "-p", strconv.Itoa(postgres.Port), "-U", "postgres", "postgres")
	if output, err := bench.CombinedOutput(); err != nil {
		t.Fatalf("prepare pgbench: %v\n%s", err, output)
	}
}

func mariaTalk(s *stage, config servers.Config) *sqlTalk {
	s.Helper()
	maria, err := servers.StartMariaDB(s.Context(), s.scene, config)
	if err != nil {
		s.Fatal(err)
	}
	for _, c := range mariaClients {
		if err := maria.Run("CREATE DATABASE " + c.database()); err != nil {
			s.Fatal(err)
		}
	}
	return &sqlTalk{
		// On connections that are older than the agent it has not seen the
		// greeting, which tells the two apart.
		server: "mariadbd", systems: []string{"mariadb", "mysql"}, clients: mariaClients, record: maria.Statements,
		port: maria.Port, socket: maria.Socket, entries: workload(
			"char", "CREATE TEMPORARY TABLE items (id int PRIMARY KEY, name longtext, price int)",
			"SELECT repeat('hush', 250) FROM seq_1_to_4000"),
	}
}

// arrive starts all clients and waits until each has made its first connections.
func (talk *sqlTalk) arrive(s *stage, built string) {
	s.Helper()
	variables := map[string]string{
		"BUILT": built, "CLIENTS": clientsDirectory(s.T), "PORT": strconv.Itoa(talk.port), "SOCKET": talk.socket,
		"PGPORT": strconv.Itoa(talk.port), "PGUSER": "postgres", "PGDATABASE": "postgres",
		"WORKLOAD": filepath.Join(s.scene.Dir, talk.systems[0]+".workload"),
		"SCRIPT":   filepath.Join(s.scene.Dir, talk.systems[0]+".sql"),
	}
	for name, text := range map[string]string{"WORKLOAD": file(talk.entries), "SCRIPT": script(talk.entries, talk.systems[0] == "postgresql")} {
		if err := os.WriteFile(variables[name], []byte(text), 0o644); err != nil {
			s.Fatal(err)
		}
	}
	for _, c := range talk.clients {
		process, gate := c.start(s, variables)
		talk.processes, talk.gates = append(talk.processes, process), append(talk.gates, gate)
	}
	for i, process := range talk.processes {
		talk.gates[i].await(s.T, process)
	}
	record, err := talk.record()
	if err != nil {
		s.Fatal(err)
	}
	talk.old = len(record)
}

// work lets the clients do their work, one after the other.
func (talk *sqlTalk) work(t *testing.T) {
	t.Helper()
	for i, process := range talk.processes {
		talk.gates[i].open(t)
		if err := process.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// compare says how the spans of one client agree with the record, as a row of
// the table.
func (talk *sqlTalk) compare(t *testing.T, c sqlClient, spans rig.Spans, record []servers.Statement) string {
	t.Helper()
	asked, refused := askedBy(c, record)
	found := spans.Where(rig.Service(c.name))
	failed, unseen := 0, 0
	for _, span := range found {
		attributes(t, span, "span.kind", "client")
		if system := span.Attributes["db.system.name"]; !slices.Contains(talk.systems, system) {
			t.Errorf("%q is no system of %v", system, span)
		}
		if span.Failed {
			failed++
		}
		if span.Attributes["db.query.text"] == "<prepared>" {
			unseen++
		}
	}
	order := "same"
	switch difference := differ(asked, found); {
	case len(asked) == 0:
		t.Error("the server has no record of it")
	case c.together && len(asked) == len(found) && refused == failed:
		order = "several connections"
	case difference != "":
		order = "differs"
		t.Error(difference)
	}
	return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%s", c.name, len(asked), len(found), refused, failed, unseen, order)
}

// askedBy is what the record has of one client, and how much of it was refused.
func askedBy(c sqlClient, record []servers.Statement) (asked []servers.Statement, refused int) {
	for _, statement := range record {
		if statement.Client != c.name && statement.Client != c.database() {
			continue
		}
		asked = append(asked, statement)
		if statement.Error != "" {
			refused++
		}
	}
	return asked, refused
}

// differ compares spans with a record, one by one, and describes the first
// difference; "" is none. Spans that begin and end together, as those of a
// pipeline can, stand in any order.
func differ(asked []servers.Statement, spans rig.Spans) string {
	left := append(rig.Spans(nil), spans...)
	for n, statement := range asked {
		match := -1
		for i, span := range left {
			if i > 0 && !(span.Start.Equal(left[0].Start) && span.End.Equal(left[0].End)) {
				break
			}
			if match = i; !matches(statement, span) {
				match = -1
				continue
			}
			break
		}
		if match < 0 {
			next := "none"
			if len(left) > 0 {
				next = left[0].String()
			}
			return fmt.Sprintf("statement %d of %d in the record is %v\nspan %d of %d is %s", n, len(asked), statement, n, len(spans), next)
		}
		left = append(left[:match:match], left[match+1:]...)
	}
	if len(left) > 0 {
		return fmt.Sprintf("the record has %d statements, there are %d spans; after the last comes\n%v", len(asked), len(spans), left[0])
	}
	return ""
}

// matches says whether a span can be that of the statement: it names the same
// operation on the same table, and the same error.
func matches(statement servers.Statement, span rig.Span) bool {
	if span.Attributes["db.response.status_code"] != statement.Error || span.Failed != (statement.Error != "") {
		return false
	}
	switch text := span.Attributes["db.query.text"]; {
	case text == "<prepared>":
		return true
	case text == "?": // what it cannot read, it does not show
		return statement.Error != "" && span.Attributes["db.operation.name"] == ""
	case onlyTable.MatchString(statement.Text) && span.Attributes["db.collection.name"] != "items":
		return false
	default:
		asked := firstWord(statement.Text)
		return asked != "" && firstWord(text) == asked && firstWord(span.Attributes["db.operation.name"]) == asked
	}
}

// onlyTable matches the statements of the workload that are about its table.
var onlyTable = regexp.MustCompile(`\bitems\b`)

// firstWord is the first word of a statement, in capitals.
func firstWord(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return strings.ToUpper(strings.TrimRight(word, ";"))
}

// kept expects that nothing of what users typed is anywhere in the spans.
func kept(t *testing.T, spans rig.Spans) {
	t.Helper()
	for _, span := range spans {
		for name, value := range span.Attributes {
			if leaks(value) {
				t.Errorf("%s of a span tells what a user typed: %q", name, value)
			}
		}
		if leaks(span.Name) || leaks(span.Message) {
			t.Errorf("a span tells what a user typed: %v", span)
		}
	}
}

func leaks(text string) bool {
	return strings.Contains(text, secretWord) || strings.Contains(text, secretNumber)
}

// TestDiffer feeds the comparison with known answers.
func TestDiffer(t *testing.T) {
	at := time.Unix(0, 0)
	span := func(second int, operation, text, code string) rig.Span {
		return rig.Span{
			Start: at.Add(time.Duration(second) * time.Second), End: at.Add(time.Duration(second) * time.Second), Failed: code != "",
			Attributes: map[string]string{"db.operation.name": operation, "db.query.text": text, "db.response.status_code": code},
		}
	}
	asked := []servers.Statement{
		{Text: "BEGIN"}, {Text: "select 1"}, {Text: "SELEC 2", Error: "42601"}, {Text: "COMMIT;"},
	}
	begin, query, refusal, end := span(0, "BEGIN", "BEGIN", ""), span(1, "SELECT", "select ?", ""), span(2, "", "?", "42601"), span(3, "COMMIT", "COMMIT", "")
	unseen := query
	unseen.Attributes = map[string]string{"db.query.text": "<prepared>"}
	together := span(1, "", "?", "42601") // as if sent with the query
	for _, c := range []struct {
		name  string
		spans rig.Spans
		same  bool
	}{
		{"the same", rig.Spans{begin, query, refusal, end}, true},
		{"prepared unseen", rig.Spans{begin, unseen, refusal, end}, true},
		{"at the same time", rig.Spans{begin, together, query, end}, true},
		{"one is missing", rig.Spans{begin, query, end}, false},
		{"the last is missing", rig.Spans{begin, query, refusal}, false},
		{"one too many", rig.Spans{begin, query, refusal, end, end}, false},
		{"another order", rig.Spans{begin, refusal, query, end}, false},
		{"another error", rig.Spans{begin, query, span(2, "", "?", "42P01"), end}, false},
		{"no error", rig.Spans{begin, query, span(2, "", "?", ""), end}, false},
		{"another operation", rig.Spans{begin, span(1, "DELETE", "select ?", ""), refusal, end}, false},
	} {
		if difference := differ(asked, c.spans); (difference == "") != c.same {
			t.Errorf("%s: got %q", c.name, difference)
		}
	}
}
