package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/probes"
	"github.com/clewtrace/clew/probes/discover"
)

// words writes a configured propagation as CLEW_PROPAGATION does, but for the
// peers and formats.
func words(p probes.Propagation) string {
	var text strings.Builder
	text.WriteString(p.Rungs.String())
	if p.Forced != 0 {
		fmt.Fprintf(&text, " (forced %s)", p.Forced)
	}
	for _, e := range p.Exceptions {
		fmt.Fprintf(&text, "; %s -> %s", e.Rules, e.Rungs)
	}
	return text.String()
}

func TestPropagation(t *testing.T) {
	for value, want := range map[string]string{
		"":                              "local,headers,tcp",
		"local,headers,tcp":             "local,headers,tcp",
		"none":                          "none",
		"tcp":                           "tcp",
		" tcp , local,":                 "local,tcp",
		"local,local":                   "local",
		"headers!":                      "headers (forced headers)",
		"headers!,tcp !":                "headers,tcp (forced headers,tcp)",
		"headers,headers!":              "headers (forced headers)",
		"local;exe=curl->none":          "local; exe=curl -> none",
		"none; exe=nginx -> headers":    "none; exe=nginx -> headers",
		"local; exe=a->b -> tcp":        "local; exe=a->b -> tcp",
		"local; !exe=a, port=80 -> tcp": "local; !exe=a,port=80 -> tcp",
		"local,headers,tcp; exe=curl -> none; cgroup=/x*,exe=nginx -> local,headers": "local,headers,tcp; exe=curl -> none; cgroup=/x*,exe=nginx -> local,headers",
	} {
		t.Run(value, func(t *testing.T) {
			c, err := loadConfig([]string{"CLEW_PROPAGATION=" + value}, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := words(c.propagation); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if c.remarks != nil {
				t.Errorf("remarks %q", c.remarks)
			}
		})
	}
}

func TestBadPropagation(t *testing.T) {
	for value, want := range map[string][]string{
		"local,heders":          {`at character 7: "heders" is not one of local, headers, tcp, none`},
		"local,tls":             {"at character 7: tls is not supported by this version"},
		"tls!":                  {"at character 1: tls is not supported by this version"},
		"Local":                 {`"Local" is not one of`},
		"local!":                {"at character 1: local cannot be forced"},
		"none!":                 {`"none!" is not one of`},
		"headers!!":             {`"headers!!" is not one of`},
		"!headers":              {`"!headers" is not one of`},
		"!":                     {`"!" is not one of`},
		"none,local":            {"at character 1: none stands alone"},
		"none,none":             {"none stands alone"},
		",":                     {"at character 1: no rung is named"},
		"; exe=a -> none":       {"at character 1: no rung is named"},
		"local;":                {"exception 1: at character 7: it is empty"},
		"local; ;exe=a->tcp":    {"exception 1: at character 7: it is empty"},
		"local; exe=a":          {"exception 1: at character 8: want RULES -> RUNGS"},
		"local; -> none":        {"exception 1: at character 8: it names no process"},
		"local; exe=a ->":       {"exception 1: at character 16: no rung is named"},
		"local; exe=a -> tcp!":  {`exception 1: at character 17: "tcp!": an exception cannot force a rung`},
		"local; exe=a => tcp":   {"want RULES -> RUNGS"},
		"local; exe=[ -> tcp":   {`exception 1: rule 1 at character 8, "exe=["`},
		"local; pod=a -> tcp":   {"not supported yet"},
		"local; exe=a, -> tcp":  {"exception 1: rule 2 at character 14"},
		"local; exe=a\xff->tcp": {"not valid UTF-8"},
		"x, y; exe -> z; port=0,exe=a -> local,none; ->": {
			`CLEW_PROPAGATION: at character 1: "x"`,
			`CLEW_PROPAGATION: at character 4: "y"`,
			`CLEW_PROPAGATION: exception 1: rule 1 at character 7, "exe": want KEY=VALUE`,
			`CLEW_PROPAGATION: exception 1: at character 14: "z"`,
			`CLEW_PROPAGATION: exception 2: rule 1 at character 17, "port=0"`,
			"CLEW_PROPAGATION: exception 2: at character 33: none stands alone",
			"CLEW_PROPAGATION: exception 3: at character 45: it names no process",
			"CLEW_PROPAGATION: exception 3: at character 47: no rung is named",
		},
	} {
		t.Run(value, func(t *testing.T) {
			_, err := loadConfig([]string{"CLEW_PROPAGATION=" + value}, "")
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("says %q, want %q in it", err, part)
				}
			}
			if lines := strings.Count(err.Error(), "\n"); lines != len(want) {
				t.Errorf("%d problems, want %d: %v", lines, len(want), err)
			}
		})
	}
}

func TestPeers(t *testing.T) {
	for value, want := range map[string]string{
		"":                               "[10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 100.64.0.0/10 fc00::/7 fe80::/10]",
		"10.1.2.3/8":                     "[10.0.0.0/8]",
		"10.1.2.3":                       "[10.1.2.3/32]",
		" 10.0.0.0/8 ,,10.9.9.9/8,::1, ": "[10.0.0.0/8 ::1/128]",
		"2001:db8::ffff/32":              "[2001:db8::/32]",
		"::ffff:10.1.2.3":                "[10.1.2.3/32]",
		"::ffff:10.1.2.3/104":            "[10.0.0.0/8]",
		"::ffff:10.1.2.3/96":             "[0.0.0.0/0]",
		"::ffff:10.1.2.3/90":             "[::ffc0:0:0/90]",
		"0.0.0.0/0,::/0":                 "[0.0.0.0/0 ::/0]",
	} {
		t.Run(value, func(t *testing.T) {
			c, err := loadConfig([]string{"CLEW_TCP_OPTION_PEERS=" + value}, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(c.propagation.Peers); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestBadPeers(t *testing.T) {
	var many []string
	for i := range maxPeers + 1 {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	for value, want := range map[string][]string{
		"10.0.0.0/33":           {`"10.0.0.0/33" is not an address, or a range such as 10.0.0.0/8`},
		"10.0.0":                {`"10.0.0" is not`},
		"010.0.0.1":             {`"010.0.0.1" is not`},
		"10.0.0.1:80":           {`"10.0.0.1:80" is not`},
		"host":                  {`"host" is not`},
		"10.0.0.0/8/8":          {`"10.0.0.0/8/8" is not`},
		"10.0.0.0/-1":           {`"10.0.0.0/-1" is not`},
		"fe80::1%eth0":          {"zone is not supported"},
		"fe80::%eth0/10":        {"zone is not supported"},
		"none,10.0.0.1":         {"none stands alone"},
		",":                     {"no host is named"},
		"a,10.0.0.1,b":          {`"a" is not`, `"b" is not`},
		"\xff":                  {`"\xff" is not`},
		strings.Join(many, ","): {"1025 ranges are more than 1024"},
	} {
		t.Run(value[:min(20, len(value))], func(t *testing.T) {
			_, err := loadConfig([]string{"CLEW_TCP_OPTION_PEERS=" + value, "CLEW_PROPAGATION=tcp!"}, "")
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range want {
				if !strings.Contains(err.Error(), "CLEW_TCP_OPTION_PEERS: "+part) && !strings.Contains(err.Error(), part) {
					t.Errorf("says %q, want %q in it", err, part)
				}
			}
			if lines := strings.Count(err.Error(), "\n"); lines != len(want) {
				t.Errorf("%d problems, want %d: %v", lines, len(want), err)
			}
		})
	}
}

func TestPropagators(t *testing.T) {
	for value, want := range map[string]traceparent.Propagator{
		"":                         traceparent.TraceContext,
		"tracecontext":             traceparent.TraceContext,
		"tracecontext,baggage":     traceparent.TraceContext,
		"b3":                       traceparent.B3,
		"b3multi, tracecontext":    traceparent.B3Multi | traceparent.TraceContext,
		"b3,b3,b3multi":            traceparent.B3 | traceparent.B3Multi,
		"baggage":                  0,
		"none":                     0,
		"tracecontext,baggage,b3,": traceparent.TraceContext | traceparent.B3,
	} {
		t.Run(value, func(t *testing.T) {
			c, err := loadConfig([]string{"OTEL_PROPAGATORS=" + value}, "")
			if err != nil {
				t.Fatal(err)
			}
			if c.propagation.Formats != want {
				t.Errorf("got %b, want %b", c.propagation.Formats, want)
			}
		})
	}
	for value, want := range map[string][]string{
		"xray":              {"xray is not supported by this version; supported are tracecontext, b3, b3multi, baggage, none"},
		"ottrace,b3,jaeger": {"ottrace is not supported", "jaeger is not supported"},
		"TraceContext":      {`"TraceContext" is not one of tracecontext, b3, b3multi, baggage, none`},
		"none,b3":           {"none stands alone"},
		",":                 {"no format is named"},
	} {
		t.Run(value, func(t *testing.T) {
			_, err := loadConfig([]string{"OTEL_PROPAGATORS=" + value, "CLEW_PROPAGATION=headers!"}, "")
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range want {
				if !strings.Contains(err.Error(), "OTEL_PROPAGATORS: "+part) {
					t.Errorf("says %q, want %q in it", err, part)
				}
			}
			if lines := strings.Count(err.Error(), "\n"); lines != len(want) {
				t.Errorf("%d problems, want %d: %v", lines, len(want), err)
			}
		})
	}
}

// TestUselessRungs: a rung that another variable makes useless is left out, and
// that is said; one that is forced is an error.
func TestUselessRungs(t *testing.T) {
	tests := map[string]struct {
		environ []string
		want    string
		remarks []string // beginnings
	}{
		"no format to write": {[]string{"OTEL_PROPAGATORS=b3"}, "local,tcp", []string{"propagation by headers is left out: OTEL_PROPAGATORS"}},
		"nobody to send to":  {[]string{"CLEW_TCP_OPTION_PEERS=none"}, "local,headers", []string{"propagation by tcp is left out: CLEW_TCP_OPTION_PEERS"}},
		"in an exception": {[]string{"OTEL_PROPAGATORS=none", "CLEW_PROPAGATION=local; exe=a -> headers; exe=b -> local"}, "local; exe=a -> none; exe=b -> local",
			[]string{"propagation by headers is left out"}},
		"both": {[]string{"OTEL_PROPAGATORS=baggage", "CLEW_TCP_OPTION_PEERS=none", "CLEW_PROPAGATION=headers,tcp"}, "none",
			[]string{"propagation by headers", "propagation by tcp"}},
		"not wanted":   {[]string{"OTEL_PROPAGATORS=b3", "CLEW_TCP_OPTION_PEERS=none", "CLEW_PROPAGATION=local"}, "local", nil},
		"other forced": {[]string{"OTEL_PROPAGATORS=b3", "CLEW_PROPAGATION=headers,tcp!"}, "tcp (forced tcp)", []string{"propagation by headers"}},
		"b3 besides":   {[]string{"OTEL_PROPAGATORS=b3,tracecontext", "CLEW_PROPAGATION=headers!"}, "headers (forced headers)", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := loadConfig(test.environ, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := words(c.propagation); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !slices.EqualFunc(c.remarks, test.remarks, strings.HasPrefix) {
				t.Errorf("remarks %q, want %q", c.remarks, test.remarks)
			}
		})
	}
	_, err := loadConfig([]string{"OTEL_PROPAGATORS=b3", "CLEW_TCP_OPTION_PEERS=none", "CLEW_PROPAGATION=headers!,tcp!"}, "")
	for _, part := range []string{"CLEW_PROPAGATION: headers! is not possible: OTEL_PROPAGATORS", "CLEW_PROPAGATION: tcp! is not possible: CLEW_TCP_OPTION_PEERS"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("says %v, want %q in it", err, part)
		}
	}
}

// FuzzPropagation: whatever is written is understood or refused with words, and
// what is understood can be written and read again.
func FuzzPropagation(f *testing.F) {
	for _, seed := range []string{
		"local,headers,tcp", "none", "headers!,tcp!", "local; exe=curl -> none; cgroup=/x*,exe=nginx -> local,headers",
		";", "->", "local;->", "local;exe=a->->tcp", "none,none;;!->!", "local; port=1-2,!pid=7 -> tcp ;", "\xff;\x00->\xfe",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var c config
		if err := setPropagation(&c, value); err != nil {
			var lines problems
			lines.add("", err)
			if len(lines) == 0 || slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(line, "at character ") }) {
				t.Errorf("%q: an error that does not say where: %q", value, lines)
			}
			return
		}
		p := c.propagation
		if !p.Rungs.Has(p.Forced) || p.Forced.Has(probes.RungLocal) {
			t.Errorf("%q: forces %s of %s", value, p.Forced, p.Rungs)
		}
		p.Forced = 0 // words tells of it in a form of its own
		var again config
		if err := setPropagation(&again, words(p)); err != nil || words(again.propagation) != words(p) {
			t.Errorf("%q is written %q, which is read %q, %v", value, words(p), words(again.propagation), err)
		}
	})
}

func TestExplainPropagation(t *testing.T) {
	curl := discover.Target{Watch: true, Facts: discover.Facts{Exe: "/usr/bin/curl"}}
	for name, test := range map[string]struct {
		environ []string
		target  discover.Target
		want    []string
	}{
		"default":     {nil, curl, []string{"local,headers,tcp: CLEW_PROPAGATION makes no exception of it", "clew doctor says which of these work on this node"}},
		"excepted":    {[]string{"CLEW_PROPAGATION=local; exe=x -> tcp; exe=c* -> none"}, curl, []string{"none: CLEW_PROPAGATION makes an exception of exe=c*"}},
		"not watched": {nil, discover.Target{}, []string{"none: it is not watched"}},
		"left out": {[]string{"OTEL_PROPAGATORS=none", "CLEW_PROPAGATION=headers"}, curl, []string{"none: CLEW_PROPAGATION makes no exception of it",
			"propagation by headers is left out: OTEL_PROPAGATORS does not name tracecontext, which is what it writes"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := loadConfig(test.environ, "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range propagation(c, test.target) {
				got = append(got, line.Text)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("says %q, want %q", got, test.want)
			}
		})
	}
}

// TestRungsAreTold: the line at the start names what is used, and the log what is
// not, or at whose risk.
func TestRungsAreTold(t *testing.T) {
	rungs := []probes.RungState{
		{Name: "local", Reason: "no hook"},
		{Name: "headers", On: true, Forced: true, Reason: "FIONREAD reads 0"},
		{Name: "tcp", On: true},
		{Name: "unwanted"},
	}
	if got := carriers(rungs); got != "context goes by headers!,tcp" {
		t.Errorf("line %q", got)
	}
	if got := carriers(rungs[:1]); got != "context is not passed on" {
		t.Errorf("line %q", got)
	}
	trying := probes.RungState{Name: "headers", Trying: true, Reason: "under way"}
	if got := carriers([]probes.RungState{{Name: "local", On: true}, trying}); got != "context goes by local; being tried: headers" {
		t.Errorf("line %q", got)
	}
	rungs = append(rungs, trying)
	core, seen := observer.New(zap.InfoLevel)
	logRungs(zap.New(core), rungs)
	var told bytes.Buffer
	for _, entry := range seen.All() {
		fmt.Fprintln(&told, entry.Level, entry.Message, entry.ContextMap()["rung"], entry.ContextMap()["reason"])
	}
	want := "info propagation is off local no hook\nwarn propagation is forced although its self-test fails headers FIONREAD reads 0\n"
	if told.String() != want {
		t.Errorf("tells %q, want %q", told.String(), want)
	}
}
