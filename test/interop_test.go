package test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	links "github.com/clewtrace/clew/test/programs/chain"
	"github.com/clewtrace/clew/test/rig"
)

// mixtures are chains of programs with an SDK before, behind and between programs
// that know nothing of tracing. The links stand on two hosts in turn; behind the
// last one is a recorder.
var mixtures = [...]string{
	"go-sdk node-sdk",
	"go-sdk python",
	"node-sdk java",
	"python go-sdk",
	"java node-sdk",
	"go-sdk python go-sdk",
	"node-sdk go node-sdk",
	"python go-sdk php",
	"go node-sdk java",
}

// mixedTrial is how many requests in a row a mixture serves once it is joined, and
// before it is judged: by as many a program shows that its threads work for one
// request at a time.
const mixedTrial = 40

// mixedRequests are how many requests each mixture serves, once it is warm, and
// mixedFlight how many at once.
const mixedRequests, mixedFlight = 64, 8

// aState is what the SDKs say in tracestate.
const aState = "a=1,b=2"

// TestInterop has programs with the OpenTelemetry SDK and programs without call
// one another, and checks that every request made one trace that holds together,
// and left the last program with one traceparent of that trace.
func TestInterop(t *testing.T) {
	for _, propagation := range []string{"headers!", "local,headers!,tcp"} {
		t.Run(propagation, func(t *testing.T) {
			m := newMixer(t, "CLEW_PROPAGATION="+propagation)
			mixed := make([]*mixture, len(mixtures))
			for i, text := range mixtures {
				mixed[i] = m.start(i, text, "TRACESTATE="+aState)
				mixed[i].warm(m)
				mixed[i].exercise(m)
			}
			spans := m.settle()
			traces := byTrace(spans)
			for _, x := range mixed {
				t.Run(x.name, func(t *testing.T) { x.check(t, traces) })
			}
			fmt.Printf("Programs with an SDK among others, %s: %d mixtures of %d requests, %d traces, %d spans\n",
				propagation, len(mixed), mixedRequests, len(traces), len(spans))
		})
	}
}

// TestUnsampledBySDK checks that what an SDK does not sample nobody does, and
// that an SDK does not sample what the agent did not.
func TestUnsampledBySDK(t *testing.T) {
	for _, c := range []struct{ name, mixture, link, agent string }{
		{"the SDK decides", "go-sdk python", "OTEL_TRACES_SAMPLER=always_off", "OTEL_TRACES_SAMPLER=parentbased_always_on"},
		{"the agent decides", "python go-sdk", "OTEL_TRACES_SAMPLER=parentbased_always_on", "OTEL_TRACES_SAMPLER=parentbased_always_off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMixer(t, "CLEW_PROPAGATION=headers!", c.agent)
			x := m.start(0, c.mixture, c.link)
			unsampled := func(head string) error {
				got, err := contextOf(head)
				if err == nil && got.flags != "00" {
					err = fmt.Errorf("the flags are %s", got.flags)
				}
				return err
			}
			x.warmUntil(m, unsampled)
			x.exercise(m)
			traces := byTrace(m.settle())
			for _, head := range x.heads {
				got, err := contextOf(head)
				if err != nil || got.flags != "00" {
					t.Errorf("flags %q, %v", got.flags, err)
				}
				if spans := traces[got.trace]; len(spans) > 0 {
					t.Errorf("a trace that is not sampled has spans:\n%v", spans)
				}
			}
			if len(x.heads) != mixedRequests {
				t.Errorf("the last program got %d requests, want %d", len(x.heads), mixedRequests)
			}
		})
	}
}

// mixer starts mixtures.
type mixer struct {
	*hosted
	kit  *links.Kit
	otlp []string // endpoint of Jaeger as each host reaches it
}

// newMixer opens a stage with two watched hosts, and a third one which is the
// client's and the recorder's.
func newMixer(t *testing.T, agents ...string) *mixer {
	t.Helper()
	m := &mixer{hosted: newHosted(t, 3)}
	var err error
	if m.kit, err = links.Build(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if err := m.kit.BuildSDK(); err != nil {
		t.Fatal(err)
	}
	for _, h := range m.hosts[:2] {
		address, err := h.Forward(strings.TrimPrefix(m.jaeger.Endpoint, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		m.otlp = append(m.otlp, "http://"+address)
	}
	m.watchEach(m.hosts[:2], agents...)
	return m
}

// mixture is a running chain of programs.
type mixture struct {
	name     string
	services []string // in order; they end with the language
	url      string   // of the first
	files    []string // of truth, of those without SDK
	recorder *recorder
	heads    []string // that came to the recorder once it was warm
}

// start starts the links of a mixture, the last one first. Those with an SDK are
// told more.
func (m *mixer) start(number int, text string, sdk string) *mixture {
	m.Helper()
	languages := strings.Fields(text)
	x := &mixture{
		name: text, services: make([]string, len(languages)), files: make([]string, len(languages)),
		recorder: record(m.T, m.hosts[2]),
	}
	x.url = x.recorder.url
	for i := len(languages) - 1; i >= 0; i-- {
		host := i % 2
		x.services[i] = fmt.Sprintf("m%d-%d-%s", number, i, languages[i])
		x.files[i] = filepath.Join(m.scene.Dir, "truth-"+x.services[i])
		link := links.Link{Language: languages[i], Service: x.services[i], Next: x.url, Truth: x.files[i]}
		if x.traced(i) {
			link.Env = []string{sdk, "OTEL_EXPORTER_OTLP_ENDPOINT=" + m.otlp[host], "OTEL_EXPORTER_OTLP_INSECURE=true"}
		}
		var err error
		if x.url, err = m.kit.Start(m.Context(), m.hosts[host], link); err != nil {
			m.Fatal(err)
		}
	}
	return x
}

// traced says whether a link traces itself.
func (x *mixture) traced(link int) bool { return strings.HasSuffix(x.services[link], links.WithSDK) }

// warm sends requests until one made a whole trace: see warmUntil.
func (x *mixture) warm(m *mixer) {
	m.Helper()
	x.warmUntil(m, func(head string) error {
		got, err := contextOf(head)
		if err != nil {
			return err
		}
		spans, err := m.jaeger.Trace(m.Context(), got.trace)
		if err != nil {
			return err
		}
		return x.story(spans, head)
	})
}

// warmUntil sends requests one after the other until a check finds no fault with
// the head that one of them has left with the recorder. As spans are exported after
// a while, all that came are looked at again. Then it sends some more.
func (x *mixture) warmUntil(m *mixer, check func(head string) error) {
	m.Helper()
	client := clientOn(m.hosts[2], 1)
	defer client.CloseIdleConnections()
	var heads []string
	if err := rig.Until(m.Context(), x.name+" to be warm", func(context.Context) error {
		if err := drain(client, fmt.Sprintf("%s?id=warm-%d", x.url, len(heads))); err != nil {
			return err
		}
		heads = append(heads, x.recorder.take()...)
		fault := errors.New("nothing arrives")
		for _, head := range heads {
			if fault = check(head); fault == nil {
				return nil
			}
		}
		return fmt.Errorf("the head %q: %w", heads[len(heads)-1:], fault)
	}); err != nil {
		m.Fatal(err)
	}
	for range mixedTrial {
		if err := drain(client, x.url+"?id=trial"); err != nil {
			m.Fatal(err)
		}
	}
	x.recorder.take()
}

// exercise sends the requests.
func (x *mixture) exercise(m *mixer) {
	m.Helper()
	client := clientOn(m.hosts[2], mixedFlight)
	defer client.CloseIdleConnections()
	next := make(chan int)
	var flight sync.WaitGroup
	for range mixedFlight {
		flight.Go(func() {
			for n := range next {
				if err := drain(client, fmt.Sprintf("%s?id=%d", x.url, n)); err != nil {
					m.Errorf("%s: %v", x.name, err)
				}
			}
		})
	}
	for n := range mixedRequests {
		next <- n
	}
	close(next)
	flight.Wait()
	x.heads = x.recorder.take()
}

// check checks the traces of all requests.
func (x *mixture) check(t *testing.T, traces map[string]rig.Spans) {
	seen := make(map[string]bool)
	for _, head := range x.heads {
		got, err := contextOf(head)
		if err != nil {
			t.Error(err)
			continue
		}
		if seen[got.trace] {
			t.Errorf("two requests are in trace %s", got.trace)
		}
		seen[got.trace] = true
		if got.flags != "01" {
			t.Errorf("trace %s goes on with the flags %s", got.trace, got.flags)
		}
		if err := x.story(traces[got.trace], head); err != nil {
			t.Errorf("%v; with the head %q, and the spans\n%v", err, head, traces[got.trace])
		}
		want := []string(nil) // a state is said only by whoever begins the trace
		if x.traced(0) {
			want = []string{aState}
		}
		if got := headers(head, "tracestate"); !slices.Equal(got, want) {
			t.Errorf("tracestate arrived as %q, want %q, in %q", got, want, head)
		}
	}
	if len(seen) != mixedRequests {
		t.Errorf("the last program got %d requests in %d traces, want %d", len(x.heads), len(seen), mixedRequests)
	}
}
