// Otelhop is a link of a chain that traces itself: net/http with otelhttp and the
// OpenTelemetry SDK, which is told by its own environment as well. See package
// chain of ../../programs for what a link is told. TRACESTATE is what it says in
// the traces that it begins.
package main

import (
	"context"
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

func main() {
	if err := instrument(); err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	hop := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := call(r.Context(), client, os.Getenv("NEXT"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = w.Write(append([]byte("go with an SDK\n"), body...)) // a client that has gone is no business of ours
	})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), otelhttp.NewHandler(hop, "hop")))
}

// instrument sets the SDK up. Spans are exported as they end.
func instrument() error {
	exporter, err := otlptracegrpc.New(context.Background())
	if err != nil {
		return err
	}
	options := []trace.TracerProviderOption{trace.WithSyncer(exporter)}
	if text := os.Getenv("TRACESTATE"); text != "" {
		state, err := api.ParseTraceState(text)
		if err != nil {
			return err
		}
		options = append(options, trace.WithSampler(trace.ParentBased(stating{trace.AlwaysSample(), state})))
	}
	otel.SetTracerProvider(trace.NewTracerProvider(options...))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return nil
}

// stating is a sampler which states something.
type stating struct {
	trace.Sampler
	state api.TraceState
}

func (s stating) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	result := s.Sampler.ShouldSample(p)
	result.Tracestate = s.state
	return result
}

// call makes a request to the next link, if there is one.
func call(ctx context.Context, client *http.Client, next string) ([]byte, error) {
	if next == "" {
		return nil, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, next+"?id="+rand.Text(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
