package protocol

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

// pm is a message of PostgreSQL.
func pm(letter byte, body ...string) string {
	text := strings.Join(body, "")
	return string(binary.BigEndian.AppendUint32([]byte{letter}, uint32(len(text)+4))) + text
}

// pfirst is a message without a letter.
func pfirst(code uint32, body string) string {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	return string(binary.BigEndian.AppendUint32(head, code)) + body
}

// said makes a talk: each side's segments, > before a client's and < before a
// server's; ? is one that went by unseen.
func said(segments ...string) (k talk) {
	var lost [2]int
	for _, s := range segments {
		unseen := s[0] == '?'
		if unseen {
			s = s[1:]
		}
		p := piece{d: toServer, bytes: []byte(s[1:])}
		if s[0] == '<' {
			p.d = toClient
		}
		if unseen {
			lost[p.d] += len(p.bytes)
			continue
		}
		p.after, lost[p.d] = lost[p.d], 0
		k = append(k, p)
	}
	return k
}

// Messages that tests are made of.
var (
	pReady   = pm('Z', "I")
	pSync    = pm('S')
	pStartup = pfirst(3<<16, "user\x00app\x00\x00")
	pWelcome = pm('R', "\x00\x00\x00\x00") + pReady
	pLogin   = []string{">" + pStartup, "<" + pWelcome}
)

func pQuery(text string) string       { return pm('Q', text, "\x00") }
func pParse(name, text string) string { return pm('P', name, "\x00", text, "\x00\x00\x00") }
func pDone(tag string) string         { return pm('C', tag, "\x00") }
func pRow() string                    { return pm('D', "\x00\x01\x00\x00\x00\x011") }
func pRun(name string) string {
	return pm('B', "\x00", name, "\x00\x00\x00\x00\x00\x00\x00") + pm('E', "\x00\x00\x00\x00\x00")
}

func pError(severity, code, message string) string {
	return pm('E', "S", severity, "\x00VERROR\x00C", code, "\x00M", message, "\x00\x00")
}

// postgresShort is a span in few words.
func postgresShort(x *Exchange) string {
	s := strings.TrimSpace(x.Operation + " " + x.Target)
	for _, a := range x.Attributes {
		switch a.Key {
		case "db.query.text", "db.response.returned_rows", "error.type", "db.namespace":
			s += "|" + a.Value.String()
		}
	}
	if x.Failed {
		s += "|" + x.Message
	}
	return s
}

func TestPostgresByHand(t *testing.T) {
	for _, c := range []struct {
		name   string
		talk   []string
		want   string // of the spans, with ;
		counts string
	}{
		{
			"encryption refused twice, then in plain",
			[]string{">" + pfirst(postgresGSS, ""), "<N", ">" + pfirst(postgresTLS, ""), "<N", ">" + pStartup, "<" + pWelcome, ">" + pQuery("select 1"), "<" + pRow() + pDone("SELECT 1") + pReady},
			"SELECT|app|select ?|1", "kept  1",
		},
		{
			"encryption accepted",
			[]string{">" + pfirst(postgresTLS, ""), "<S", ">\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "<\x16\x03\x03", ">" + pQuery("select 1")},
			"", "dropped opaque 1",
		},
		{
			"encryption never heard of",
			[]string{">" + pfirst(postgresTLS, ""), "<" + pError("FATAL", "0A000", "unsupported frontend protocol")},
			"", "",
		},
		{
			"shut down in a query",
			append(pLogin, ">"+pQuery("select 1"), "<"+pm('E', "SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00")),
			"SELECT|app|select ?|57P01|terminating connection due to administrator command", "kept  1",
		},
		{
			"shut down between queries",
			append(pLogin, "<"+pm('E', "SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection\x00\x00")), "", "",
		},
		{
			"a message in a language",
			append(pLogin, ">"+pQuery("select 1"), "<"+pError("FEHLER", "42P01", "Relation »geheim« existiert nicht")+pReady),
			"SELECT|app|select ?|42P01|", "kept  1",
		},
		{
			"nothing in the query",
			append(pLogin, ">"+pQuery(""), "<"+pm('I')+pReady), "postgresql|app", "kept  1",
		},
		{
			"replication: it has no end",
			append(pLogin, ">"+pQuery("START_REPLICATION 0/0"), "<"+pm('W', "\x00\x00\x00"), "<"+pm('d', "w"), ">"+pm('d', "r"), ">"+pm('c'),
				"<"+pm('c')+pDone("START_REPLICATION")+pReady, ">"+pQuery("select 1"), "<"+pDone("SELECT 0")+pReady),
			"postgresql|app|?;SELECT|app|select ?|0", "kept  2",
		},
		{
			"prepared before",
			[]string{">" + pRun("old") + pSync, "<" + pm('2') + pRow() + pDone("SELECT 1") + pReady},
			"EXECUTE|<prepared>|1", "kept prepared_unseen 1",
		},
		{
			"left out after an error, sent before and after it",
			append(pLogin, ">"+pParse("", "insert into a values (1)")+pRun("")+pParse("", "insert into b values (1)")+pRun("")+pm('H'),
				"<"+pm('1')+pm('2')+pError("ERROR", "23505", "duplicate"), ">"+pParse("", "insert into c values (1)")+pRun(""), ">"+pSync, "<"+pReady,
				">"+pParse("", "insert into d values (1)")+pRun("")+pSync, "<"+pm('1')+pm('2')+pDone("INSERT 0 1")+pReady),
			"INSERT a|app|insert into a values (?)|23505|duplicate;INSERT d|app|insert into d values (?)", "kept  2, dropped not_executed 2",
		},
		{
			"the commit fails",
			append(pLogin, ">"+pParse("", "insert into a values (1)")+pRun("")+pSync,
				"<"+pm('1')+pm('2')+pDone("INSERT 0 1"), "<"+pError("ERROR", "23503", "deferred")+pReady),
			"INSERT a|app|insert into a values (?)|23503|deferred", "kept  1",
		},
		{
			"gone before the end of the commit is read",
			append(pLogin, ">"+pParse("", "insert into a values (1)")+pRun("")+pSync, "<"+pm('1')+pm('2')+pDone("INSERT 0 1"), ">"+pm('X')),
			"INSERT a|app|insert into a values (?)", "kept  1",
		},
		{
			"closed by the server", append(pLogin, ">"+pQuery("select 1")),
			"SELECT|app|select ?|connection_closed|connection closed before the answer", "kept  1",
		},
		{
			"an answer that is none",
			append(pLogin, ">"+pQuery("select 1"), "<"+pm('1')+pDone("SELECT 1")+pReady, ">"+pQuery("select 2"), "<"+pDone("SELECT 0")+pReady),
			"SELECT|app|select ?|0", "kept  1, dropped pairing_unsure 1, dropped response_without_request 1",
		},
		{
			"a name that meant two statements, and a gap",
			append(pLogin, ">"+pParse("s", "select a from a")+pRun("s")+pSync, "<"+pm('1')+pm('2')+pDone("SELECT 0")+pReady,
				">"+pm('C', "Ss\x00")+pParse("s", "select b from b")+pRun("s")+pSync, "<"+pm('3')+pm('1')+pm('2')+pDone("SELECT 0")+pReady,
				"?>"+pm('C', "Ss\x00")+pParse("s", "select c from c")+pSync, "?<"+pm('3')+pm('1')+pReady,
				">"+pRun("s")+pSync, "<"+pm('2')+pDone("SELECT 0")+pReady,
				">"+pRun("s")+pSync, "<"+pm('2')+pDone("SELECT 0")+pReady),
			"SELECT a|app|select a from a|0;SELECT b|app|select b from b|0;EXECUTE|app|<prepared>|0",
			"kept  2, dropped pairing_unsure 1, dropped bytes_unseen 2, kept prepared_unseen 1",
		},
		{
			"the statement without a name, and a gap",
			append(pLogin, ">"+pParse("", "select a from a")+pSync, "<"+pm('1')+pReady,
				">"+pParse("n", "select n from n")+pSync, "<"+pm('1')+pReady,
				"?>"+pParse("", "select b from b")+pSync, "?<"+pm('1')+pReady,
				">"+pSync, "<"+pReady, ">"+pRun("")+pSync, "<"+pm('2')+pDone("SELECT 0")+pReady,
				">"+pRun("n")+pSync, "<"+pm('2')+pDone("SELECT 0")+pReady),
			"EXECUTE|app|<prepared>|0;SELECT n|app|select n from n|0", "kept  1, dropped bytes_unseen 2, kept prepared_unseen 1, dropped not_executed 2",
		},
	} {
		out, counts := said(c.talk...).play(RoleClient, whole, 0)
		var got []string
		for _, x := range out {
			got = append(got, postgresShort(x))
		}
		if s := strings.Join(got, ";"); s != c.want || counts != c.counts {
			t.Errorf("%s: got\n%s\nwant\n%s\ncounts %s, want %s", c.name, s, c.want, counts, c.counts)
		}
	}
}

// TestPostgresBounds checks what a connection remembers, and for how many answers
// it waits.
func TestPostgresBounds(t *testing.T) {
	k := pLogin
	for i := range maxStatements + 1 {
		k = append(k, ">"+pParse(fmt.Sprint("s", i), fmt.Sprintf("select a from t%d", i))+pSync, "<"+pm('1')+pReady)
	}
	for _, name := range []string{"s0", "s1"} {
		k = append(k, ">"+pRun(name)+pSync, "<"+pm('2')+pDone("SELECT 0")+pReady)
	}
	out, _ := said(k...).play(RoleClient, whole, 0)
	if len(out) != 2 || postgresShort(out[0]) != "EXECUTE|app|<prepared>|0" || postgresShort(out[1]) != "SELECT t1|app|select a from t1|0" {
		t.Errorf("got %q", tellAll(out))
	}

	all := append(pLogin, ">"+strings.Repeat(pRun("s"), maxSteps)+pSync)
	all = append(all, "<"+strings.Repeat(pm('2')+pDone("SELECT 0"), maxSteps)+pReady)
	for range serialEnough + 2 {
		all = append(all, ">"+pQuery("select 1"), "<"+pDone("SELECT 0")+pReady)
	}
	out, counts := said(all...).play(RoleClient, whole, 0)
	if len(out) == 0 || len(out) > 2 || postgresShort(out[0]) != "SELECT|app|select ?|0" || !strings.Contains(counts, "pipeline_too_deep") {
		t.Errorf("got %q, counts %s", tellAll(out), counts)
	}
}

// TestPostgresStatement checks what of the text is recorded.
func TestPostgresStatement(t *testing.T) {
	for _, c := range []struct {
		mode       Statement
		text, want string
	}{
		{StatementSanitized, "select 'x'", "SELECT|app|select ?|0"},
		{StatementRaw, "select 'x'", "SELECT|app|select 'x'|0"},
		{StatementRaw, "alter role a password 'x'", "ALTER ROLE|app|alter role a password ?|0"},
		{StatementOff, "select 'x'", "SELECT|app|0"},
	} {
		var got string
		s := New(Options{
			Statement: c.mode, Sampler: traceparent.Sampler{Bound: traceparent.BoundAll},
			Emit: func(x *Exchange) { got += postgresShort(x) },
		})
		var position [2]uint64
		for i, p := range said(append(pLogin, ">"+pQuery(c.text), "<"+pDone("SELECT 0")+pReady)...) {
			s.Segment(&Segment{
				Connection: 1, Role: RoleClient, ToServer: p.d == toServer, Time: at(i), Position: position[p.d],
				Size: uint64(len(p.bytes)), Head: p.bytes, Trace: Trace{SpanID: [8]byte{1}, Sampled: true},
			})
			position[p.d] += uint64(len(p.bytes))
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}
