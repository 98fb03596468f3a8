package export

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// logPause is the shortest time between two log lines of a kind, so that a
// backend that comes and goes does not fill the log.
const logPause = 30 * time.Second

// backend remembers how the backend answers, to tell the operator when that
// changes: one line when it stops accepting, one when it starts again.
type backend struct {
	log      *zap.Logger
	accepted atomic.Bool // once, ever

	mu        sync.Mutex
	down      bool      // the last request failed
	told      bool      // and the log says so
	since     time.Time // when it went down
	lost      uint64    // spans lost before it went down
	lastTold  time.Time
	lastGripe time.Time // of partial success
}

func (b *backend) failed(err error, lost uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.down {
		b.down, b.told, b.since, b.lost = true, false, now, lost
	}
	if b.told || !b.lastTold.IsZero() && now.Sub(b.lastTold) < logPause {
		return
	}
	b.told, b.lastTold = true, now
	b.log.Warn("backend does not accept traces; retrying, spans are dropped and counted when the queue is full",
		zap.Error(err))
}

func (b *backend) succeeded(lost uint64) {
	b.accepted.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.down {
		return
	}
	b.down = false
	if b.told {
		b.log.Info("backend accepts traces again",
			zap.Duration("after", time.Since(b.since).Round(time.Millisecond)),
			zap.Uint64("spans_lost", lost-b.lost))
	}
}

func (b *backend) objected(r reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.lastGripe.IsZero() && now.Sub(b.lastGripe) < logPause {
		return
	}
	b.lastGripe = now
	b.log.Warn("backend rejected spans",
		zap.Uint64("spans", r.rejected), zap.String("message", r.message))
}

// reply is what the backend said to one request.
type reply struct {
	accepted bool
	rejected uint64
	message  string
}

type replyKey struct{}

// observeReply is a gRPC interceptor that fills the reply in the request's
// context. The client turns a partial success into an error of a type of its
// own; here the numbers are still at hand, and no global error handler is
// needed.
func observeReply(ctx context.Context, method string, request, response any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	err := invoke(ctx, method, request, response, conn, opts...)
	r, wanted := ctx.Value(replyKey{}).(*reply)
	message, known := response.(*coltracepb.ExportTraceServiceResponse)
	if err != nil || !wanted || !known {
		return err
	}
	r.accepted = true
	r.rejected = uint64(max(0, message.GetPartialSuccess().GetRejectedSpans()))
	r.message = message.GetPartialSuccess().GetErrorMessage()
	return nil
}
