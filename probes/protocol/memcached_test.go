package protocol

import (
	"strings"
	"testing"
)

// TestMemcached compares recorded conversations with the spans that they are, as
// TestRedis does.
func TestMemcached(t *testing.T) {
	for name, want := range memcachedTalks {
		t.Run(name, func(t *testing.T) { checkTalk(t, "memcached-"+name+".talk", wanted("memcached", want)...) })
	}
}

// TestMemcachedBinary has no spans, and says so.
func TestMemcachedBinary(t *testing.T) {
	got, counts := readTalk(t, "memcached-binary.talk").play(RoleClient, whole, 0)
	if len(got) != 0 || counts != "dropped opaque 1" {
		t.Errorf("%q, %s", tellAll(got), counts)
	}
}

// TestMemcachedQuiet has a quiet command that takes the answer of the next for its
// own: both are over when the client goes on, not before and not never.
func TestMemcachedQuiet(t *testing.T) {
	var out []*Exchange
	s := collect(&out)
	var sent, got uint64
	from(s, 1, 1, 0, &sent, "mg none v q\r\nmg key v\r\n")
	answers(s, 1, &got, "VA 1\r\n1\r\n")
	if len(out) != 0 {
		t.Fatal("over too soon")
	}
	from(s, 1, 2, 5, &sent, "mn\r\n")
	answers(s, 6, &got, "MN\r\n")
	if len(out) != 2 || out[0].Operation != "BATCH mg" || out[0].End != at(1) || out[1].Operation != "mn" {
		t.Errorf("%q, %s", tellAll(out), count(s))
	}
}

// TestMemcachedKeys has a line of many keys, that nothing has room for.
func TestMemcachedKeys(t *testing.T) {
	k := talk{
		{d: toServer, bytes: []byte("get " + strings.Repeat("some_key_that_is_long ", 2000) + "\r\n")}, {d: toClient, bytes: []byte("END\r\n")},
		{d: toServer, bytes: []byte("get a\r\n")}, {d: toClient, bytes: []byte("END\r\n")},
	}
	want := wanted("memcached", `get {get}[get ? ? ? ? ? ? ? ? ...] db.response.returned_rows="0"
		get {get}[get ?] db.response.returned_rows="0"`)
	k.checkCuts(t, "keys", want)
}

// TestMemcachedDetect has what begins a turn, or looks as if it did.
func TestMemcachedDetect(t *testing.T) {
	for data, want := range map[string]bool{
		"get key\r\n":                              true,
		"gets a b c\r\nget d\r\n":                  true,
		"gat 10 a\r\n":                             true,
		"set a 0 0 3\r\nabc\r\n":                   true,
		"set a 0 0 3 noreply\r\nabc\r\nget a":      true,
		"set a 0 0 9999999\r\nabc":                 true,
		"cas a 0 0 1 77\r\nx\r\n":                  true,
		"mg a v q\r\nmn\r\n":                       true,
		"ms a 1 T0\r\nx\r\n":                       true,
		"version\r\n":                              true,
		"\x80\x0a" + strings.Repeat("\x00", 22):    true,
		"get\r\n":                                  false,
		"get key\n":                                false,
		"get key":                                  false,
		"GET / HTTP/1.1\r\n\r\n":                   false,
		"get /index.html HTTP/1.0\r\n\r\n":         false,
		"set a 0 0 3\r\nabcdef\r\n":                false,
		"set a b c\r\n":                            false,
		"set a x 0 3\r\nabc\r\n":                   false,
		"delete 17\r\n":                            false,
		"touch 17\r\n":                             false,
		"quit\r\n":                                 false,
		"PING\r\n":                                 false,
		"hello\r\n":                                false,
		"get \x00\r\n":                             false,
		"get " + strings.Repeat("k", 251) + "\r\n": false,
		"\x80":                                  false,
		"\x80\x00" + strings.Repeat("\x00", 22): false,
		"\x80\x0a\x00\x01" + strings.Repeat("\x01", 40): false,
		"": false,
	} {
		if detectMemcached(toServer, []byte(data), uint64(len(data))) != want {
			t.Errorf("%q: %t", data, !want)
		}
	}
}

var memcachedTalks = map[string]string{
	"go": `
set {set}[set ? ? ? ?]
gets {gets}[gets ?] db.response.returned_rows="1"
gets {gets}[gets ?] db.response.returned_rows="0"
gets {gets}[gets ? ? ?] db.response.returned_rows="1"
cas {cas}[cas ? ? ? ? ?]
cas {cas}[cas ? ? ? ? ?]
incr {incr}[incr ? ?]
decr {decr}[decr ? ?]
touch {touch}[touch ? ?]
delete {delete}[delete ?]
delete {delete}[delete ?]
add {add}[add ? ? ? ?]
add {add}[add ? ? ? ?]
append {append}[append ? ? ? ?]
version {version}[version]
flush_all {flush_all}[flush_all]`,
	"py": `
set {set}[set ? ? ? ?]
get {get}[get ?] db.response.returned_rows="1"
gets {gets}[gets ?] db.response.returned_rows="1"
get {get}[get ?] db.response.returned_rows="0"
BATCH set {BATCH set}[set ? ? ? ?] db.operation.batch.size="3"
get {get}[get ? ? ?] db.response.returned_rows="2"
set {set}[set ? ? ? ? ?]
set {set}[set ? ? ? ? ?]
set {set}[set ? ? ? ? ?]
delete {delete}[delete ? ?]
get {get}[get ?] db.response.returned_rows="1"
incr FAILED "CLIENT_ERROR cannot increment or decrement non-numeric value" {incr}[incr ? ?] db.response.status_code="CLIENT_ERROR" error.type="CLIENT_ERROR"`,
	"py2": `
touch {touch}[touch ? ?]
version {version}[version]
stats {stats}[stats ?]`,
	"python": `
set {set}[set ? ? ? ?]
get {get}[get ?] db.response.returned_rows="1"
BATCH set {BATCH set}[set ? ? ? ?] db.operation.batch.size="2"
get {get}[get ? ? ?] db.response.returned_rows="2"
incr {incr}[incr ? ?]
delete {delete}[delete ?]
touch {touch}[touch ? ?]`,
	"meta": `
ms {ms}[ms ? ? ?]
mg {mg}[mg ? ? ? ? ? ?] db.response.returned_rows="1"
mg {mg}[mg ? ?] db.response.returned_rows="0"
md {md}[md ?]
ma {ma}[ma ? ? ? ?]
me {me}[me ?]
mn {mn}[mn]
BATCH {BATCH}[mg ? ? ?; mg ? ? ? ?; mg ? ? ?; mn] db.operation.batch.size="4" db.response.returned_rows="1"
BATCH {BATCH}[ms ? ? ?; ms ? ? ?; md ? ?; ms ? ?] db.operation.batch.size="4"
BATCH mg {BATCH mg}[mg ? ? ?; mg ? ?] db.operation.batch.size="2" db.response.returned_rows="2"
BATCH mg {BATCH mg}[mg ? ? ?; mg ? ?] db.operation.batch.size="2" db.response.returned_rows="1"
mg {mg}[mg ? ? ?] db.response.returned_rows="1"
BATCH {BATCH}[mg ? ? ?; mn] db.operation.batch.size="2" db.response.returned_rows="1"
get {get}[get ? ? ?] db.response.returned_rows="3"
gets {gets}[gets ?] db.response.returned_rows="1"
stats {stats}[stats ?]
version {version}[version]
verbosity {verbosity}[verbosity ?]
unknown FAILED "ERROR" {unknown}[unknown ?] db.response.status_code="ERROR" error.type="ERROR"
set FAILED "CLIENT_ERROR bad command line format" {set}[set ? ? ? ?] db.response.status_code="CLIENT_ERROR" error.type="CLIENT_ERROR"
incr FAILED "CLIENT_ERROR invalid numeric delta argument" {incr}[incr ? ?] db.response.status_code="CLIENT_ERROR" error.type="CLIENT_ERROR"
ms FAILED "CLIENT_ERROR bad command line format" {ms}[ms ? ?] db.response.status_code="CLIENT_ERROR" error.type="CLIENT_ERROR"
get FAILED "CLIENT_ERROR bad command line format" {get}[get ?] db.response.status_code="CLIENT_ERROR" error.type="CLIENT_ERROR"
BATCH {BATCH}[set ? ? ? ?; get ?; delete ?; get ?] db.operation.batch.size="4" db.response.returned_rows="1"
cache_memlimit {cache_memlimit}[cache_memlimit ?]
stats {stats}[stats ?]
flush_all {flush_all}[flush_all ?]
get {get}[get ?] db.response.returned_rows="0"
watch {watch}[watch ?]`,
}
