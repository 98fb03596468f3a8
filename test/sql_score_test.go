package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// webApp is a server whose pages ask a database.
type webApp struct {
	name    string
	query   string   // added to /page
	command []string // its words are filled as those of sqlClient
	// least is the least share of queries with the right parent, in percent, at
	// each level; 0 means that it may be absent. None may ever be wrong.
	least [len(levels)]int
}

var webApps = []webApp{
	{name: "go net/http, pgx", command: []string{"$BUILT/webpgx"}, least: [...]int{90, 90, 90}},
	{name: "go net/http, pgx", query: "&via=goroutine", command: []string{"$BUILT/webpgx"}, least: [...]int{90, 90, 90}},
	{name: "gunicorn sync, psycopg2", command: gunicornWeb("--workers=4"), least: [...]int{90, 90, 90}},
	{name: "gunicorn gthread, psycopg2", command: gunicornWeb("--worker-class=gthread", "--threads=64"), least: [...]int{90, 0, 0}},
	{name: "java, pgjdbc", command: []string{"java", "-XX:TieredStopAtLevel=1", "-Dsun.net.httpserver.nodelay=true", "-cp", "$BUILT/java:/usr/share/java/postgresql.jar", "Web"}, least: [...]int{90, 90, 90}},
	{name: "php, PDO", command: []string{"php", "-q", "-S", "$ADDRESS", "$CLIENTS/php/web.php"}, least: [...]int{90, 90, 90}},
	{name: "node, pg", command: []string{"node", "$CLIENTS/node/web.js"}},
	{name: "uvicorn, asyncpg", command: []string{"uvicorn", "--host=127.0.0.1", "--port=$PORT", "--log-level=warning",
		"--no-access-log", "--app-dir=$CLIENTS/python", "loopweb:app"}},
}

func gunicornWeb(arguments ...string) []string {
	return append([]string{"gunicorn", "--bind=$ADDRESS", "--backlog=1024", "--timeout=120", "--chdir=$CLIENTS/python", "web:app"}, arguments...)
}

const (
	pagesVisited = 160 // of each application, at each level
	pageQueries  = 3   // of each page
)

// TestSQLScore lets every application serve pages, one, 8 and 64 at a time, over
// connections to the database that it opened before the agent ran, and compares
// the parents of the queries with the pages that they name.
func TestSQLScore(t *testing.T) {
	scene := openScene(t)
	postgres, err := servers.StartPostgres(t.Context(), scene, servers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	prepareBench(t, postgres)
	built := buildClients(t)
	addresses := make([]string, len(webApps))
	for i, app := range webApps {
		addresses[i] = startWebApp(t, scene, postgres, built, i, app.command)
	}
	sink, agent := startScoring(t, scene)
	awaitTrust(t, sink, addresses)
	for i, app := range webApps {
		visit(t, i, "http://"+addresses[i]+"/page?"+strings.TrimPrefix(app.query+"&", "&")+"id=")
	}
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	report(t, "Parents of queries, against the pages that they name", webApps, sink, agent)
}

// report judges the queries of applications and prints their scores.
func report(t *testing.T, title string, apps []webApp, sink *rig.Sink, agent *rig.Agent) {
	t.Helper()
	judged := judgeQueries(sink.Spans())
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "application\tin flight\tright\tabsent\twrong\tno span\t")
	for i, app := range apps {
		for l, level := range levels {
			got := judged[[2]int{i, l}]
			total := pageQueries * pagesVisited
			got.lost = total - got.right - got.absent - got.wrong
			fmt.Fprintf(table, "%s%s\t%d\t%d\t%d\t%d\t%d\t\n", app.name, app.query, level, got.right, got.absent, got.wrong, got.lost)
			switch {
			case got.wrong > 0:
				t.Errorf("%s%s with %d in flight: %d wrong parents", app.name, app.query, level, got.wrong)
			case got.lost != 0:
				t.Errorf("%s%s with %d in flight: %d of %d queries have no span", app.name, app.query, level, got.lost, total)
			case got.right*100 < app.least[l]*total:
				t.Errorf("%s%s with %d in flight: %d of %d parents are right, want %d %%", app.name, app.query, level, got.right, total, app.least[l])
			}
		}
	}
	table.Flush()
	fmt.Printf("%s:\n%s", title, text.String())
	if t.Failed() {
		t.Logf("the agent said:\n%s", tail(agent.Errors(), 8<<10))
	}
}

// startWebApp runs an application in the scene's cgroup as the service with its
// number, and returns its address.
func startWebApp(t *testing.T, scene *rig.Scene, postgres *servers.Postgres, built string, number int, command []string) string {
	t.Helper()
	port, err := rig.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	variables := map[string]string{
		"BUILT": built, "ADDRESS": address, "PORT": strconv.Itoa(port), "PGPORT": strconv.Itoa(postgres.Port),
		"POOL": "4", "PHP_CLI_SERVER_WORKERS": "8",
	}
	if strings.Contains(strings.Join(command, " "), "threads=64") {
		variables["POOL"] = "64"
	}
	startApp(t, scene, number, command, address, variables)
	return address
}

// startApp runs an application in the scene's cgroup as the service with its number,
// and lets it serve a page that counts nowhere.
func startApp(t *testing.T, scene *rig.Scene, number int, command []string, address string, variables map[string]string) {
	t.Helper()
	variables["CLIENTS"] = clientsDirectory(t)
	variables["LISTEN"] = address
	variables["OTEL_SERVICE_NAME"] = fmt.Sprintf("s%d", number)
	variables["PYTHONDONTWRITEBYTECODE"] = "1"
	words, env := filled(command, variables)
	process, err := scene.Start(rig.Command{Name: filepath.Base(words[0]), Path: words[0], Args: words[1:], Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if err := rig.Listening(t.Context(), process, "tcp", address); err != nil {
		t.Fatal(err)
	}
	// A page that counts nowhere opens connections, where that is not done at once.
	fetch(t, http.DefaultClient, "http://"+address+"/page?id=before", http.StatusOK)
}

// awaitTrust visits an application until the agent, which does not know at first
// what was under way when it started, lets threads be evidence.
func awaitTrust(t *testing.T, sink *rig.Sink, addresses []string) {
	t.Helper()
	number := slices.IndexFunc(webApps, func(app webApp) bool { return app.name == "gunicorn sync, psycopg2" })
	err := rig.Until(t.Context(), "the agent to trust threads", func(context.Context) error {
		fetch(t, http.DefaultClient, "http://"+addresses[number]+"/page?id=early", http.StatusOK)
		for _, span := range sink.Spans() {
			if strings.Contains(span.Attributes["db.query.text"], "q_early") && span.ParentID != "" {
				return nil
			}
		}
		return errors.New("its queries have no parent")
	})
	if err != nil {
		t.Fatal(err)
	}
}

// visit asks an application for pages at all levels. The id of each tells the
// application and the level.
func visit(t *testing.T, number int, page string) {
	t.Helper()
	for l, level := range levels {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: level}}
		var flight sync.WaitGroup
		next := make(chan string)
		for range level {
			flight.Go(func() {
				for id := range next {
					if err := drain(client, page+id); err != nil {
						t.Errorf("%s: %v", page, err)
					}
				}
			})
		}
		for n := range pagesVisited {
			next <- fmt.Sprintf("%d-%d-%d", number, l, n)
		}
		close(next)
		flight.Wait()
		client.CloseIdleConnections()
	}
}

var pageOfQuery = regexp.MustCompile(`\bq_(\d+)_(\d+)_(\d+)\b`)

// judgeQueries compares the parents of queries with the pages that they name, by
// application and level.
func judgeQueries(spans rig.Spans) map[[2]int]score {
	pages := make(map[string]rig.Span) // by trace and span id
	for _, span := range spans {
		if span.Kind == "server" {
			pages[span.TraceID+"/"+span.SpanID] = span
		}
	}
	judged := make(map[[2]int]score)
	for _, span := range spans {
		names := pageOfQuery.FindStringSubmatch(span.Attributes["db.query.text"])
		if names == nil || span.Kind != "client" {
			continue
		}
		var key [2]int
		for i := range key {
			key[i], _ = strconv.Atoi(names[1+i]) // digits
		}
		got := judged[key]
		page, known := pages[span.TraceID+"/"+span.ParentID]
		switch {
		case span.ParentID == "":
			got.absent++
		case known && page.Service == span.Service && page.RequestID() == strings.Join(names[1:], "-"):
			got.right++
		default: // also a parent that was never exported
			got.wrong++
		}
		judged[key] = got
	}
	return judged
}
