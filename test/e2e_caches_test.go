package test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// redisScript is for redis-cli. Some of it must fail.
const redisScript = `PING
SET hush:cli:k hush-value EX 60
get hush:cli:k
GET hush:cli:nothing
LPUSH hush:cli:list a b hush-value
INCR hush:cli:list
NOSUCH hush-value
MULTI
INCR hush:cli:n
INCR hush:cli:n
EXEC
OBJECT ENCODING hush:cli:n
EVAL "return redis.call('incr', KEYS[1])" 1 hush:cli:n
SELECT 3
SET hush:cli:third hush-value
DEL hush:cli:third hush:cli:k
SELECT 0
DEL hush:cli:list
`

const redisBenchmark = `cat "$GATE"; redis-benchmark -h 127.0.0.1 -p $PORT -a $PASSWORD -q -c 8 -n 320 -d 20 -t set,get,lpush,hset,mset %s`

var redisClients = []sqlClient{
	{name: "redis-cli", command: shell(`cat "$GATE"; redis-cli -h 127.0.0.1 -p $PORT <$SCRIPT; redis-cli -s $SOCKET <$SCRIPT`)},
	{name: "redis-benchmark", command: shell(fmt.Sprintf(redisBenchmark, "")), together: true},
	{name: "redis-benchmark-P16", command: shell(fmt.Sprintf(redisBenchmark, "-P 16")), together: true},
	{name: "redis-py", command: []string{"/usr/bin/python3", "$CLIENTS/python/redis_py.py"}},
	{name: "ioredis", command: []string{"node", "$CLIENTS/node/ioredis.js"}},
	{name: "go-redis", command: []string{"$BUILT/goredis"}},
}

var memcachedClients = []sqlClient{
	{name: "pymemcache", command: []string{"/usr/bin/python3", "$CLIENTS/python/pymemcache_client.py"}},
	{name: "gomemcache", command: []string{"$BUILT/gomemcache"}},
	{name: "libmemcached", command: []string{"/usr/bin/python3", "$CLIENTS/python/pylibmc_client.py"}},
	{name: "libmemcached-binary", command: []string{"/usr/bin/python3", "$CLIENTS/python/pylibmc_client.py", "binary"}},
	{name: "meta", command: []string{"/usr/bin/python3", "$CLIENTS/python/memcached_meta.py"}},
}

// TestCaches lets every client of Redis and memcached do its work, most on
// connections that are older than the agent, and compares the spans in Jaeger,
// the clients' and the servers' own, with what the servers say that they did.
func TestCaches(t *testing.T) {
	s := newStage(t)
	redis, err := servers.StartRedis(t.Context(), s.scene, servers.Config{Watched: true})
	if err != nil {
		t.Fatal(err)
	}
	memcached, err := servers.StartMemcached(t.Context(), s.scene, servers.Config{Watched: true})
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(s.scene.Dir, "redis.script")
	if err := os.WriteFile(script, []byte(redisScript), 0o644); err != nil {
		t.Fatal(err)
	}
	built := buildGo(t, "goredis", "gomemcache")
	_, port, _ := strings.Cut(redis.Address, ":")
	parties := []*party{
		s.gather("redis", redis.Statements, redisClients, map[string]string{
			"BUILT": built, "ADDRESS": redis.Address, "PORT": port, "SOCKET": redis.Socket, "SCRIPT": script,
			"PASSWORD": redis.Password, "REDISCLI_AUTH": redis.Password, "VALUE": "hush-value",
		}),
		s.gather("memcached", memcached.Statements, memcachedClients, map[string]string{
			"BUILT": built, "ADDRESS": memcached.Address, "VALUE": "hush-value",
		}),
	}
	s.watch()
	refusals := make([]map[string]int, len(redisClients))
	parties[0].work(t, func(i int) {
		if refusals[i], err = redis.Errors(); err != nil {
			t.Error(err)
		}
		if err := redis.Forget(); err != nil {
			t.Error(err)
		}
	})
	parties[1].work(t, nil)
	spans := s.settle()

	var rows []row
	for i, c := range redisClients {
		t.Run(c.name, func(t *testing.T) {
			rows = append(rows, parties[0].compare(t, i, cacheDeeds(t, spans.Where(rig.Service(c.name), rig.Kind("client")), "redis"), refusals[i], "ERR"))
		})
	}
	for i, c := range memcachedClients {
		t.Run(c.name, func(t *testing.T) {
			own := spans.Where(rig.Service(c.name), rig.Kind("client"))
			if c.name == "libmemcached-binary" {
				unread(t, s, own)
				return
			}
			rows = append(rows, parties[1].compare(t, i, cacheDeeds(t, own, "memcached"), nil, ""))
		})
	}
	for _, system := range []string{"redis", "memcached"} {
		t.Run(system+"'s own side", func(t *testing.T) { sides(t, spans, system) })
	}
	printRows("Spans of clients of caches, against the servers' own records:", rows)
	kept(t, spans)
}

// cacheDeeds are the commands that the spans of a client tell of: that of a batch
// has their number and, if it is short, the text of each.
func cacheDeeds(t *testing.T, spans rig.Spans, system string) []deed {
	t.Helper()
	var deeds []deed
	for _, span := range spans {
		attributes(t, span, "db.system.name", system)
		size, names := 1, []string{span.Attributes["db.operation.name"]}
		if text := span.Attributes["db.operation.batch.size"]; text != "" {
			var err error
			if size, err = strconv.Atoi(text); err != nil || size < 2 {
				t.Errorf("a batch of %q: %v", text, span)
			}
			batch, name, _ := strings.Cut(names[0], " ")
			if names = strings.Split(span.Attributes["db.query.text"], "; "); name != "" && batch != "MULTI" {
				names = slices.Repeat([]string{name}, size)
			}
		}
		if strings.HasPrefix(names[0], "CONFIG ") {
			continue // what Redis calls administration is not in its record
		}
		failures := 0
		if span.Failed {
			failures = 1
			if _, err := fmt.Sscanf(span.Message, "%d of", &failures); size > 1 && err != nil {
				t.Errorf("a batch failed without saying how much of it: %v", span)
			}
		}
		for i := range size {
			d := deed{start: span.Start}
			if len(names) == size {
				d.what, _, _ = strings.Cut(names[i], " ")
			}
			if i < failures { // which of them failed is not said
				d.failure = span.Attributes["db.response.status_code"]
			}
			deeds = append(deeds, d)
		}
	}
	return deeds
}

// unread expects that a protocol which is only recognised leaves no span, and is
// counted.
func unread(t *testing.T, s *stage, spans rig.Spans) {
	t.Helper()
	if len(spans) != 0 {
		t.Errorf("there are spans of it:\n%v", spans)
	}
	for name, n := range s.counts {
		if strings.Contains(name, `reason="opaque"`) && n > 0 {
			return
		}
	}
	t.Errorf("it is not counted: %v", slices.Sorted(maps.Keys(s.counts)))
}

// sides expects that each span of a client has one of the server's under it, and
// that no other has.
func sides(t *testing.T, spans rig.Spans, system string) {
	t.Helper()
	clients := make(map[string]rig.Span)
	own := spans.Where(func(s rig.Span) bool { return s.Attributes["db.system.name"] == system })
	for _, span := range own.Where(rig.Kind("client")) {
		clients[span.TraceID+"/"+span.SpanID] = span
	}
	linked := 0
	for _, span := range own.Where(rig.Kind("server")) {
		if span.ParentID == "" {
			continue // of the test's own connections, which nobody watches
		}
		client, ok := clients[span.TraceID+"/"+span.ParentID]
		// A server may read at once what a client wrote one by one.
		if !ok || client.Name != span.Name && !strings.HasPrefix(span.Name, "PIPELINE") && !strings.HasPrefix(span.Name, "BATCH") {
			t.Errorf("%v\nis under\n%v", span, client)
		}
		linked++
	}
	if linked*10 < len(clients)*9 || linked == 0 {
		t.Errorf("only %d of %d spans of clients have one of the server under them", linked, len(clients))
	}
}
