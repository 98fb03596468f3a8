package proc

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseStat(t *testing.T) {
	tail := " S 41 1 1 0 -1 2129984 1 2 3 4 5 6 7 8 20 0 1 0 98765 0 0"
	for name, test := range map[string]struct {
		line string
		want Stat
		fail bool
	}{
		"plain":          {line: "42 (nginx)" + tail, want: Stat{Comm: "nginx", Parent: 41, Started: 98765, KernelThread: true}},
		"odd name":       {line: "42 (a) b) (c)" + tail, want: Stat{Comm: "a) b) (c", Parent: 41, Started: 98765, KernelThread: true}},
		"zombie":         {line: "42 (x) Z 1" + tail[5:], want: Stat{Comm: "x", Parent: 1, Started: 98765, KernelThread: true, Zombie: true}},
		"user process":   {line: "42 (x)" + strings.Replace(tail, "2129984", "4194560", 1), want: Stat{Comm: "x", Parent: 41, Started: 98765}},
		"cut":            {line: "42 (x) S 41 1", fail: true},
		"no name":        {line: "42 nginx S 41", fail: true},
		"empty":          {fail: true},
		"not a number":   {line: "42 (x)" + strings.Replace(tail, "98765", "soon", 1), fail: true},
		"parent too big": {line: "42 (x)" + strings.Replace(tail, " 41 ", " 99999999999 ", 1), fail: true},
	} {
		got, err := parseStat([]byte(test.line))
		if (err != nil) != test.fail || err == nil && got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
}

func TestParseArgs(t *testing.T) {
	for name, test := range map[string]struct {
		data  string
		list  []string
		title string
	}{
		"two":                   {data: "sleep\x0010\x00", list: []string{"sleep", "10"}},
		"one":                   {data: "bash\x00", list: []string{"bash"}},
		"empty one inside":      {data: "a\x00\x00b\x00", list: []string{"a", "", "b"}},
		"spaces in arguments":   {data: "sh\x00-c\x00a b\x00", list: []string{"sh", "-c", "a b"}},
		"nothing":               {},
		"only NULs":             {data: "\x00\x00\x00"},
		"only blanks":           {data: "  \t \n "},
		"title":                 {data: "nginx: worker process\x00", title: "nginx: worker process"},
		"title, padded":         {data: "php-fpm: pool www" + strings.Repeat("\x00", 300), title: "php-fpm: pool www"},
		"title, padded, blanks": {data: "postgres: checkpointer" + strings.Repeat(" ", 300), title: "postgres: checkpointer"},
		"not terminated":        {data: "sleep\x0010", list: []string{"sleep", "10"}},
		"not UTF-8":             {data: "a\xff\x00b\x00", list: []string{"a\uFFFD", "b"}},
	} {
		got := ParseArgs([]byte(test.data))
		if !slices.Equal(got.List, test.list) || got.Title != test.title {
			t.Errorf("%s: got %q %q, want %q %q", name, got.List, got.Title, test.list, test.title)
		}
	}
	if got := ParseArgs([]byte(strings.Repeat("x\x00", 1<<20))); len(got.List) != maxArgs {
		t.Errorf("a million arguments: kept %d, want %d", len(got.List), maxArgs)
	}
}

func TestParseEnviron(t *testing.T) {
	for name, test := range map[string]struct {
		data string
		want map[string]string
	}{
		"found":           {data: "A=1\x00B=2\x00", want: map[string]string{"B": "2"}},
		"first counts":    {data: "B=1\x00B=2\x00", want: map[string]string{"B": "1"}},
		"empty":           {data: "B=\x00", want: map[string]string{"B": ""}},
		"equals inside":   {data: "B=x=y\x00", want: map[string]string{"B": "x=y"}},
		"not terminated":  {data: "A=1\x00B=2", want: map[string]string{"B": "2"}},
		"prefix only":     {data: "BB=1\x00XB=2\x00"},
		"overwritten":     {data: "php-fpm: pool www\x00\x00\x00\x00tail of title\x00B=2\x00", want: map[string]string{"B": "2"}},
		"nothing":         {},
		"no NUL at all":   {data: strings.Repeat("garbage", 1000)},
		"no equals, text": {data: "B\x00"},
	} {
		if got := ParseEnviron([]byte(test.data), "B", "C"); !maps.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestParseListening(t *testing.T) {
	const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(port, state string, inode int) string {
		return fmt.Sprintf("   0: 0100007F:%s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 0 100 0\n", port, state, inode)
	}
	sockets := map[uint64]uint16{}
	parseListening(strings.NewReader(heading+line("1F90", "0A", 7)+"short line\n"+line("zz", "0A", 8)+
		line("0050", "0A", 9)+line("0051", "01", 10)+line("0052", "0A", 11)), sockets)
	if want := map[uint64]uint16{7: 8080, 9: 80}; !maps.Equal(sockets, want) {
		t.Errorf("got %v, want %v: reading ends at the first socket that does not listen", sockets, want)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) b) S 41 1 1 0 -1 2129984 1 2 3 4 5 6 7 8 20 0 1 0 98765 0 0"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, data []byte) {
		if stat, err := parseStat(data); err == nil && len(stat.Comm) > len(data) {
			t.Errorf("name %q of %q", stat.Comm, data)
		}
	})
}

func FuzzParseArgs(f *testing.F) {
	f.Add([]byte("a\x00b\x00"))
	f.Add([]byte("nginx: worker process\x00\x00"))
	f.Add([]byte("\t \xff\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		args := ParseArgs(data)
		if args.Title != "" && (args.List != nil || strings.TrimSpace(args.Title) == "") {
			t.Errorf("%q: title %q, arguments %q", data, args.Title, args.List)
		}
		for _, arg := range append(args.List, args.Title) {
			if !utf8.ValidString(arg) {
				t.Errorf("%q: %q is not UTF-8", data, arg)
			}
		}
	})
}

func FuzzParseEnviron(f *testing.F) {
	f.Add([]byte("A=1\x00B=2\x00"))
	f.Add([]byte("=\x00B\x00\x00B=\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, value := range ParseEnviron(data, "A", "B") {
			if !strings.Contains(string(data), name+"="+value) {
				t.Errorf("%s=%q is not in %q", name, value, data)
			}
		}
	})
}
