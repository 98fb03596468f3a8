package sql

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt, for a person to read")

// corpora are files of statements with what is to be said of them. Every value
// in them is made of the letters z and q and the digit 7, besides others; no
// name and no keyword holds these, so that none may show in the output. Blocks
// are a line of input, and two lines "=> text" and
// "=> operation | collection | summary".
var corpora = map[string]Dialect{
	"testdata/postgresql.txt": PostgreSQL,
	"testdata/mysql.txt":      MySQL,
}

type example struct{ input, want string }

func describe(s Statement) string {
	return fmt.Sprintf("  => %s\n  => %s | %s | %s\n", s.Text, s.Operation, s.Collection, s.Summary)
}

func examples(t testing.TB, path string) (all []example) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		switch {
		case strings.HasPrefix(line, "# "):
		case strings.HasPrefix(line, "  => ") && len(all) > 0:
			all[len(all)-1].want += line
		default:
			all = append(all, example{input: strings.TrimSuffix(line, "\n")})
		}
	}
	if len(all) < 50 {
		t.Fatalf("%s has %d examples only", path, len(all))
	}
	return all
}

func TestCorpus(t *testing.T) {
	for path, d := range corpora {
		if *update {
			rewrite(t, path, d)
		}
		for _, e := range examples(t, path) {
			if got := describe(Describe([]byte(e.input), d)); got != e.want {
				t.Errorf("%s\n%s\nis described as\n%swant\n%s", path, e.input, got, e.want)
			}
		}
	}
}

func rewrite(t *testing.T, path string, d Dialect) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "  => ") {
			continue
		}
		out.WriteString(line)
		if !strings.HasPrefix(line, "# ") {
			out.WriteString(describe(Describe([]byte(strings.TrimSuffix(line, "\n")), d)))
		}
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check fails for what holds of every text.
func check(t testing.TB, input []byte, s Statement) {
	t.Helper()
	all := s.Text + s.Operation + s.Collection + s.Summary + s.Traceparent
	if len(s.Text) > maxText || len(s.Summary) > maxSummary || len(s.Traceparent) > maxTraceparent {
		t.Errorf("%.200q: too long: %q", input, s)
	}
	if !utf8.ValidString(all) || strings.ContainsAny(all, "\x00\n\r\t") {
		t.Errorf("%.200q: not clean: %q", input, s)
	}
	if s.Operation != strings.ToUpper(s.Operation) || s.Operation == "" && s.Summary != "" && !strings.Contains(string(input), ";") {
		t.Errorf("%.200q: operation %q of %q", input, s.Operation, s.Summary)
	}
}

func TestNothingLeaks(t *testing.T) {
	for path, d := range corpora {
		for _, e := range examples(t, path) {
			for cut := range len(e.input) + 1 {
				input := []byte(e.input[:cut])
				s := Describe(input, d)
				check(t, input, s)
				if out := s.Text + s.Collection + s.Summary + s.Operation; leaks(out) {
					t.Errorf("%q: %q tells a value", input, s)
				}
			}
		}
	}
}

// leaks finds what values are made of, $77 aside, which is the name of one.
func leaks(out string) bool {
	return strings.ContainsAny(strings.ReplaceAll(strings.ReplaceAll(out, "$77", ""), "$7", ""), "zq7")
}

func TestBackslash(t *testing.T) {
	for _, c := range []struct {
		input string
		d     Dialect
		want  string
	}{
		{`SELECT 'z\', a`, MySQLNoBackslashEscapes, `SELECT ?, a`},
		{`SELECT 'z\'' q', a`, MySQLNoBackslashEscapes, `SELECT ?, a`},
		{`SELECT 'z\' q', a`, MySQL, `SELECT ?, a`},
		{`SELECT 'z\\', a`, MySQL, `SELECT ?, a`},
		{`SELECT 'z\\', a`, PostgreSQL, `SELECT ?, a`},
		{`SELECT 'z\', 'q'`, PostgreSQL, `SELECT ?`},
		{`SELECT 'z\n', a`, PostgreSQL, `SELECT ?, a`},
		// 0x5c is the second half of a character, or escapes the quote.
		{"SELECT '\xbf\\', ' z '", MySQL, `SELECT ?`},
		{"SELECT '\xbf\\\\', ' z '", MySQL, `SELECT ?`},
		{"SELECT 'ü\\', ' , a", MySQL, `SELECT ?, a`},
		{"SELECT \xbf`z`", MySQL, `SELECT ?`},
		{"SELECT '\xff\xfe', a", PostgreSQL, `SELECT ?, a`},
		{"SELECT \xff z", PostgreSQL, `SELECT ?`},
		{"SELECT \x00 z", PostgreSQL, `SELECT ?`},
	} {
		if got := Describe([]byte(c.input), c.d).Text; got != c.want {
			t.Errorf("%q: %q, want %q", c.input, got, c.want)
		}
	}
}

func TestLayout(t *testing.T) {
	const (
		input = "\n  SELECT\ta ,b\r\n\r\nFROM t -- z\n WHERE( a=7 )\n/* q */AND f( 'z' )  ;  \n"
		want  = "SELECT a, b FROM t WHERE(a=?) AND f(?)"
	)
	if got := Describe([]byte(input), PostgreSQL).Text; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestManyValues(t *testing.T) {
	list := strings.Repeat("'zq', 7, ", 1000) + "7"
	tuples := strings.Repeat("(7, 'zq'), ", 1000) + "(7, 'z')"
	for input, want := range map[string]string{
		"SELECT a FROM t WHERE b IN (" + list + ") LIMIT 7": "SELECT a FROM t WHERE b IN (?) LIMIT ?",
		"SELECT a FROM t WHERE (b, c) IN (" + tuples + ")":  "SELECT a FROM t WHERE (b, c) IN (?)",
		"INSERT INTO t (b, c) VALUES " + tuples + "; BEGIN": "INSERT INTO t (b, c) VALUES (?); BEGIN",
	} {
		s := Describe([]byte(input), PostgreSQL)
		if s.Text != want || s.Collection != "t" {
			t.Errorf("%.50s: %q, table %q, want %q", input, s.Text, s.Collection, want)
		}
	}
}

func TestBounds(t *testing.T) {
	// What is too long is cut between tokens, and the tables after it count.
	input := "SELECT " + strings.Repeat("column_name, ", 1000) + "last FROM orders WHERE a = 'zq'"
	s := Describe([]byte(input), PostgreSQL)
	if len(s.Text) > maxText || len(s.Text) < maxText-20 || !strings.HasSuffix(s.Text, " column_name") {
		t.Errorf("%d bytes of text, which ends in %q", len(s.Text), s.Text[len(s.Text)-20:])
	}
	if s.Collection != "orders" || s.Summary != "SELECT orders" {
		t.Errorf("after a long list: %q, %q", s.Collection, s.Summary)
	}
	// Megabytes cost no more than the first of them.
	s = Describe([]byte("INSERT INTO t VALUES ('"+strings.Repeat("zq ", 1<<20)), PostgreSQL)
	if s.Text != "INSERT INTO t VALUES (?" || s.Summary != "INSERT t" {
		t.Errorf("open literal: %q, %q", s.Text, s.Summary)
	}
	// A summary has whole names only, and all up to the first that has no room.
	var tables []string
	for i := range 100 {
		tables = append(tables, fmt.Sprintf("table_%02d", i))
	}
	s = Describe([]byte("SELECT * FROM "+strings.Join(tables, ", ")), MySQL)
	want := "SELECT " + strings.Join(tables[:27], " ")
	if s.Summary != want || s.Collection != "" {
		t.Errorf("summary %q (%d bytes), want %q", s.Summary, len(s.Summary), want)
	}
	long := strings.Repeat("n", maxName+1)
	if got := Describe([]byte("SELECT a FROM "+long), MySQL); got.Text != "SELECT a FROM ?" || got.Collection != "" {
		t.Errorf("long word: %q", got)
	}
}

func TestTraceparent(t *testing.T) {
	const id = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for input, want := range map[string]string{
		"SELECT 7 /*traceparent='" + id + "'*/":                         id,
		"/*traceparent='" + id + "'*/ SELECT 7":                         id,
		"SELECT 7 /* action='z%27' , traceparent = '" + id + "' */;":    id,
		"SELECT 7 /*traceparent='00%2D4bf9',tracestate='x%3Dy'*/":       "00-4bf9",
		"SELECT 7 /*z*/ /*traceparent='" + id + "'*/":                   id,
		"SELECT 7 /*traceparent='" + id + "'*/ /*traceparent='00-1'*/":  id,
		"SELECT '/*traceparent=''" + id + "''*/'":                       "",
		"SELECT 7 -- traceparent='" + id + "'":                          "",
		"SELECT 7 /*xtraceparent='" + id + "'*/":                        "",
		"SELECT 7 /*traceparent='zq'*/":                                 "",
		"SELECT 7 /*traceparent='00%2'*/":                               "",
		"SELECT 7 /*traceparent='00-1":                                  "",
		"SELECT 7 /*traceparent='00-1'":                                 "",
		"SELECT 7 /*traceparent*/":                                      "",
		"SELECT 7 /*traceparent='" + strings.Repeat("0", 129) + "'*/":   "",
		"SELECT 7 /*a='traceparent',traceparent='" + id + "'*/ FROM t ": id,
	} {
		for _, d := range []Dialect{PostgreSQL, MySQL} {
			if got := Describe([]byte(input), d).Traceparent; got != want {
				t.Errorf("%s: %q, want %q", input, got, want)
			}
		}
	}
}

func TestInputIsNotKept(t *testing.T) {
	input := []byte(`SELECT * FROM orders WHERE id = $1 /*traceparent='00-1'*/`)
	s := Describe(input, PostgreSQL)
	before := describe(s) + s.Traceparent
	for i := range input {
		input[i] = 'z'
	}
	if after := describe(s) + s.Traceparent; after != before || strings.Contains(after, "z") {
		t.Errorf("%q became %q", before, after)
	}
}

const secret = "Zq7Secret"

// FuzzDescribe has a value in every text, made of one half of the input, before
// the other half.
func FuzzDescribe(f *testing.F) {
	for path, d := range corpora {
		for _, e := range examples(f, path) {
			half := len(e.input) / 2
			f.Add([]byte(e.input[:half]), []byte(e.input[half:]), byte(d))
		}
	}
	f.Fuzz(func(t *testing.T, value, rest []byte, dialect byte) {
		d := Dialect(dialect % 3)
		whole := append(append([]byte{}, value...), rest...)
		check(t, whole, Describe(whole, d))
		value = append(append(value[:len(value):len(value)], secret...), value...)
		for _, literal := range quotings(value, d) {
			input := append([]byte("SELECT a FROM orders WHERE b = "), literal...)
			input = append(append(input, ' '), rest...)
			s := Describe(input, d)
			check(t, input, s)
			if strings.Contains(fmt.Sprint(s), secret) && !bytes.Contains(rest, []byte(secret)) {
				t.Errorf("%q tells the value: %q", input, s)
			}
		}
	})
}

// quotings are the ways in which programs quote a value.
func quotings(value []byte, d Dialect) [][]byte {
	double := func(prefix, q string) []byte {
		return []byte(prefix + q + strings.ReplaceAll(string(value), q, q+q) + q)
	}
	escape := func(prefix, q string) []byte {
		r := strings.NewReplacer(`\`, `\\`, q, `\`+q)
		return []byte(prefix + q + r.Replace(string(value)) + q)
	}
	switch d {
	case PostgreSQL:
		all := [][]byte{double("", "'"), escape("E", "'"), double("N", "'")}
		if !bytes.Contains(value, []byte("$x$")) && !bytes.HasSuffix(value, []byte("$x")) {
			all = append(all, []byte("$x$"+string(value)+"$x$"))
		}
		return all
	case MySQL:
		return [][]byte{escape("", "'"), escape("", `"`), escape("_utf8mb4 ", "'"), escape("_binary", "'")}
	default:
		return [][]byte{double("", "'"), double("", `"`)}
	}
}

func BenchmarkDescribe(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"select", "SELECT id, name, email FROM users WHERE status = 'active' AND id IN (1, 2, 3) ORDER BY name LIMIT 10"},
		{"insert", "INSERT INTO t (a, b) VALUES " + strings.Repeat("(1234, 'some text'), ", 100) + "(1, '')"},
		{"megabyte", "INSERT INTO t VALUES ('" + strings.Repeat("some text ", 100<<10) + "')"},
	} {
		b.Run(c.name, func(b *testing.B) {
			text := []byte(c.text)
			b.ReportAllocs()
			b.SetBytes(int64(min(len(text), maxInput)))
			for b.Loop() {
				Describe(text, PostgreSQL)
			}
		})
	}
}
