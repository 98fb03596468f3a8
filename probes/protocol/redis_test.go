package protocol

import (
	"slices"
	"strings"
	"testing"
)

// TestRedis compares recorded conversations with the spans that they are. In
// {} stands the operation, in [] the text of the query.
func TestRedis(t *testing.T) {
	for name, want := range redisTalks {
		t.Run(name, func(t *testing.T) { checkTalk(t, "redis-"+name+".talk", wanted("redis", want)...) })
	}
}

// TestRedisInline has commands as people type them: they are understood once the
// server's answer to the first PING told what it is.
func TestRedisInline(t *testing.T) {
	k := readTalk(t, "redis-inline.talk")
	want := wanted("redis", strings.Repeat("PING {PING}[PING]\n", 2))
	got, counts := k.play(RoleClient, whole, 0)
	if !slices.Equal(tellAll(got), want) {
		t.Errorf("%q, %s", tellAll(got), counts)
	}
	k.checkLosses(t, "inline", want)
}

// TestRedisSecrets records commands as they are, but for those with passwords.
func TestRedisSecrets(t *testing.T) {
	for _, c := range []struct {
		statement Statement
		words     []string
		want      string
	}{
		{StatementRaw, []string{"set", "key", "two words"}, `set key "two words"`},
		{StatementRaw, []string{"SET", "", "\x00\"\xff"}, `SET "" "\x00\"\xff"`},
		{StatementRaw, []string{"AUTH", "secret"}, "AUTH ?"},
		{StatementRaw, []string{"auth", "ann", "secret"}, "AUTH ? ?"},
		{StatementRaw, []string{"HELLO", "3", "AUTH", "ann", "secret"}, "HELLO ? ? ? ?"},
		{StatementRaw, []string{"ACL", "SETUSER", "ann", ">secret"}, "ACL SETUSER ? ?"},
		{StatementRaw, []string{"Config", "set", "requirepass", "secret"}, "CONFIG SET ? ?"},
		{StatementRaw, []string{"MIGRATE", "host", "1", "key", "0", "1", "AUTH", "secret"}, "MIGRATE ? ? ? ? ? ? ?"},
		{StatementRaw, []string{"SENTINEL", "SET", "main", "auth-pass", "secret"}, "SENTINEL SET ? ? ?"},
		{StatementSanitized, []string{"set", "secret", "secret"}, "SET ? ?"},
		{StatementSanitized, append([]string{"MGET"}, strings.Split("abcdefghi", "")...), "MGET ? ? ? ? ? ? ? ? ..."},
		{StatementOff, []string{"SET", "secret", "secret"}, ""},
	} {
		var out []*Exchange
		s := collect(&out)
		s.options.Statement = c.statement
		var sent, got uint64
		from(s, 1, 1, 0, &sent, array(c.words...))
		answers(s, 1, &got, "+OK\r\n")
		if len(out) != 1 || attributeOf(out[0], "db.query.text") != c.want {
			t.Errorf("%q: %q", c.words, tellAll(out))
		}
	}
}

// TestRedisDetect has what begins a turn, or looks as if it did.
func TestRedisDetect(t *testing.T) {
	get := array("GET", "key")
	for _, c := range []struct {
		data string
		size int // 0: that of data
		want bool
	}{
		{get, 0, true},
		{array("PING"), 0, true},
		{array("FT.SEARCH", "index", "*"), 0, true},
		{array("GET", ""), 0, true},
		{get + get + get[:7], 0, true},
		{"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000000\r\nabc", 0, true},
		{get[:len(get)-3], 0, true},
		{"*2\r\n$3\r\nGET", 0, false}, // its name is not there
		{"*2\r\n", 0, false},
		{"*", 0, false},
		{"*0\r\n", 0, false},
		{"*-1\r\n", 0, false},
		{"*2\n$3\nGET\n$3\nkey\n", 0, false},
		{"*2\r\n$4\r\nGET\r\n$3\r\nkey\r\n", 0, false},
		{"*2\r\n$3\r\nG T\r\n$3\r\nkey\r\n", 0, false},
		{"*2\r\n$3\r\n123\r\n$3\r\nkey\r\n", 0, false},
		{get + "rubbish", 0, false},
		{"*1\r\n:4\r\n", 0, false},
		{"*99999999\r\n$3\r\nGET\r\n", 0, false},
		{"PING\r\n", 0, false},
		{"SET a b\r\n", 0, false},
		{"+OK\r\n", 0, false},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, false},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, false},
		{"", 0, false},
	} {
		size := c.size
		if size == 0 {
			size = len(c.data)
		}
		if detectRedis(toServer, []byte(c.data), uint64(size)) != c.want {
			t.Errorf("%q: %t", c.data, !c.want)
		}
	}
}

// TestRESP measures tokens, and finds where answers end.
func TestRESP(t *testing.T) {
	for _, answer := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", ":-1\r\n", "$0\r\n\r\n", "$-1\r\n", "$3\r\n\r\nx\r\n", "*-1\r\n", "*0\r\n", "%0\r\n",
		"*2\r\n*1\r\n:1\r\n*0\r\n", "_\r\n", "#t\r\n", ",inf\r\n", "(12345\r\n", "!5\r\nERR x\r\n", "=5\r\ntxt:x\r\n",
		"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n", "~1\r\n:1\r\n", ">2\r\n+a\r\n:1\r\n",
		"|1\r\n+a\r\n%1\r\n+b\r\n:1\r\n+OK\r\n", "*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", "|0\r\n:1\r\n",
		"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", "*?\r\n:1\r\n*1\r\n:2\r\n.\r\n", "%?\r\n+a\r\n*?\r\n.\r\n.\r\n", "*2\r\n$?\r\n;0\r\n:1\r\n",
	} {
		var nest respNest
		data := []byte(answer)
		for len(data) > 0 {
			size := respToken(data)
			if size <= 0 || size > int64(len(data)) {
				t.Errorf("%q: %d at %q", answer, size, data)
				break
			}
			for cut := 1; cut < int(size); cut++ {
				if n := respToken(data[:cut]); n < 0 || n > 0 && n != size {
					t.Errorf("%q: %d, not %d at %q", answer, n, size, data[:cut])
				}
			}
			whole, ok := nest.add(data[:size])
			data = data[size:]
			if !ok || whole != (len(data) == 0) || nest.attributes < 0 {
				t.Errorf("%q: %t %t before %q", answer, whole, ok, data)
			}
		}
	}
	for _, none := range []string{
		"OK\r\n", "\r\n", ":x\r\n", "$\r\n", "$x\r\n", "$1\r\nxyz", "*1x\r\n", "*99999999999999999999\r\n", "*1\n", "#x\r\n", "_x\r\n",
		"+O\nK\r\n", "$1234567890123456789012", "\x00", "=1\r\nxyz",
	} {
		if n := respToken([]byte(none)); n >= 0 {
			t.Errorf("%q: %d", none, n)
		}
	}
	var nest respNest
	for range maxRESPNest {
		if _, ok := nest.add([]byte("*2\r\n")); !ok {
			t.Fatal("refused")
		}
	}
	if _, ok := nest.add([]byte("*2\r\n")); ok {
		t.Error("there is no end to it")
	}
	for _, stray := range []string{".\r\n", ";1\r\nx\r\n"} {
		if _, ok := new(respNest).add([]byte(stray)); ok {
			t.Errorf("%q", stray)
		}
	}
}

// wanted writes lines out as tell does.
func wanted(system, lines string) (out []string) {
	brackets := strings.NewReplacer("{", `db.system.name="`+system+`" db.operation.name="`, "}", `"`, "[", ` db.query.text="`, "]", `"`)
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, brackets.Replace(system+": "+line))
		}
	}
	return out
}

var redisTalks = map[string]string{
	"cli": `
SET {SET}[SET ? ?]
GET {GET}[GET ?]
GET {GET}[GET ?]
INCR FAILED "ERR value is not an integer or out of range" {INCR}[INCR ?] db.response.status_code="ERR" error.type="ERR"
LPUSH FAILED "WRONGTYPE Operation against a key holding the wrong kind of value" {LPUSH}[LPUSH ? ?] db.response.status_code="WRONGTYPE" error.type="WRONGTYPE"
LPUSH {LPUSH}[LPUSH ? ? ? ? ? ? ? ? ...]
LRANGE {LRANGE}[LRANGE ? ? ?]
SELECT {SELECT}[SELECT ?]
GET {GET}[GET ?] db.namespace="3"
SELECT FAILED "ERR DB index is out of range" {SELECT}[SELECT ?] db.namespace="3" db.response.status_code="ERR" error.type="ERR"
GET {GET}[GET ?] db.namespace="3"
CLIENT SETNAME {CLIENT SETNAME}[CLIENT SETNAME ?] db.namespace="3"
FOOBAR FAILED "ERR unknown command ?" {FOOBAR}[FOOBAR ?] db.namespace="3" db.response.status_code="ERR" error.type="ERR"
AUTH {AUTH}[AUTH ? ?] db.namespace="3"
CONFIG SET {CONFIG SET}[CONFIG SET ? ?] db.namespace="3"
AUTH {AUTH}[AUTH ?] db.namespace="3"
CONFIG SET {CONFIG SET}[CONFIG SET ? ?] db.namespace="3"
ACL SETUSER {ACL SETUSER}[ACL SETUSER ? ? ? ? ?] db.namespace="3"
ACL DELUSER {ACL DELUSER}[ACL DELUSER ?] db.namespace="3"
EVAL {EVAL}[EVAL ? ? ?] db.namespace="3"
EVALSHA ffffffffffffffffffffffffffffffffffffffff FAILED "NOSCRIPT" {EVALSHA}[EVALSHA ? ?] db.namespace="3" db.response.status_code="NOSCRIPT" error.type="NOSCRIPT"
EVAL FAILED "MYCODE" {EVAL}[EVAL ? ?] db.namespace="3" db.response.status_code="MYCODE" error.type="MYCODE"
MULTI {MULTI}[MULTI] db.namespace="3"
SET {SET}[SET ? ?] db.namespace="3"
LPUSH {LPUSH}[LPUSH ? ?] db.namespace="3"
EXEC FAILED "WRONGTYPE" {EXEC}[EXEC] db.namespace="3" db.response.status_code="WRONGTYPE" error.type="WRONGTYPE"
MULTI {MULTI}[MULTI] db.namespace="3"
NOSUCH FAILED "ERR unknown command ?, with args beginning with:" {NOSUCH}[NOSUCH] db.namespace="3" db.response.status_code="ERR" error.type="ERR"
EXEC FAILED "EXECABORT Transaction discarded because of previous errors." {EXEC}[EXEC] db.namespace="3" db.response.status_code="EXECABORT" error.type="EXECABORT"
DISCARD FAILED "ERR DISCARD without MULTI" {DISCARD}[DISCARD] db.namespace="3" db.response.status_code="ERR" error.type="ERR"
OBJECT ENCODING {OBJECT ENCODING}[OBJECT ENCODING ?] db.namespace="3"
XGROUP CREATE {XGROUP CREATE}[XGROUP CREATE ? ? ? ?] db.namespace="3"
XADD {XADD}[XADD ? ? ? ?] db.namespace="3"
BLPOP {BLPOP}[BLPOP ? ?] db.namespace="3"
XREAD {XREAD}[XREAD ? ? ? ? ?] db.namespace="3"
RESET {RESET}[RESET] db.namespace="3"
GET {GET}[GET ?] db.namespace="0"`,
	"cli3": `
HSET {HSET}[HSET ? ? ? ? ?]
HGETALL {HGETALL}[HGETALL ?]
SADD {SADD}[SADD ? ?]
SMEMBERS {SMEMBERS}[SMEMBERS ?]
ZADD {ZADD}[ZADD ? ? ?]
ZSCORE {ZSCORE}[ZSCORE ? ?]
GET {GET}[GET ?]
GET FAILED "WRONGTYPE Operation against a key holding the wrong kind of value" {GET}[GET ?] db.response.status_code="WRONGTYPE" error.type="WRONGTYPE"
CLIENT TRACKING {CLIENT TRACKING}[CLIENT TRACKING ?]
GET {GET}[GET ?]
SET {SET}[SET ? ?]`,
	"sub": `
SUBSCRIBE {SUBSCRIBE}[SUBSCRIBE ? ?]
PSUBSCRIBE {PSUBSCRIBE}[PSUBSCRIBE ?]
PING {PING}[PING ?]
UNSUBSCRIBE {UNSUBSCRIBE}[UNSUBSCRIBE ?]
UNSUBSCRIBE {UNSUBSCRIBE}[UNSUBSCRIBE]
PUNSUBSCRIBE {PUNSUBSCRIBE}[PUNSUBSCRIBE]`,
	"go": `
HELLO {HELLO}[HELLO ? ? ?]
SELECT {SELECT}[SELECT ?]
CLIENT SETNAME {CLIENT SETNAME}[CLIENT SETNAME ?] db.namespace="4"
CLIENT MAINT_NOTIFICATIONS FAILED "ERR unknown subcommand ?. Try CLIENT HELP." {CLIENT MAINT_NOTIFICATIONS}[CLIENT MAINT_NOTIFICATIONS ? ? ?] db.namespace="4" db.response.status_code="ERR" error.type="ERR"
PIPELINE CLIENT SETINFO FAILED "2 of 2 commands failed, the first: ERR unknown subcommand ?. Try CLIENT HELP." {PIPELINE CLIENT SETINFO}[CLIENT SETINFO ? ?] db.operation.batch.size="2" db.namespace="4" db.response.status_code="ERR" error.type="ERR"
SET {SET}[SET ? ? ? ?] db.namespace="4"
GET {GET}[GET ?] db.namespace="4"
PUBLISH {PUBLISH}[PUBLISH ? ?] db.namespace="4"
BLPOP {BLPOP}[BLPOP ? ?] db.namespace="4"`,
	"broken": `
PING {PING}[PING]`,
	"monitor": `
MONITOR {MONITOR}[MONITOR]`,
	"bench": `
PIPELINE SET {PIPELINE SET}[SET ? ?] db.operation.batch.size="16"
PIPELINE SET {PIPELINE SET}[SET ? ?] db.operation.batch.size="16"`,
	"py": `
CLIENT SETNAME {CLIENT SETNAME}[CLIENT SETNAME ?]
SELECT {SELECT}[SELECT ?]
SET {SET}[SET ? ?] db.namespace="2"
PIPELINE GET {PIPELINE GET}[GET ?] db.operation.batch.size="3" db.namespace="2"
PIPELINE FAILED "2 of 4 commands failed, the first: ERR value is not an integer or out of range" {PIPELINE}[SET ? ?; INCRBY ? ?; LPUSH ? ?; GET ?] db.operation.batch.size="4" db.namespace="2" db.response.status_code="ERR" error.type="ERR"
MULTI FAILED "1 of 5 commands failed, the first: ERR value is not an integer or out of range" {MULTI}[MULTI; SET ? ?; INCRBY ? ?; GET ?; EXEC] db.operation.batch.size="5" db.namespace="2" db.response.status_code="ERR" error.type="ERR"
MULTI SET {MULTI SET}[MULTI; SET ? ?; SET ? ?; EXEC] db.operation.batch.size="4" db.namespace="2"
WATCH {WATCH}[WATCH ?] db.namespace="2"
MULTI SET {MULTI SET}[MULTI; SET ? ?; EXEC] db.operation.batch.size="3" db.namespace="2"
EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da {EVALSHA}[EVALSHA ? ? ?] db.namespace="2"
SET {SET}[SET ? ?] db.namespace="2"
GET {GET}[GET ?] db.namespace="2"
PIPELINE SET {PIPELINE SET}[SET ? ?] db.operation.batch.size="20" db.namespace="2"`,
	"node2": `
HELLO {HELLO}[HELLO ?]
PIPELINE CLIENT SETINFO FAILED "2 of 2 commands failed, the first: ERR unknown subcommand ?. Try CLIENT HELP." {PIPELINE CLIENT SETINFO}[CLIENT SETINFO ? ?] db.operation.batch.size="2" db.response.status_code="ERR" error.type="ERR"
PIPELINE {PIPELINE}[GET ?; GET ?; HSET ? ? ?] db.operation.batch.size="3"
BLPOP {BLPOP}[BLPOP ? ?]
QUIT {QUIT}[QUIT]`,
	"go3": `
HELLO {HELLO}[HELLO ? ? ?]
SELECT {SELECT}[SELECT ?]
CLIENT SETNAME {CLIENT SETNAME}[CLIENT SETNAME ?] db.namespace="4"
PIPELINE CLIENT SETINFO FAILED "2 of 2 commands failed, the first: ERR unknown subcommand ?. Try CLIENT HELP." {PIPELINE CLIENT SETINFO}[CLIENT SETINFO ? ?] db.operation.batch.size="2" db.namespace="4" db.response.status_code="ERR" error.type="ERR"
SUBSCRIBE {SUBSCRIBE}[SUBSCRIBE ?] db.namespace="4"`,
	"mass": `
PIPELINE FAILED "1 of 3 commands failed, the first: ERR value is not an integer or out of range" {PIPELINE}[SET ? ?; INCR ?; GET ?] db.operation.batch.size="3" db.response.status_code="ERR" error.type="ERR"
ECHO {ECHO}[ECHO ?]`,
	"node": `
HELLO {HELLO}[HELLO ?]
SELECT {SELECT}[SELECT ?]
PIPELINE CLIENT SETINFO FAILED "2 of 2 commands failed, the first: ERR unknown subcommand ?. Try CLIENT HELP." {PIPELINE CLIENT SETINFO}[CLIENT SETINFO ? ?] db.operation.batch.size="2" db.namespace="1" db.response.status_code="ERR" error.type="ERR"
SET {SET}[SET ? ?] db.namespace="1"
PIPELINE {PIPELINE}[GET ?; GET ?; INCR ?] db.operation.batch.size="3" db.namespace="1"
PIPELINE {PIPELINE}[SET ? ?; GET ?] db.operation.batch.size="2" db.namespace="1"
MULTI FAILED "1 of 4 commands failed, the first: WRONGTYPE Operation against a key holding the wrong kind of value" {MULTI}[MULTI; SET ? ?; LPUSH ? ?; EXEC] db.operation.batch.size="4" db.namespace="1" db.response.status_code="WRONGTYPE" error.type="WRONGTYPE"
QUIT {QUIT}[QUIT] db.namespace="1"`,
	"node3": `
HELLO {HELLO}[HELLO ?]
PIPELINE CLIENT SETINFO FAILED "2 of 2 commands failed, the first: ERR unknown subcommand ?. Try CLIENT HELP." {PIPELINE CLIENT SETINFO}[CLIENT SETINFO ? ?] db.operation.batch.size="2" db.response.status_code="ERR" error.type="ERR"
SUBSCRIBE {SUBSCRIBE}[SUBSCRIBE ? ?]
UNSUBSCRIBE {UNSUBSCRIBE}[UNSUBSCRIBE ?]
QUIT {QUIT}[QUIT]`,
	"go2": `
HELLO {HELLO}[HELLO ? ? ?]
SELECT {SELECT}[SELECT ?]
CLIENT SETNAME {CLIENT SETNAME}[CLIENT SETNAME ?] db.namespace="4"
PIPELINE CLIENT SETINFO FAILED "2 of 2 commands failed, the first: ERR unknown subcommand ?. Try CLIENT HELP." {PIPELINE CLIENT SETINFO}[CLIENT SETINFO ? ?] db.operation.batch.size="2" db.namespace="4" db.response.status_code="ERR" error.type="ERR"
PIPELINE FAILED "1 of 3 commands failed, the first: ERR value is not an integer or out of range" {PIPELINE}[SET ? ?; INCR ?; GET ?] db.operation.batch.size="3" db.namespace="4" db.response.status_code="ERR" error.type="ERR"
MULTI {MULTI}[MULTI; INCR ?; EXPIRE ? ?; EXEC] db.operation.batch.size="4" db.namespace="4"`,
	"types": `
HELLO {HELLO}[HELLO ? ? ? ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
DEBUG PROTOCOL {DEBUG PROTOCOL}[DEBUG PROTOCOL ?]
EVAL {EVAL}[EVAL ? ?]
PIPELINE {PIPELINE}[DEBUG PROTOCOL ?; DEBUG PROTOCOL ?; DEBUG PROTOCOL ?; GET ?] db.operation.batch.size="4"`,
	"state": `
CLIENT REPLY {CLIENT REPLY}[CLIENT REPLY ?]
SET {SET}[SET ? ?]
GET {GET}[GET ?]
CLIENT REPLY {CLIENT REPLY}[CLIENT REPLY ?]
SET {SET}[SET ? ?]
SET {SET}[SET ? ?]
CLIENT REPLY {CLIENT REPLY}[CLIENT REPLY ?]
GET {GET}[GET ?]
SELECT {SELECT}[SELECT ?]
GET {GET}[GET ?] db.namespace="7"
SELECT FAILED "ERR DB index is out of range" {SELECT}[SELECT ?] db.namespace="7" db.response.status_code="ERR" error.type="ERR"
GET {GET}[GET ?] db.namespace="7"
MULTI {MULTI}[MULTI] db.namespace="7"
SELECT {SELECT}[SELECT ?] db.namespace="7"
EXEC {EXEC}[EXEC]
GET {GET}[GET ?]
RESET {RESET}[RESET]
GET {GET}[GET ?] db.namespace="0"
EVAL FAILED "_OTHER" {EVAL}[EVAL ? ?] db.namespace="0" error.type="_OTHER"
EVAL FAILED "MYCODE" {EVAL}[EVAL ? ?] db.namespace="0" db.response.status_code="MYCODE" error.type="MYCODE"
MULTI {MULTI}[MULTI] db.namespace="0"
EVAL {EVAL}[EVAL ? ?] db.namespace="0"
LPUSH {LPUSH}[LPUSH ? ?] db.namespace="0"
EXEC FAILED "ERR" {EXEC}[EXEC] db.namespace="0" db.response.status_code="ERR" error.type="ERR"
FUNCTION LOAD {FUNCTION LOAD}[FUNCTION LOAD ?] db.namespace="0"
FCALL twice {FCALL}[FCALL ? ? ?] db.namespace="0"
FUNCTION FLUSH {FUNCTION FLUSH}[FUNCTION FLUSH] db.namespace="0"
BLPOP {BLPOP}[BLPOP ? ?] db.namespace="0"
LRANGE {LRANGE}[LRANGE ? ? ?] db.namespace="0"
SSUBSCRIBE {SSUBSCRIBE}[SSUBSCRIBE ?] db.namespace="0"
SUNSUBSCRIBE {SUNSUBSCRIBE}[SUNSUBSCRIBE] db.namespace="0"
SUBSCRIBE {SUBSCRIBE}[SUBSCRIBE ? ?] db.namespace="0"
PIPELINE FAILED "1 of 2 commands failed, the first: ERR Can't execute ?: only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context" {PIPELINE}[PING; GET ?] db.operation.batch.size="2" db.namespace="0" db.response.status_code="ERR" error.type="ERR"
UNSUBSCRIBE {UNSUBSCRIBE}[UNSUBSCRIBE] db.namespace="0"
PING {PING}[PING] db.namespace="0"
GET {GET}[GET ?] db.namespace="0"
SET {SET}[SET ? ?] db.namespace="0"
GET {GET}[GET ?] db.namespace="0"
RPUSH {RPUSH}[RPUSH ? ? ? ?] db.namespace="0"
LRANGE {LRANGE}[LRANGE ? ? ?] db.namespace="0"`,
	"replica": `
REPLCONF {REPLCONF}[REPLCONF ? ?]
PSYNC {PSYNC}[PSYNC ? ?]`,
}
