package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// jaegerConfig is an all-in-one Jaeger in memory. There is no batch processor,
// so that what has been accepted can be queried at once.
const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics: {level: none}
    logs: {level: warn}
extensions:
  jaeger_storage:
    backends:
      memory:
        memory: {max_traces: 200000}
  jaeger_query:
    storage: {traces: memory}
    grpc: {endpoint: 127.0.0.1:%d}
    http: {endpoint: 127.0.0.1:%d}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: 127.0.0.1:%d}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
`

// Jaeger is a running Jaeger with its store in memory.
type Jaeger struct {
	*Process
	// Endpoint is the value of OTEL_EXPORTER_OTLP_ENDPOINT.
	Endpoint string

	query string // URL of the query API
}

// StartJaeger runs the Jaeger that test/install has built, outside the scene's
// cgroup, and waits until it answers. Port is where OTLP/gRPC comes in, 0 for
// any.
func StartJaeger(ctx context.Context, s *Scene, port int) (*Jaeger, error) {
	binary, err := jaegerBinary()
	if err != nil {
		return nil, err
	}
	ports := []int{0, 0, port}
	for i := range ports {
		if ports[i] == 0 {
			if ports[i], err = FreePort(); err != nil {
				return nil, err
			}
		}
	}
	config := filepath.Join(s.Dir, fmt.Sprintf("jaeger-%d.yaml", ports[2]))
	text := fmt.Sprintf(jaegerConfig, ports[0], ports[1], ports[2])
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("configure jaeger: %w", err)
	}
	process, err := s.StartOutside(Command{Name: "jaeger", Path: binary, Args: []string{"--config", config}})
	if err != nil {
		return nil, err
	}
	j := &Jaeger{
		Process:  process,
		Endpoint: fmt.Sprintf("http://127.0.0.1:%d", ports[2]),
		query:    fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
	}
	if err := Listening(ctx, process, "tcp", fmt.Sprintf("127.0.0.1:%d", ports[2])); err != nil {
		return nil, err
	}
	return j, Until(ctx, "jaeger's query API", func(ctx context.Context) error {
		_, err := j.Services(ctx)
		return err
	})
}

// jaegerBinary finds what test/install has built.
func jaegerBinary() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find jaeger: %w", err)
	}
	built, err := filepath.Glob(filepath.Join(cache, "clew", "jaeger-*[0-9]"))
	if err != nil || len(built) == 0 {
		return "", errors.New("find jaeger: not built; run test/install")
	}
	slices.Sort(built)
	return built[len(built)-1], nil
}

// Services are the names of all services that have spans.
func (j *Jaeger) Services(ctx context.Context) ([]string, error) {
	var names []string
	err := j.get(ctx, "/api/services", &names)
	return names, err
}

// Spans are all spans of all services, in the order of their start.
func (j *Jaeger) Spans(ctx context.Context) (Spans, error) {
	services, err := j.Services(ctx)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool) // a trace comes once for each of its services
	var spans Spans
	for _, service := range services {
		query := url.Values{
			"service": {service}, "limit": {"200000"},
			"start": {strconv.FormatInt(time.Now().Add(-24*time.Hour).UnixMicro(), 10)},
			"end":   {strconv.FormatInt(time.Now().Add(time.Hour).UnixMicro(), 10)},
		}
		var traces []jaegerTrace
		if err := j.get(ctx, "/api/traces?"+query.Encode(), &traces); err != nil {
			return nil, err
		}
		for _, t := range traces {
			if !seen[t.TraceID] {
				spans = append(spans, t.typed()...)
			}
			seen[t.TraceID] = true
		}
	}
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans, nil
}

// Trace are the spans of one trace, none when Jaeger does not know it.
func (j *Jaeger) Trace(ctx context.Context, id string) (Spans, error) {
	var traces []jaegerTrace
	if err := j.get(ctx, "/api/traces/"+id, &traces); err != nil {
		return nil, err
	}
	var spans Spans
	for _, t := range traces {
		spans = append(spans, t.typed()...)
	}
	return spans, nil
}

// get decodes the data of an answer of the query API.
func (j *Jaeger) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.query+path, nil)
	if err != nil {
		return fmt.Errorf("ask jaeger: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask jaeger: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask jaeger for %s: %s", path, response.Status)
	}
	answer := struct{ Data any }{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read jaeger's answer: %w", err)
	}
	return nil
}

// jaegerTrace is a trace as the query API writes it.
type jaegerTrace struct {
	TraceID string
	Spans   []struct {
		TraceID, SpanID, OperationName string
		References                     []struct{ RefType, TraceID, SpanID string }
		StartTime, Duration            int64 // µs
		Tags                           tags
		Logs                           []struct {
			Timestamp int64
			Fields    tags
		}
		ProcessID string
	}
	Processes map[string]struct {
		ServiceName string
		Tags        tags
	}
}

type tags []struct {
	Key   string
	Value any
}

func (t tags) text() map[string]string {
	values := make(map[string]string, len(t))
	for _, tag := range t {
		switch v := tag.Value.(type) {
		case float64: // a JSON number; no %v, which writes 1e+06
			values[tag.Key] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			values[tag.Key] = fmt.Sprint(v)
		}
	}
	return values
}

func (t jaegerTrace) typed() Spans {
	spans := make(Spans, 0, len(t.Spans))
	for _, raw := range t.Spans {
		process := t.Processes[raw.ProcessID]
		attributes := raw.Tags.text()
		span := Span{
			TraceID: raw.TraceID, SpanID: raw.SpanID,
			Service: process.ServiceName, Name: raw.OperationName, Kind: attributes["span.kind"],
			Failed: attributes["otel.status_code"] == "ERROR", Message: attributes["otel.status_description"],
			Start:      time.UnixMicro(raw.StartTime),
			End:        time.UnixMicro(raw.StartTime + raw.Duration),
			Attributes: attributes, Resource: process.Tags.text(),
			Events: make(map[string]time.Time),
		}
		for _, r := range raw.References {
			if r.RefType == "CHILD_OF" {
				span.ParentID = strings.ToLower(r.SpanID)
			}
		}
		for _, log := range raw.Logs {
			span.Events[log.Fields.text()["event"]] = time.UnixMicro(log.Timestamp)
		}
		spans = append(spans, span)
	}
	return spans
}
