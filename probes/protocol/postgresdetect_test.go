package protocol

import (
	"strings"
	"testing"
)

func TestDetectPostgres(t *testing.T) {
	long := pQuery("select '" + strings.Repeat("x", 10000) + "'")
	for _, c := range []struct {
		data string
		size int // if not all is there
		want bool
	}{
		{pStartup, 0, true},
		{pfirst(3<<16|2, "user\x00a\x00database\x00b\x00\x00"), 0, true},
		{pfirst(postgresTLS, ""), 0, true},
		{pfirst(postgresGSS, ""), 0, true},
		{pfirst(postgresCancel, "\x00\x00\x00\x01\x00\x00\x00\x02"), 0, true},
		{pQuery("select 1"), 0, true},
		{pQuery(""), 0, true},
		{pQuery("select 1") + pQuery("select 2"), 0, true},
		{pParse("s", "select $1") + pm('D', "Ss\x00") + pSync, 0, true},
		{pm('C', "Ss\x00") + pParse("s", "select $1") + pm('H'), 0, true},
		{pRun("s") + pSync, 0, true},
		{pm('E', "C_1\x00\x00\x00\x00\x02") + pSync, 0, true},
		{pRun("s")[:20], 100, true},
		{long[:4096], len(long), true},
		{long[:4096], 4096, true}, // in pieces
		{(pRun("s") + long)[:512], len(pRun("s") + long), true},

		{"", 0, false},
		{"Q", 0, false},
		{"Q\x00\x00\x00", 0, false},
		{pm('X'), 0, false},
		{pSync, 0, false},
		{pm('p', "secret\x00"), 0, false},
		{pm('d', "1\t2\n"), 0, false},
		{pfirst(2<<16, "user\x00a\x00\x00"), 0, false},
		{pStartup + "x", 0, false},
		{pStartup, 100, false},
		{pQuery("select 1") + "x", 0, false},
		{pQuery("select 1")[:12], 12, false},
		{pQuery("sel\x00ect"), 0, false},
		{pQuery("sel\x01ect"), 0, false},
		{pm('Q', "select 1"), 0, false},
		{pm('P', "s\x00select\x00\x00\x01"), 0, false},
		{pm('B', "\x00s\x00\x00\x01\x00\x02\x00\x00\x00\x00"), 0, false},
		{pm('B', "\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x09ab\x00\x00"), 0, false},
		{pm('E', "\x00\x00\x00"), 0, false},
		{"Q\x00\x00\x00\x03SELECT 1", 81, false}, // a query of MySQL, of 81 bytes
		{"Q\x7f\xff\xff\xff", 5, false},
		{"Q\x00\x00\x00\x04", 5, false},
		{"QUERY / HTTP/1.1\r\n\r\n", 0, false},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 517, false},
	} {
		size := c.size
		if size == 0 {
			size = len(c.data)
		}
		if got := detectPostgres(toServer, []byte(c.data), uint64(size)); got != c.want {
			t.Errorf("%.40q of %d: %v", c.data, size, got)
		}
		if detectPostgres(toClient, []byte(c.data), uint64(size)) {
			t.Errorf("%.40q was taken from a server", c.data)
		}
	}
}
