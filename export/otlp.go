// Package export hands finished spans on: to a backend over OTLP/gRPC, or to a
// person or program reading the console. It also serves the agent's own health
// and metrics.
//
// The exporters never block the stage before them: what does not fit in a
// bounded store is dropped and counted.
package export

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/clewtrace/clew/context/assemble"
)

// OTLP sends spans to a backend in batches.
//
// Life: NewOTLP, then Run in a goroutine of its own and Export from any, then
// Close once. Close makes Run return and sends what is still waiting.
type OTLP struct {
	batching Batching
	client   otlptrace.Client
	backend  *backend
	counts   tally

	queue chan *assemble.Span
	ready chan struct{} // a full batch waits in the queue
	stop  chan struct{} // closed by Close

	// sender is held by whoever fills and sends the batch: Run, then Close.
	sender chan struct{}
	batch  *batch

	// life ends all requests when the deadline of Close has passed.
	life context.Context
	end  context.CancelFunc

	closing sync.RWMutex // held for reading by Export, so that Close misses no span
	closed  bool
}

// Option changes how an OTLP exporter is made.
type Option func(*options)

type options struct {
	version  string
	batching *Batching
	client   []otlptracegrpc.Option
}

// WithVersion sets the version of the instrumentation scope: the agent's own.
func WithVersion(version string) Option {
	return func(o *options) { o.version = version }
}

// WithBatching replaces what OTEL_BSP_* say.
func WithBatching(b Batching) Option {
	return func(o *options) { o.batching = &b }
}

// WithClient adds options to the OTLP client; they win over its environment
// variables.
func WithClient(opts ...otlptracegrpc.Option) Option {
	return func(o *options) { o.client = append(o.client, opts...) }
}

// NewOTLP prepares an exporter that is configured by the standard environment
// variables OTEL_EXPORTER_OTLP_* and OTEL_BSP_*. It fails when one of them is
// bad and does not wait for the backend. A resource always comes from the span's
// process: OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME of the agent play no
// part.
func NewOTLP(ctx context.Context, log *zap.Logger, opts ...Option) (*OTLP, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if err := CheckOTLPEnv(os.Getenv); err != nil {
		return nil, fmt.Errorf("configure OTLP exporter: %w", err)
	}
	if o.batching == nil {
		b, err := BatchingFromEnv(os.Getenv)
		if err != nil {
			return nil, fmt.Errorf("configure OTLP exporter: %w", err)
		}
		o.batching = &b
	}
	if err := o.batching.check(); err != nil {
		return nil, fmt.Errorf("configure OTLP exporter: %w", err)
	}
	client := otlptracegrpc.NewClient(append(clientDefaults(), o.client...)...)
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("start OTLP client: %w", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	return &OTLP{
		batching: *o.batching,
		client:   client,
		backend:  &backend{log: log},
		queue:    make(chan *assemble.Span, o.batching.Queue),
		ready:    make(chan struct{}, 1),
		stop:     make(chan struct{}),
		sender:   make(chan struct{}, 1),
		batch:    newBatch(o.version),
		life:     life,
		end:      end,
	}, nil
}

// clientDefaults lets a backend that comes back be noticed within seconds. The
// defaults of the client wait up to 30 s between tries and those of gRPC up to
// two minutes between connections, which suits a mobile phone more than a node.
func clientDefaults() []otlptracegrpc.Option {
	connect := grpc.ConnectParams{
		Backoff: backoff.Config{
			BaseDelay:  500 * time.Millisecond,
			Multiplier: 1.6,
			Jitter:     0.2,
			MaxDelay:   5 * time.Second,
		},
		MinConnectTimeout: 5 * time.Second,
	}
	return []otlptracegrpc.Option{
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled:         true,
			InitialInterval: time.Second,
			MaxInterval:     5 * time.Second,
			MaxElapsedTime:  time.Minute,
		}),
		otlptracegrpc.WithDialOption(
			grpc.WithConnectParams(connect),
			grpc.WithChainUnaryInterceptor(observeReply),
		),
	}
}

// Export takes a span to be sent soon, or drops and counts it. It never blocks.
func (o *OTLP) Export(s *assemble.Span) {
	o.counts.seen.Add(1)
	o.closing.RLock()
	defer o.closing.RUnlock()
	if o.closed {
		o.counts.shutdown.Add(1)
		return
	}
	select {
	case o.queue <- s:
	default:
		o.counts.queueFull.Add(1)
	}
	// One wake-up a batch, not one a span.
	if len(o.queue) >= o.batching.Size {
		select {
		case o.ready <- struct{}{}:
		default:
		}
	}
}

// Run sends spans until Close is called or ctx ends; a request on its way is
// finished even then, and only the deadline of Close cuts it short. What still
// waits is left to Close. The error is always nil.
func (o *OTLP) Run(ctx context.Context) error {
	select {
	case o.sender <- struct{}{}:
		defer func() { <-o.sender }()
	case <-o.stop: // Close came first, and keeps sender
		return nil
	}

	probing, stopProbe := context.WithCancel(o.life)
	var probe sync.WaitGroup
	probe.Go(func() { o.probe(probing) })
	defer probe.Wait()
	defer stopProbe()

	tick := time.NewTicker(o.batching.Delay)
	defer tick.Stop()
	for {
		least := 1
		select {
		case <-ctx.Done():
			return nil
		case <-o.stop:
			return nil
		case <-o.ready:
			least = o.batching.Size
		case <-tick.C:
		}
		for len(o.queue) >= least && ctx.Err() == nil && !o.stopped() {
			o.sendBatch()
		}
	}
}

func (o *OTLP) stopped() bool {
	select {
	case <-o.stop:
		return true
	default:
		return false
	}
}

// sendBatch sends one batch of what waits in the queue, and counts its spans.
// The caller holds sender.
func (o *OTLP) sendBatch() {
	defer o.batch.reset()
	for !o.batch.full(o.batching.Size) {
		select {
		case s := <-o.queue:
			o.batch.add(s)
			continue
		default:
		}
		break
	}
	n := uint64(o.batch.spans)
	if n == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(o.life, o.batching.Timeout)
	defer cancel()
	rejected, err := o.upload(ctx, o.batch.messages())
	switch {
	case err == nil:
		rejected = min(rejected, n)
		o.counts.rejected.Add(rejected)
		o.counts.kept.Add(n - rejected)
	case o.life.Err() != nil:
		o.counts.shutdown.Add(n)
	default:
		o.counts.exportFailed.Add(n)
	}
}

// upload makes one request, retried by the client within its limits, and tells
// how many of the spans the backend refused although it took the request.
func (o *OTLP) upload(ctx context.Context, spans []*tracepb.ResourceSpans) (rejected uint64, err error) {
	var r reply
	// A partial success is an error to the client; the reply tells it from a
	// request that failed.
	err = o.client.UploadTraces(context.WithValue(ctx, replyKey{}, &r), spans)
	if err != nil && !r.accepted {
		if o.life.Err() == nil {
			o.backend.failed(err, o.counts.lost())
		}
		return 0, err
	}
	o.backend.succeeded(o.counts.lost())
	if r.rejected > 0 || r.message != "" {
		o.backend.objected(r)
	}
	return r.rejected, nil
}

// probe sends empty requests until the backend has accepted anything, so that
// readiness needs no traffic, and a wrong address is known at the start.
func (o *OTLP) probe(ctx context.Context) {
	pause := time.Second
	for !o.Accepted() {
		// Short, so that the first failure is told soon.
		request, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err := o.upload(request, nil)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// Accepted reports whether the backend has accepted a request since the start.
func (o *OTLP) Accepted() bool { return o.backend.accepted.Load() }

// Close stops taking spans, sends those that wait until ctx ends, counts the
// rest as lost, and frees the connection. The error says how many were lost.
func (o *OTLP) Close(ctx context.Context) error {
	o.closing.Lock()
	if o.closed {
		o.closing.Unlock()
		return nil
	}
	o.closed = true
	o.closing.Unlock()
	close(o.stop)

	defer o.end()
	stopWatching := context.AfterFunc(ctx, o.end)
	defer stopWatching()
	o.sender <- struct{}{} // Run lets go soon, at the latest when ctx ends
	for len(o.queue) > 0 && ctx.Err() == nil {
		o.sendBatch()
	}
	left := len(o.queue)
	o.counts.shutdown.Add(uint64(left))
	for range left {
		<-o.queue
	}
	// No request is on its way any more, so this does not wait.
	if err := o.client.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stop OTLP client: %w", err)
	}
	if n := o.counts.shutdown.Load(); n > 0 {
		return fmt.Errorf("flush spans: %d not sent", n)
	}
	return nil
}

// Counts reports what became of the spans given to Export: kept means accepted
// by the backend; dropped comes with a reason.
func (o *OTLP) Counts(report func(outcome, reason string, n uint64)) {
	// Drops are read before what was seen, so that a sum never exceeds it.
	report("kept", "", o.counts.kept.Load())
	report("dropped", reasonQueueFull, o.counts.queueFull.Load())
	report("dropped", reasonExportFailed, o.counts.exportFailed.Load())
	report("dropped", reasonRejected, o.counts.rejected.Load())
	report("dropped", reasonShutdown, o.counts.shutdown.Load())
	report("seen", "", o.counts.seen.Load())
}

// Waiting returns how many spans wait to be sent, and how many may.
func (o *OTLP) Waiting() (spans, limit int) { return len(o.queue), cap(o.queue) }
