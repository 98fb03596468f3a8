package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// cacheApps are servers whose pages ask Redis, and the least share of commands
// with the right parent: see webApps.
var cacheApps = []webApp{
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
	sink, agent := startScoring(t, scene, "CLEW_DB_STATEMENT=raw")
	built := buildGo(t, "webredis")
	for i, app := range cacheApps {
		visit(t, i, "http://"+startCacheApp(t, scene, redis, built, i, app.command)+"/page?"+strings.TrimPrefix(app.query+"&", "&")+"id=")
	}
	if err := agent.Stop(); err != nil {
		t.Error(err)
	}
	report(t, "Parents of commands to Redis, against the pages that their keys name", cacheApps, sink, agent)
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
	startApp(t, scene, number, command, address, map[string]string{
		"BUILT": built, "REDIS": redis.Address, "PASSWORD": redis.Password,
	})
	return address
}
