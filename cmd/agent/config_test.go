package main

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/probes/protocol"
)

func TestEmptyEnvironment(t *testing.T) {
	c, err := loadConfig([]string{"PATH=/bin", "OTEL_SOMETHING_OF_ANOTHER_PROGRAM=x", "CLEW_TARGETS="}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.exporter != exporterConsole || !c.rules.Everything() || !c.keepErrors ||
		c.keepSlow != time.Second || c.metricsAddr != "" || c.memoryLimit != 256<<20 || c.logLevel != zapcore.InfoLevel {
		t.Errorf("defaults: %+v", c)
	}
	if want := (traceparent.Sampler{Kind: traceparent.KindParentBased, Bound: traceparent.BoundAll}); c.sampler != want {
		t.Errorf("sampler %+v, want %+v", c.sampler, want)
	}
}

func TestGoodValues(t *testing.T) {
	tests := map[string]struct {
		environ []string
		holds   func(config) bool
	}{
		"targets":            {[]string{"CLEW_TARGETS=exe=nginx,!port=22"}, func(c config) bool { return c.rules.NeedsPorts() }},
		"hooks":              {[]string{"CLEW_HOOKS=fentry"}, func(c config) bool { return c.hooks == "fentry" }},
		"no propagation":     {[]string{"CLEW_PROPAGATION=none"}, func(c config) bool { return c.propagation.Rungs == 0 }},
		"budget":             {[]string{"CLEW_TRACES_PER_SECOND=0.5"}, func(c config) bool { return c.tracesPerSecond == 0.5 }},
		"errors":             {[]string{"CLEW_KEEP_ERRORS=FALSE"}, func(c config) bool { return !c.keepErrors }},
		"slow":               {[]string{"CLEW_KEEP_SLOW=250ms"}, func(c config) bool { return c.keepSlow == 250*time.Millisecond }},
		"slow off":           {[]string{"CLEW_KEEP_SLOW=0"}, func(c config) bool { return c.keepSlow == 0 }},
		"headers":            {[]string{"CLEW_CAPTURE_HEADERS=X-Tenant, x-request-id,"}, func(c config) bool { return slices.Equal(c.captureHeaders, []string{"x-tenant", "x-request-id"}) }},
		"statement off":      {[]string{"CLEW_DB_STATEMENT=off"}, func(c config) bool { return c.statement == protocol.StatementOff }},
		"statement raw":      {[]string{"CLEW_DB_STATEMENT=raw"}, func(c config) bool { return c.statement == protocol.StatementRaw }},
		"port alone":         {[]string{"CLEW_METRICS_ADDR=9464"}, func(c config) bool { return c.metricsAddr == "127.0.0.1:9464" }},
		"port with colon":    {[]string{"CLEW_METRICS_ADDR=:9464"}, func(c config) bool { return c.metricsAddr == "127.0.0.1:9464" }},
		"every address":      {[]string{"CLEW_METRICS_ADDR=0.0.0.0:9464"}, func(c config) bool { return c.metricsAddr == "0.0.0.0:9464" }},
		"IPv6":               {[]string{"CLEW_METRICS_ADDR=[::1]:9464"}, func(c config) bool { return c.metricsAddr == "[::1]:9464" }},
		"memory":             {[]string{"CLEW_MEMORY_LIMIT=1GiB"}, func(c config) bool { return c.memoryLimit == 1<<30 }},
		"memory in bytes":    {[]string{"CLEW_MEMORY_LIMIT=100000000"}, func(c config) bool { return c.memoryLimit == 1e8 }},
		"memory, Kubernetes": {[]string{"CLEW_MEMORY_LIMIT=64Mi"}, func(c config) bool { return c.memoryLimit == 64<<20 }},
		"endpoint":           {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://b:4317"}, func(c config) bool { return c.exporter == exporterOTLP && c.endpoint == "http://b:4317" }},
		"endpoint of traces": {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b:2"}, func(c config) bool { return c.endpoint == "http://b:2" }},
		"exporter wins":      {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://b:4317", "OTEL_TRACES_EXPORTER=none"}, func(c config) bool { return c.exporter == exporterNone }},
		"sampler":            {[]string{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.5"}, func(c config) bool { return c.sampler == traceparent.Sampler{Bound: 1 << 62} }},
		"batching":           {[]string{"OTEL_BSP_MAX_QUEUE_SIZE=99"}, func(c config) bool { return c.batching.Queue == 99 && c.batching.Size == 99 }},
		"propagators":        {[]string{"OTEL_PROPAGATORS=tracecontext,baggage"}, func(config) bool { return true }},
		"log level":          {[]string{"OTEL_LOG_LEVEL=DEBUG"}, func(c config) bool { return c.logLevel == zapcore.DebugLevel }},
		"disabled":           {[]string{"OTEL_SDK_DISABLED=true"}, func(c config) bool { return c.disabled }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := loadConfig(test.environ, "")
			if err != nil {
				t.Fatal(err)
			}
			if !test.holds(c) {
				t.Errorf("%v gives %+v", test.environ, c)
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	tests := []struct{ setting, says string }{
		{"CLEW_TARGTS=exe=a", "CLEW_TARGTS: unknown variable; did you mean CLEW_TARGETS?"},
		{"CLEW_HOOK=kprobe", "did you mean CLEW_HOOKS?"},
		{"CLEW_UNRELATED_THING=1", "CLEW_UNRELATED_THING: unknown variable"},
		{"CLEW_=1", "CLEW_: unknown variable"},
		{"CLEW_TARGETS=exe=[", "CLEW_TARGETS: "},
		{"CLEW_TARGETS=pod=web", "not supported yet"},
		{"CLEW_HOOKS=uprobe", `CLEW_HOOKS: "uprobe" is not one of tracepoint, fentry, kprobe`},
		{"CLEW_PROPAGATION=loca", `CLEW_PROPAGATION: at character 1: "loca" is not one of local, headers, tcp, none`},
		{"CLEW_TCP_OPTION_PEERS=10/8", `CLEW_TCP_OPTION_PEERS: "10/8" is not an address`},
		{"CLEW_TRACES_PER_SECOND=0", "CLEW_TRACES_PER_SECOND: "},
		{"CLEW_TRACES_PER_SECOND=NaN", "CLEW_TRACES_PER_SECOND: "},
		{"CLEW_TRACES_PER_SECOND=-1", "CLEW_TRACES_PER_SECOND: "},
		{"CLEW_KEEP_ERRORS=yes", "CLEW_KEEP_ERRORS: "},
		{"CLEW_KEEP_SLOW=1", "CLEW_KEEP_SLOW: "},
		{"CLEW_KEEP_SLOW=-1s", "CLEW_KEEP_SLOW: "},
		{"CLEW_CAPTURE_HEADERS=x-ok,Authorization", "CLEW_CAPTURE_HEADERS: authorization carries a secret"},
		{"CLEW_CAPTURE_HEADERS=two words", "is not a header name"},
		{"CLEW_METRICS_ADDR=example.org:9464", "is not an IP address"},
		{"CLEW_METRICS_ADDR=127.0.0.1:0", "is not a port"},
		{"CLEW_METRICS_ADDR=127.0.0.1", `"127.0.0.1" is not a port`},
		{"CLEW_MEMORY_LIMIT=1MiB", "less than the agent needs"},
		{"CLEW_MEMORY_LIMIT=99999999999GiB", "is not a size"},
		{"CLEW_MEMORY_LIMIT=lots", "is not a size"},
		{"CLEW_DB_STATEMENT=all", `CLEW_DB_STATEMENT: "all" is not one of sanitized, off, raw`},
		{"CLEW_CPU_BUDGET=1%", "CLEW_CPU_BUDGET: not supported by this version"},
		{"OTEL_TRACES_EXPORTER=zipkin", `OTEL_TRACES_EXPORTER: "zipkin" is not one of otlp, console, none`},
		{"OTEL_TRACES_SAMPLER=xray", "OTEL_TRACES_SAMPLER"},
		{"OTEL_PROPAGATORS=jaeger", "OTEL_PROPAGATORS: jaeger is not supported by this version; supported are tracecontext, b3"},
		{"OTEL_BSP_SCHEDULE_DELAY=5s", "OTEL_BSP_SCHEDULE_DELAY: "},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://", "OTEL_EXPORTER_OTLP_ENDPOINT: "},
		{"OTEL_LOG_LEVEL=loud", "OTEL_LOG_LEVEL: "},
		{"OTEL_SDK_DISABLED=1", "OTEL_SDK_DISABLED: "},
	}
	for _, test := range tests {
		t.Run(test.setting, func(t *testing.T) {
			_, err := loadConfig([]string{test.setting}, "")
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("says %q, want %q in it", err, test.says)
			}
		})
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	_, err := loadConfig([]string{
		"CLEW_TARGETS=port=0,user=root",
		"CLEW_HOOKS=x",
		"CLEW_TYPO=1",
		"OTEL_BSP_MAX_QUEUE_SIZE=0",
		"OTEL_BSP_EXPORT_TIMEOUT=never",
		"OTEL_TRACES_EXPORTER=otlp",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_HEADERS=token",
	}, "")
	var all problems
	if !errors.As(err, &all) {
		t.Fatalf("%T: %v", err, err)
	}
	if len(all) != 8 {
		t.Errorf("%d problems, want 8:\n%v", len(all), err)
	}
	if strings.Contains(err.Error(), "token") {
		t.Errorf("a header, which may be a secret, is repeated: %v", err)
	}
}

// TestUnusedExporterIsNotChecked lets an agent print to the console in a pod
// whose environment is meant for other programs.
func TestUnusedExporterIsNotChecked(t *testing.T) {
	_, err := loadConfig([]string{"OTEL_TRACES_EXPORTER=console", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, "")
	if err != nil {
		t.Error(err)
	}
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}} {
		if got := edits(test.a, test.b); got != test.want {
			t.Errorf("edits(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// TestDocumentsNameEveryVariable holds the documents to the table, both ways.
func TestDocumentsNameEveryVariable(t *testing.T) {
	var known []string
	for _, v := range variables() {
		known = append(known, v.name)
		if page := read(t, "../../docs/configuration.md"); !strings.Contains(page, "| `"+v.name+"` |") {
			t.Errorf("docs/configuration.md has no row for %s", v.name)
		}
	}
	name := regexp.MustCompile(`\b(CLEW|OTEL)(_[A-Z]+)+\b`)
	for _, file := range []string{"../../README.md", "../../docs/configuration.md", "../../docs/how-a-trace-is-made.md", "../../docs/security.md", "../../docs/support.md", "../../deploy/README.md"} {
		for _, found := range name.FindAllString(read(t, file), -1) {
			ofTarget := found == "OTEL_SERVICE_NAME" || found == "OTEL_RESOURCE_ATTRIBUTES"
			if !ofTarget && !slices.Contains(known, strings.Replace(found, "_OTLP_TRACES", "_OTLP", 1)) {
				t.Errorf("%s names %s, which the agent does not read", file, found)
			}
		}
	}
}

// TestManifestFits makes sure that the agent starts with what the manifest sets
// and that it asks for the capabilities that the agent uses, no more, no less.
func TestManifestFits(t *testing.T) {
	manifest := read(t, "../../deploy/daemonset.yaml")
	var environ []string
	for _, m := range regexp.MustCompile(`- name: ((?:CLEW|OTEL)_\w+)\n\s+value: (.*)`).FindAllStringSubmatch(manifest, -1) {
		environ = append(environ, m[1]+"="+m[2])
	}
	if len(environ) == 0 {
		t.Fatal("no variable found in the manifest")
	}
	if _, err := loadConfig(environ, ""); err != nil {
		t.Error(err)
	}
	var asked, used []string
	for _, m := range regexp.MustCompile(`- ([A-Z_]+) # `).FindAllStringSubmatch(manifest, -1) {
		asked = append(asked, "CAP_"+m[1])
	}
	for _, c := range capabilities {
		used = append(used, c.name)
		if !strings.Contains(read(t, "../../docs/security.md"), "| `"+c.name+"` |") {
			t.Errorf("docs/security.md does not explain %s", c.name)
		}
	}
	if !slices.Equal(asked, used) {
		t.Errorf("the manifest asks for %v, the agent uses %v", asked, used)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
