package servers

import (
	"slices"
	"testing"
)

func TestRedisRecord(t *testing.T) {
	for line, want := range map[string]Statement{
		"+1700000000.123456 [0 127.0.0.1:46698] \"set\" \"key\" \"a] \\\"b\"\r\n": {Client: "127.0.0.1:46698", Text: "SET"},
		"+1700000000.123456 [3 unix:/tmp/s] \"PING\"\r\n":                         {Client: "unix:/tmp/s", Text: "PING"},
		"+1700000000.123456 [0 lua] \"incr\" \"n\"\r\n":                           {},
		"+OK\r\n": {},
		"":        {},
	} {
		if got, ok := executedByRedis(line); got != want || ok != (want != Statement{}) {
			t.Errorf("%q: got %v, %v, want %v", line, got, ok, want)
		}
	}
}

func TestMemcachedRecord(t *testing.T) {
	const text = `slab class  39: chunk size    524288 perslab       2
<23 server listening (auto-negotiate)
<24 new auto-negotiating client connection
24: Client using the ascii protocol
<24 set a 0 0 6
>24 STORED
<25 new auto-negotiating client connection
<25 get mark-1
>25 END
<24 incr a 1
<26 get a
>26 sending key a
>24 CLIENT_ERROR cannot increment or decrement non-numeric value
>26 END
<24 connection closed.
`
	want := []Statement{{Text: "set"}, {Text: "incr", Error: "CLIENT_ERROR"}, {Text: "get"}}
	if got := memcachedRecord(text); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNATSRecord(t *testing.T) {
	const text = `[9] 2006/01/02 15:04:05.000001 [INF] Server is ready
[9] 2006/01/02 15:04:05.000002 [TRC] 127.0.0.1:1 - cid:4 - <<- [CONNECT {"user":"rig"}]
[9] 2006/01/02 15:04:05.000003 [TRC] 127.0.0.1:1 - cid:4 - "v1:go" - <<- [PUB a.b 5]
[9] 2006/01/02 15:04:05.000004 [TRC] 127.0.0.1:1 - cid:4 - "v1:go" - <<- MSG_PAYLOAD: ["hello"]
[9] 2006/01/02 15:04:05.000005 [TRC] 127.0.0.1:2 - cid:5 - "v1:go" - ->> [MSG a.b 1 5]
[9] 2006/01/02 15:04:05.000006 [TRC] 127.0.0.1:1 - cid:4 - "v1:go" - <<- [HPUB a.b _INBOX.x 12 17]
[9] 2006/01/02 15:04:05.000007 [TRC] 127.0.0.1:2 - cid:5 - "v1:go" - ->> [HMSG a.b 1 _INBOX.x 12 17]
[9] 2006/01/02 15:04:05.000008 [TRC] 127.0.0.1:3 - cid:6 - <<- [PUB mark-1 0]
[9] 2006/01/02 15:04:05.000009 [TRC] 127.0.0.1:1 - cid:4 - "v1:go" - <<- [PUB forbidden.x 1]
[9] 2006/01/02 15:04:05.000010 [TRC] 127.0.0.1:1 - cid:4 - "v1:go" - ->> [-ERR Permissions Violation for Publish to "forbidden.x"]
`
	want := []Statement{
		{Client: "4", Text: "PUB a.b 5"}, {Client: "5", Text: "MSG a.b 5"},
		{Client: "4", Text: "PUB a.b 5"}, {Client: "5", Text: "MSG a.b 5"},
		{Client: "4", Text: "PUB forbidden.x 1", Error: "Permissions"},
	}
	if got := natsRecord(text); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
