package test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// cacheApps are servers whose pages ask Redis, and the least share of commands
// with the right parent: see webApps.
var cacheApps = []struct {
	name    string
	query   string
	command []string
	least   [len(levels)]int
}{
	{name: "go net/http, go-redis", command: []string{"$BUILT/webredis"}, least: [...]int{90, 90, 90}},
	{name: "go net/http, go-redis", query: "&via=goroutine", command: []string{"$BUILT/webredis"}, least: [...]int{90, 90, 90}},
	{name: "flask, redis-py", command: []string{"/usr/bin/python3", "$CLIENTS/python/cached.py"}, least: [...]int{90, 90, 90}},
}

// TestCacheScore lets every application serve pages, one, 8 and 64 at a time, and
// compares the parents of the commands with the pages that their keys name; for
// that the agent has to record the keys.
func TestCacheScore(t *testing.T) {
	scene := openScene(t)
	redis, err := servers.StartRedis(t.Context(), scene, servers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sink, err := rig.OpenSink(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	binary, err := theLab.agent()
	if err != nil {
		t.Fatal(err)
	}
	agent, err := rig.StartAgent(t.Context(), scene, rig.AgentConfig{
		Binary: binary, Endpoint: sink.Endpoint, Env: []string{"CLEW_DB_STATEMENT=raw"},
	})
	if err != nil {
		t.Fatal(err)
	}
	built := buildGo(t, "webredis")
	for i, app := range cacheApps {
		visit(t, i, "http://"+startCacheApp(t, scene, redis, built, i, app.command)+"/page?"+strings.TrimPrefix(app.query+"&", "&")+"id=")
	}
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	judged := judgeQueries(sink.Spans())
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "application\tin flight\tright\tabsent\twrong\tno span\t")
	for i, app := range cacheApps {
		for l, level := range levels {
			got, total := judged[[2]int{i, l}], pageQueries*pagesVisited
			got.lost = total - got.right - got.absent - got.wrong
			fmt.Fprintf(table, "%s%s\t%d\t%d\t%d\t%d\t%d\t\n", app.name, app.query, level, got.right, got.absent, got.wrong, got.lost)
			if got.wrong > 0 || got.lost != 0 || got.right*100 < app.least[l]*total {
				t.Errorf("%s%s with %d in flight: %+v, want none wrong or lost, and %d %% right", app.name, app.query, level, got, app.least[l])
			}
		}
	}
	table.Flush()
	fmt.Printf("Parents of commands to Redis, against the pages that their keys name:\n%s", text.String())
	if t.Failed() {
		t.Logf("the agent said:\n%s", tail(agent.Errors(), 8<<10))
	}
}

// startCacheApp runs an application in the scene's cgroup as the service with its
// number, lets it open connections, and returns its address.
func startCacheApp(t *testing.T, scene *rig.Scene, redis *servers.Redis, built string, number int, command []string) string {
	t.Helper()
	port, err := rig.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	words, env := filled(command, map[string]string{
		"BUILT": built, "CLIENTS": clientsDirectory(t), "LISTEN": address, "REDIS": redis.Address,
		"PASSWORD": redis.Password, "OTEL_SERVICE_NAME": fmt.Sprintf("s%d", number), "PYTHONDONTWRITEBYTECODE": "1",
	})
	process, err := scene.Start(rig.Command{Name: filepath.Base(words[0]), Path: words[0], Args: words[1:], Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if err := rig.Listening(t.Context(), process, "tcp", address); err != nil {
		t.Fatal(err)
	}
	fetch(t, http.DefaultClient, "http://"+address+"/page?id=before", http.StatusOK)
	return address
}
