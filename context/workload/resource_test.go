package workload

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/probes/discover/proc"
	"github.com/clewtrace/clew/probes/discover/proc/proctest"
	"github.com/clewtrace/clew/probes/discover/program"
)

func value(p *Process, key attribute.Key) string {
	for _, one := range p.Attributes {
		if one.Key == key {
			return one.Value.String()
		}
	}
	return "(absent)"
}

func TestParseResource(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"a=b":                                "a=b",
		" a = b , c=d ":                      "a=b c=d",
		"a=b,":                               "a=b",
		"a=":                                 "a=",
		"a=b=c":                              "a=b=c",
		"a=x%2Cy%3Dz%20w":                    "a=x,y=z w",
		"a%2Eb=c":                            "a.b=c",
		"a=1+1":                              "a=1+1",
		"a=%C3%A4":                           "a=ä",
		"a=%FF":                              "a=\uFFFD",
		"a=x%0Ay%1B[31m":                     "a=x y [31m",
		"a=b,c":                              "error",
		"a=b,=c":                             "error",
		"a=%zz":                              "error",
		"a=b,c=%2":                           "error",
		"%zz=a":                              "error",
		strings.Repeat("a=b,", 129):          "error",
		"a=" + strings.Repeat("x", 1<<20):    "a=" + strings.Repeat("x", maxValue),
		"k8s.pod.name=x,service.version=1.2": "k8s.pod.name=x service.version=1.2",
	} {
		attributes, err := parseResource(text)
		var parts []string
		for _, one := range attributes {
			parts = append(parts, string(one.Key)+"="+one.Value.AsString())
		}
		got := strings.Join(parts, " ")
		if err != nil {
			if got = "error"; attributes != nil {
				t.Errorf("%.40q: an error must discard everything, kept %v", text, attributes)
			}
		}
		if got != want {
			t.Errorf("%.40q: got %.60q (%v), want %.60q", text, got, err, want)
		}
	}
}

func TestResource(t *testing.T) {
	h := host{boot: "b", attributes: []attribute.KeyValue{attribute.String("host.name", "node-1"), attribute.String("telemetry.sdk.name", "clew")}}
	plain := facts{
		pid: 42, parent: 41, started: 99, exe: "/usr/bin/python3.11", command: "python3", service: "checkout", container: "abc",
		program: program.Info{Runtime: program.CPython, Version: "3.11"},
	}
	for name, test := range map[string]struct {
		environ map[string]string
		want    map[attribute.Key]string
		fail    bool
	}{
		"nothing said": {want: map[attribute.Key]string{
			"service.name": "checkout", "service.namespace": "(absent)", "process.pid": "42", "process.parent_pid": "41",
			"process.executable.name": "python3.11", "process.executable.path": "/usr/bin/python3.11", "process.command": "python3",
			"process.runtime.name": "cpython", "process.runtime.version": "3.11", "container.id": "abc", "host.name": "node-1",
			"process.command_args": "(absent)", "process.command_line": "(absent)",
		}},
		"name": {environ: map[string]string{envServiceName: " shop "}, want: map[attribute.Key]string{"service.name": "shop"}},
		"name beats attributes": {
			environ: map[string]string{envServiceName: "shop", envResource: "service.name=other,service.namespace=acme,deployment.environment.name=prod"},
			want:    map[attribute.Key]string{"service.name": "shop", "service.namespace": "acme", "deployment.environment.name": "prod"},
		},
		"attributes beat what was observed": {
			environ: map[string]string{envResource: "service.name=shop,service.instance.id=one,host.name=h"},
			want:    map[attribute.Key]string{"service.name": "shop", "service.instance.id": "one", "host.name": "h"},
		},
		"but not facts": {
			environ: map[string]string{envResource: "telemetry.sdk.name=opentelemetry,process.pid=1,container.id=z,service.name="},
			want:    map[attribute.Key]string{"telemetry.sdk.name": "clew", "process.pid": "42", "container.id": "abc", "service.name": "checkout"},
		},
		"empty name":        {environ: map[string]string{envServiceName: ""}, want: map[attribute.Key]string{"service.name": "checkout"}},
		"broken":            {environ: map[string]string{envResource: "a=b,%%%"}, want: map[attribute.Key]string{"service.name": "checkout", "a": "(absent)"}, fail: true},
		"name not in UTF-8": {environ: map[string]string{envServiceName: "sh\xffop"}, want: map[attribute.Key]string{"service.name": "sh\uFFFDop"}},
	} {
		f := plain
		f.environ = test.environ
		process, err := h.resource(&f)
		if (err != nil) != test.fail {
			t.Errorf("%s: error %v", name, err)
		}
		for key, want := range test.want {
			if got := value(process, key); got != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got, want)
			}
		}
		if process.Service != value(process, "service.name") {
			t.Errorf("%s: Service is %q, service.name %q", name, process.Service, value(process, "service.name"))
		}
		if !slices.IsSortedFunc(process.Attributes, func(a, b attribute.KeyValue) int { return strings.Compare(string(a.Key), string(b.Key)) }) {
			t.Errorf("%s: attributes are not sorted: %v", name, process.Attributes)
		}
	}
}

func TestInstance(t *testing.T) {
	h := host{boot: "b"}
	base := facts{pid: 1, started: 2}
	id, err := uuid.Parse(h.instance(&base))
	if err != nil || id.Version() != 5 {
		t.Fatalf("instance %v, version %d, %v", id, id.Version(), err)
	}
	if again := h.instance(&facts{pid: 1, started: 2, exe: "/bin/other"}); again != id.String() {
		t.Error("the instance changed though the process is the same")
	}
	for _, other := range []string{
		h.instance(&facts{pid: 2, started: 2}), h.instance(&facts{pid: 1, started: 3}), host{boot: "c"}.instance(&base),
	} {
		if other == id.String() {
			t.Error("two processes share an instance id")
		}
	}
}

func TestHost(t *testing.T) {
	root := proctest.New(t, proctest.Process{PID: 1, Comm: "init", Files: map[string]string{
		"etc/hostname": "node-7\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
	}})
	proctest.Link(t, "uts:[1]", root+"/1/ns/uts") // not ours: the reader is in a container
	h := readHost(proc.New(root), "1.2.3")
	if h.boot != "11111111-2222-3333-4444-555555555555" {
		t.Errorf("boot id %q", h.boot)
	}
	got := &Process{Attributes: h.attributes}
	for key, want := range map[attribute.Key]string{
		"host.name": "node-7", "host.id": "0123456789abcdef0123456789abcdef", "os.type": "linux",
		"telemetry.sdk.name": "clew", "telemetry.sdk.language": "go", "telemetry.sdk.version": "1.2.3", "telemetry.distro.name": "clew",
	} {
		if value(got, key) != want {
			t.Errorf("%s is %q, want %q", key, value(got, key), want)
		}
	}
	if arch := value(got, "host.arch"); arch == "(absent)" {
		t.Error("no host.arch")
	}
	for text, want := range map[string]string{"uninitialized\n": "", "": "", "0123456789ABCDEF0123456789abcdef": "", "0123456789abcdef0123456789abcdef": "0123456789abcdef0123456789abcdef"} {
		if got := machineID([]byte(text)); got != want {
			t.Errorf("machine id of %q is %q", text, got)
		}
	}
}

func FuzzParseResource(f *testing.F) {
	for _, seed := range []string{"a=b,c=d", "a=%2C", "=", ",", "%=x", "a=\xff", "a=\x1b", " = "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		attributes, err := parseResource(text)
		if err != nil && attributes != nil {
			t.Errorf("%q: both %v and %v", text, attributes, err)
		}
		for _, one := range attributes {
			key, value := string(one.Key), one.Value.AsString()
			if key == "" || !utf8.ValidString(key) || !utf8.ValidString(value) || strings.ContainsAny(key+value, "\x00\n\x1b") {
				t.Errorf("%q: attribute %q=%q", text, key, value)
			}
		}
	})
}
