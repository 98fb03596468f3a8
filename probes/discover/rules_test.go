package discover

import (
	"strings"
	"testing"
)

const container = "3f4f5e6d7c8b9a00112233445566778899aabbccddeeff00112233445566aabb"

func TestMatch(t *testing.T) {
	nginx := Facts{
		PID: 42, Comm: "nginx", Exe: "/usr/sbin/nginx", Container: container,
		Cgroups: []string{"/system.slice/nginx.service", "/v1/web"}, Ports: []uint16{80, 443},
	}
	for _, test := range []struct {
		rules string
		want  bool
		why   string
	}{
		{"", true, "every process"},
		{"  ", true, "every process"},
		{"exe=nginx", true, "chosen by exe=nginx"},
		{"exe=ngin?", true, ""},
		{"exe=n*x", true, ""},
		{"exe=[a-n]ginx", true, ""},
		{"exe=[!n]ginx", false, "no rule chooses"},
		{"exe=gin", false, ""},
		{"exe=*", true, ""},
		{"exe=NGINX", false, ""},
		{"exe=/usr/sbin/nginx", true, ""},
		{"exe=/usr/*/nginx", true, ""},
		{"exe=/usr/*", false, "a star does not cross a slash"},
		{"exe=/usr/**", true, ""},
		{"exe=**/nginx", true, ""},
		{"exe=sbin/nginx", false, "a full path is matched in full"},
		{`exe=ngin\x`, true, ""},
		{"exe=ngin.", false, "a dot is a dot"},
		{"port=80", true, ""},
		{"port=81", false, ""},
		{"port=400-500", true, ""},
		{"port=81-442", false, ""},
		{"pid=42", true, ""},
		{"pid=43", false, ""},
		{"cgroup=/system.slice/nginx.service", true, ""},
		{"cgroup=system.slice/nginx.service", true, ""},
		{"cgroup=/system.slice/nginx.service/**", true, "the directory itself"},
		{"cgroup=/system.slice/**", true, ""},
		{"cgroup=/system.slice", false, ""},
		{"cgroup=/system.slice/*", true, ""},
		{"cgroup=/*", false, ""},
		{"cgroup=/**", true, ""},
		{"cgroup=**/nginx.service", true, ""},
		{"cgroup=/v1/*", true, "a v1 path"},
		{"container=3f4f5e6d7c8b", true, "short id"},
		{"container=3f4f*", true, ""},
		{"container=" + container, true, ""},
		{"container=4f5e*", false, ""},
		{"!exe=nginx", false, "excluded by !exe=nginx"},
		{"!exe=redis*", true, "no rule excludes"},
		{"! exe=nginx", false, ""},
		{"port=80,!exe=nginx", false, "excluded by"},
		{"!exe=nginx,port=80", false, "excluded by"},
		{"exe=redis, port=443", true, "chosen by port=443"},
		{"exe=redis,!pid=7", false, "no rule chooses"},
	} {
		rules, err := ParseRules(test.rules)
		if err != nil {
			t.Errorf("%q: %v", test.rules, err)
			continue
		}
		got, why := rules.Match(nginx)
		if got != test.want {
			t.Errorf("%q: watched %v (%s), want %v: %s", test.rules, got, why, test.want, test.why)
		}
		if strings.HasPrefix(test.why, "chosen") || strings.HasPrefix(test.why, "excl") || strings.HasPrefix(test.why, "no rule") {
			if !strings.HasPrefix(why, test.why) {
				t.Errorf("%q: reason %q, want %q", test.rules, why, test.why)
			}
		}
	}
}

func TestMatchNever(t *testing.T) {
	for _, text := range []string{"", "pid=42", "!exe=x"} {
		rules, err := ParseRules(text)
		if err != nil {
			t.Fatal(err)
		}
		if watched, _ := rules.Match(Facts{PID: 42, Self: true}); watched {
			t.Errorf("%q: the agent watches itself", text)
		}
		if watched, _ := rules.Match(Facts{PID: 42, KernelThread: true}); watched {
			t.Errorf("%q: watches a kernel thread", text)
		}
	}
	rules, err := ParseRules("exe=*")
	if err != nil {
		t.Fatal(err)
	}
	if watched, _ := rules.Match(Facts{PID: 42}); watched {
		t.Error("exe=* chose a process without an executable")
	}
}

func TestRulesProperties(t *testing.T) {
	for text, want := range map[string]struct{ everything, ports, change bool }{
		"":                  {true, false, false},
		"exe=a":             {false, false, false},
		"exe=a,!port=1-2":   {false, true, true},
		"port=8080":         {false, true, true},
		"!pid=1,!cgroup=/x": {false, false, true},
		"exe=a,container=b": {false, false, true},
	} {
		rules, err := ParseRules(text)
		if err != nil {
			t.Fatal(err)
		}
		if rules.Everything() != want.everything || rules.NeedsPorts() != want.ports || rules.MayChange() != want.change {
			t.Errorf("%q: everything %v, needs ports %v, may change %v", text, rules.Everything(), rules.NeedsPorts(), rules.MayChange())
		}
		if rules.String() != text {
			t.Errorf("%q is written %q", text, rules)
		}
	}
}

func TestParseRulesErrors(t *testing.T) {
	for text, want := range map[string][]string{
		"exe":                          {`rule 1 at character 1, "exe": want KEY=VALUE`},
		"exe=":                         {"pattern is empty"},
		"exe=a,,exe=b":                 {"rule 2 at character 7", "rule is empty"},
		"exe=a,":                       {"rule 2 at character 7", "rule is empty"},
		"!":                            {"rule is empty"},
		"=x":                           {`unknown key ""`},
		"prot=80":                      {`unknown key "prot"`, "want exe, port, pid"},
		"port=0":                       {"not a number from 1 to 65535"},
		"port=65536":                   {"not a number from 1 to 65535"},
		"port=http":                    {`"http" is not a number`},
		"port=90-80":                   {"range 90-80 runs backwards"},
		"port=80-":                     {`"" is not a number`},
		"port=-80":                     {`"" is not a number`},
		"pid=0":                        {"not a number from 1 to 4194304"},
		"pid=-1":                       {"not a number"},
		"exe=[a":                       {"'[' has no matching ']'"},
		"exe=[z-a]":                    {"character class is not valid"},
		`exe=a\`:                       {`pattern ends in '\'`},
		"exe=\xff":                     {"not valid UTF-8"},
		"cgroup=":                      {"pattern is empty"},
		"namespace=shop":               {"namespace= needs Kubernetes identity", "not supported yet"},
		"pod=[":                        {"'[' has no matching ']'"},
		" bad=1 , port=x,exe=ok,pod=p": {`rule 1 at character 2, "bad=1"`, `rule 2 at character 10, "port=x"`, `rule 4 at character 24, "pod=p"`},
	} {
		_, err := ParseRules(text)
		if err == nil {
			t.Errorf("%q: accepted", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: error %q does not say %q", text, err, part)
			}
		}
	}
}

func FuzzParseRules(f *testing.F) {
	for _, seed := range []string{
		"", "exe=a*,!port=1-2", "cgroup=/a/**", "exe=[!a-b]]", `exe=\\`, "pid=1, ,", "exe=[[:alpha:]]", "exe=[&&]", "exe=(?i)a", "exe=a{1000}",
	} {
		f.Add(seed, "/usr/bin/a")
	}
	f.Fuzz(func(t *testing.T, text, exe string) {
		rules, err := ParseRules(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		facts := Facts{PID: 1, Exe: exe, Cgroups: []string{exe}, Container: exe}
		if _, reason := rules.Match(facts); reason == "" {
			t.Errorf("%q: no reason", text)
		}
		if again, err := ParseRules(rules.String()); err != nil || again.String() != rules.String() {
			t.Errorf("%q is written %q, which reads %q, %v", text, rules, again, err)
		}
	})
}

// FuzzGlob checks globs without specials against plain comparison.
func FuzzGlob(f *testing.F) {
	f.Add("nginx", "nginx")
	f.Add("a.b+c(d)|e^$", "a.b+c(d)|e^$")
	f.Add("ä", "ä")
	f.Fuzz(func(t *testing.T, glob, text string) {
		re, err := compileGlob(glob)
		if err != nil || strings.ContainsAny(glob, `*?[\`) {
			return
		}
		if re.MatchString(text) != (glob == text) {
			t.Errorf("glob %q on %q: %v", glob, text, re.MatchString(text))
		}
	})
}
