package protocol

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/context/traceparent"
)

// mysqlPacket is a packet, or several when it is longer than one may be.
func mysqlPacket(sequence byte, payload string) string {
	var b strings.Builder
	for {
		n := min(len(payload), mysqlFull)
		b.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence})
		b.WriteString(payload[:n])
		payload = payload[n:]
		sequence++
		if n < mysqlFull {
			return b.String()
		}
	}
}

func ask(packets ...string) piece {
	return piece{d: toServer, bytes: []byte(strings.Join(packets, ""))}
}

func tellClient(packets ...string) piece {
	return piece{d: toClient, bytes: []byte(strings.Join(packets, ""))}
}

const (
	mysqlTestOK     = "\x00\x00\x00\x02\x00\x00\x00"
	mysqlTestColumn = "\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x03\x81\x00\x00\x00\x00"
	mysqlTestEOF    = "\xfe\x00\x00\x02\x00"
	mysqlTestOKEnd  = "\xfe\x00\x00\x02\x00\x00\x00"
)

// mysqlRows is a result of one column.
func mysqlTestRows(classic bool, rows ...string) (out []string) {
	add := func(payload string) { out = append(out, mysqlPacket(byte(len(out)+1), payload)) }
	add("\x01")
	add(mysqlTestColumn)
	if classic {
		add(mysqlTestEOF)
	}
	for _, row := range rows {
		add(row)
	}
	if classic {
		add(mysqlTestEOF)
	} else {
		add(mysqlTestOKEnd)
	}
	return out
}

// mustTell plays a talk as it is, and fails if it does not give these lines.
func mustTell(t *testing.T, k talk, head, tail int, counts string, want ...string) {
	t.Helper()
	got, counted := k.play(RoleClient, head, tail)
	if lines := tellAll(got); !slices.Equal(lines, want) || counted != counts {
		t.Errorf("got\n\t%s\ncounts %q, want\n\t%s\ncounts %q", strings.Join(lines, "\n\t"), counted, strings.Join(want, "\n\t"), counts)
	}
}

// A connection that is older than the agent has the same spans, but for what only
// its begin tells.
func TestMySQLInMidLife(t *testing.T) {
	files, _ := filepath.Glob("testdata/mysql-*.talk")
	if len(files) < 10 {
		t.Fatalf("%d talks", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		k := readTalk(t, name)
		if strings.Contains(name, "tls") || strings.Contains(name, "compress") || strings.Contains(name, "denied") {
			continue
		}
		all, _ := k.play(RoleClient, whole, 0)
		old, counts := k[3:].play(RoleClient, whole, 0)
		if len(old) != len(all) {
			t.Errorf("%s: %d spans without the login, %d with it (%s)", name, len(old), len(all), counts)
		}
		subset(t, name, tellAll(old), tellAll(all))
		if strings.Contains(name, "go.talk") && !strings.Contains(strings.Join(tellAll(old), ""), `db.system.name="mysql"`) {
			t.Errorf("%s: knows the server's name from nowhere", name)
		}
	}
}

func TestMySQLPreparedUnseen(t *testing.T) {
	execute := ask(mysqlPacket(0, "\x17\x07\x00\x00\x00\x00\x01\x00\x00\x00"))
	k := talk{execute, tellClient(mysqlTestRows(true, "\x00\x00\x01", "\x00\x00\x02")...)}
	mustTell(t, k, whole, 0, "kept prepared_unseen 1",
		`mysql: EXECUTE db.system.name="mysql" db.operation.name="EXECUTE" db.query.text="<prepared>" db.response.returned_rows="2"`)
}

// Commands and answers of 16 MiB and more are one each, whatever of them is seen.
func TestMySQLLongPackets(t *testing.T) {
	long := strings.Repeat("x", mysqlFull+1000)
	exact := strings.Repeat("x", mysqlFull-len("\x03insert into t values('')"))
	insert := func(text string) string { return mysqlPacket(0, "\x03insert into t values('"+text+"')") }
	row := mysqlPacket(4, "\xfd"+string([]byte{0xff, 0xff, 0xff})+long) // packets 4 and 5
	k := talk{
		ask(insert(long)), tellClient(mysqlPacket(2, "\x00\x01"+mysqlTestOK[2:])),
		ask(insert(exact)), tellClient(mysqlPacket(2, "\x00\x01"+mysqlTestOK[2:])),
		ask(mysqlPacket(0, "\x03select body from t")),
		tellClient(append(mysqlTestRows(true)[:3], row, mysqlPacket(6, mysqlTestEOF))...),
	}
	want := []string{
		`mysql: INSERT t db.system.name="mysql" db.operation.name="INSERT" db.query.summary="INSERT t" db.query.text="insert into t values(?" clew.db.affected_rows="1"`,
		`mysql: INSERT t db.system.name="mysql" db.operation.name="INSERT" db.query.summary="INSERT t" db.query.text="insert into t values(?" clew.db.affected_rows="1"`,
		`mysql: SELECT t db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT t" db.query.text="select body from t" db.response.returned_rows="1"`,
	}
	mustTell(t, k, whole, 0, "kept  3", want...)
	// The header of a second packet in what was not captured: not followed, but
	// what comes is.
	want[2] = strings.Replace(want[2], ` db.response.returned_rows="1"`, "", 1)
	got, _ := k.play(RoleClient, 4096, 128)
	subset(t, "4 KiB of each", tellAll(got), want)
	if len(got) == 0 {
		t.Error("nothing follows what was not captured")
	}
}

// The end of rows of which most went by unseen is found, and so is an error there.
func TestMySQLResume(t *testing.T) {
	rows := slices.Repeat([]string{"\x05hello"}, 5000)
	query := ask(mysqlPacket(0, "\x03select name from t"))
	const span = `mysql: SELECT t%s db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT t" db.query.text="select name from t"%s`
	for _, classic := range []bool{true, false} {
		k := talk{query, tellClient(mysqlTestRows(classic, rows...)...), query, tellClient(mysqlTestRows(classic, rows[:3]...)...)}
		mustTell(t, k, 4096, 128, "kept  2, dropped bytes_unseen 1", fmt.Sprintf(span, "", ""), fmt.Sprintf(span, "", ` db.response.returned_rows="3"`))
		got, _ := k.play(RoleClient, 4096, 128)
		if end := at(1); !got[0].End.Equal(end) {
			t.Errorf("ended at %v, not %v", got[0].End, end)
		}
	}
	killed := mysqlTestRows(true, rows...)
	killed[len(killed)-1] = mysqlPacket(9, "\xff\x25\x05#70100Query execution was interrupted")
	k := talk{query, tellClient(killed...)}
	mustTell(t, k, 4096, 128, "kept  1, dropped bytes_unseen 1",
		fmt.Sprintf(span, ` FAILED "Query execution was interrupted (SQLSTATE 70100)"`, ` db.response.status_code="1317" error.type="1317"`))
}

func TestMySQLLogins(t *testing.T) {
	greeting := mysqlPacket(0, "\x0a8.0.36\x00\x01\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15"+strings.Repeat("\x00", 10)+"abcdefghijkl\x00caching_sha2_password\x00")
	login := mysqlPacket(1, "\x09\xa2\x2b\x00\x00\x00\x00\x01\xff"+strings.Repeat("\x00", 23)+"app\x00\x04\x01\x02\x03\x04shop\x00caching_sha2_password\x00")
	query := []piece{ask(mysqlPacket(0, "\x03select 1")), tellClient(mysqlTestRows(false, "\x011")...)}
	const span = `mysql: SELECT db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="shop" db.response.returned_rows="1"`
	fast := talk{tellClient(greeting), ask(login), tellClient(mysqlPacket(2, "\x01\x03"), mysqlPacket(3, mysqlTestOK))}
	mustTell(t, append(fast, query...), whole, 0, "kept  1, dropped auxiliary 1", span)
	full := talk{
		tellClient(greeting), ask(login), tellClient(mysqlPacket(2, "\x01\x04")), ask(mysqlPacket(3, "\x02")),
		tellClient(mysqlPacket(4, "\x01-----BEGIN PUBLIC KEY-----")), ask(mysqlPacket(5, "hunter2hunter2")), tellClient(mysqlPacket(6, mysqlTestOK)),
	}
	mustTell(t, append(full, query...), whole, 0, "kept  1, dropped auxiliary 1", span)
	switched := talk{
		tellClient(greeting), ask(login), tellClient(mysqlPacket(2, "\xfemysql_clear_password\x00")), ask(mysqlPacket(3, "hunter2\x00")),
		tellClient(mysqlPacket(4, "\xff\x15\x04#28000Access denied for user 'app'@'10.0.0.1' (using password: YES)")),
	}
	mustTell(t, switched, whole, 0, "kept  1",
		`mysql: CONNECT FAILED "Access denied for user ? (using password: YES) (SQLSTATE 28000)" db.system.name="mysql" db.namespace="shop" db.response.status_code="1045" error.type="1045"`)
	mustTell(t, talk{tellClient(mysqlPacket(0, "\xff\x10\x04Too many connections"))}, whole, 0, "kept  1",
		`mysql: CONNECT FAILED "Too many connections" db.response.status_code="1040" error.type="1040" db.system.name="mysql"`)
}

func TestMySQLContext(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
	value := "\x37" + parent
	query := func(body string) talk {
		return talk{ask(mysqlPacket(0, "\x03"+body)), tellClient(mysqlPacket(1, mysqlTestOK))}
	}
	for name, k := range map[string]talk{
		"comment":    query("select 1 /*traceparent='" + parent + "'*/"),
		"attribute":  query("\x01\x01\x00\x01\xfd\x00\x0btraceparent" + value + "select 1"),
		"attributes": query("\x03\x01\x02\x01\x08\x00\x01n\x06\x00\x01z\xfe\x00\x0btraceparent" + "\x01\x00\x00\x00\x00\x00\x00\x00" + value + "select 1"),
	} {
		got, _ := k.play(RoleClient, whole, 0)
		if len(got) != 1 || got[0].Operation != "SELECT" || got[0].Trace.Evidence != EvidenceHeader || got[0].Trace.ParentID[7] != 0xb7 {
			t.Errorf("%s: %v", name, tellAll(got))
		}
	}
	// Prepared once, in one trace, and run again later, in another.
	k := talk{
		ask(mysqlPacket(0, "\x16select ? /*traceparent='"+parent+"'*/")), tellClient(mysqlPacket(1, "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
		ask(mysqlPacket(0, "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00")), tellClient(mysqlPacket(1, mysqlTestOK)),
		ask(mysqlPacket(0, "\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00")), tellClient(mysqlPacket(1, mysqlTestOK)),
	}
	got, _ := k.play(RoleClient, whole, 0)
	if len(got) != 2 || got[0].Trace.Evidence != EvidenceHeader || got[1].Trace.Evidence != EvidenceThread {
		t.Errorf("prepared: %v", tellAll(got))
	}
}

func TestMySQLStatements(t *testing.T) {
	for _, c := range []struct {
		how        Statement
		text, want string
	}{
		{StatementSanitized, "select 1 from t where a='secret'", "select ? from t where a=?"},
		{StatementOff, "select 1 from t", ""},
		{StatementRaw, "select 1 from t where a='b'", "select 1 from t where a='b'"},
		{StatementRaw, "set password for app = 'hunter2'", "set password for app = ?"},
	} {
		var got string
		s := New(Options{
			Statement: c.how, Sampler: traceparent.Sampler{Kind: traceparent.KindParentBased, Bound: traceparent.BoundAll},
			Emit: func(x *Exchange) {
				for _, a := range x.Attributes {
					if a.Key == "db.query.text" {
						got = a.Value.AsString()
					}
				}
			},
		})
		for i, p := range []piece{ask(mysqlPacket(0, "\x03"+c.text)), tellClient(mysqlPacket(1, mysqlTestOK))} {
			s.Segment(&Segment{Connection: 1, Role: RoleClient, ToServer: i == 0, Time: at(i), Size: uint64(len(p.bytes)), Head: p.bytes})
		}
		s.Handle(&Message{Connection: 1, Part: PartClose, Last: at(3)})
		if got != c.want {
			t.Errorf("%d %q: %q, want %q", c.how, c.text, got, c.want)
		}
	}
}

func TestMySQLCount(t *testing.T) {
	for _, c := range []struct {
		data      string
		columns   int
		described bool
		of        mysqlOf
	}{
		{"\x01", 1, true, mysqlOfAny},
		{"\xfa", 250, true, mysqlOfAny},
		{"\xfc\x00\x01", 256, true, mysqlOfAny},
		{"\x02\x01", 2, true, mysqlOfMariaDB},
		{"\x02\x00", 2, false, mysqlOfMariaDB},
		{"\x01\x00", 1, false, mysqlOfMariaDB},
		{"\x01\x01", 1, true, mysqlOfAny},
		{"\x01\x02", 2, true, mysqlOfAny},  // MySQL's order
		{"\x00\x02", 2, false, mysqlOfAny}, // the same
		{"\xfc\x00\x01\x00", 256, false, mysqlOfMariaDB},
		{"\x01\xfc\x00\x01", 256, true, mysqlOfAny},
		{"\x02\x02", 0, false, mysqlOfAny},
		{"\x02\x01\x01", 0, false, mysqlOfAny},
		{"\x00", 0, true, mysqlOfAny},
		{"\xfc\x01", 0, false, mysqlOfAny},
		{"", 0, false, mysqlOfAny},
	} {
		if columns, described, of := mysqlCount([]byte(c.data)); columns != c.columns || described != c.described || of != c.of {
			t.Errorf("%q: %d %v %d", c.data, columns, described, of)
		}
	}
}

func TestMySQLUse(t *testing.T) {
	for text, want := range map[string]string{
		"use shop": "shop", " USE `shop` ;": "shop", "use\tshop;\n": "shop", "use`shop`": "shop",
		"useful": "", "use": "", "use shop; select 1": "", "use /* x */ shop": "", "user": "",
	} {
		if got, ok := mysqlUse([]byte(text)); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
}

func TestDetectMySQL(t *testing.T) {
	execute := mysqlPacket(0, "\x17\x07\x00\x00\x00\x00\x01\x00\x00\x00")
	for _, c := range []struct {
		d    direction
		data string
		more int // bytes of the segment behind data
		want bool
	}{
		{toServer, mysqlPacket(0, "\x03select 1"), 0, true},
		{toServer, mysqlPacket(0, "\x03 /* x */ select 1"), 0, true},
		{toServer, mysqlPacket(0, "\x03\x00\x01select 1"), 0, true},
		{toServer, mysqlPacket(0, "\x16(SELECT 1)"), 0, true},
		{toServer, mysqlPacket(0, "\x19\x07\x00\x00\x00") + execute, 0, true},
		{toServer, mysqlPacket(0, "\x0e"), 0, true},
		{toServer, mysqlPacket(0, "\x02shop"), 0, true},
		{toServer, mysqlPacket(0, "\x03insert into t values('"+strings.Repeat("x", 9000))[:4096], 9000 + 28 - 4096, true},
		{toServer, mysqlPacket(0, "\x03selection"), 0, false},
		{toServer, mysqlPacket(0, "\x03select 1") + "x", 0, false},
		{toServer, mysqlPacket(0, "\x03select 1") + mysqlPacket(0, "\x03hello"), 0, false},
		{toServer, mysqlPacket(0, "\x03select 1")[:10], 0, false},
		{toServer, mysqlPacket(1, "\x03select 1"), 0, false},
		{toServer, mysqlPacket(0, "\x17\x07\x00\x00\x00\x00\x02\x00\x00\x00"), 0, false},
		{toServer, mysqlPacket(0, "\x01"), 0, false},
		{toServer, mysqlPacket(0, "\x02\xff\xfe"), 0, false},
		{toServer, "select 1 from orders", 0, false},
		{toServer, "POST /q HTTP/1.1\r\n\r\nselect 1", 0, false},
		{toServer, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 0, false},
		{toServer, "", 0, false},
		{toClient, mysqlPacket(0, "\x03select 1"), 0, false},
		{toClient, mysqlPacket(1, mysqlTestOK), 0, false},
		{toClient, mysqlPacket(0, "\xff\x10\x04Too many connections"), 0, true},
		{toClient, mysqlPacket(0, "\xff\x10\x04\x80\x81\x82\x83\x84\x85"), 0, false},
	} {
		if got := detectMySQL(c.d, []byte(c.data), uint64(len(c.data)+c.more)); got != c.want {
			t.Errorf("%d %.40q: %v", c.d, c.data, got)
		}
	}
}
