package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/clewtrace/clew/context/assemble"
)

// ConsoleOptions say how traces are printed. The zero value prints trees
// without colours, 110 columns wide.
type ConsoleOptions struct {
	JSON  bool // one object a span and line, instead of trees
	Color bool
	// Width returns the number of columns, asked anew for each trace; nil or
	// a result of 0 means 110.
	Width func() int

	// Settle is how long a trace must be quiet to be printed, 1 s by default.
	// A trace that is not complete is printed after MaxAge, 60 s.
	Settle, MaxAge time.Duration
	// MaxTraces bounds the traces that are kept at a time, 1000 by default,
	// and MaxSpans the spans of one trace, 1000.
	MaxTraces, MaxSpans int
}

// ForTerminal completes the options for a file that may be a terminal: colours
// only there, and unless NO_COLOR is set or TERM says it has none; its width.
func (o ConsoleOptions) ForTerminal(file *os.File, getenv func(string) string) ConsoleOptions {
	fd := int(file.Fd())
	if !term.IsTerminal(fd) {
		return o
	}
	o.Color = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	o.Width = func() int {
		columns, _, err := term.GetSize(fd)
		if err != nil {
			return 0
		}
		return columns
	}
	return o
}

func (o *ConsoleOptions) setDefaults() {
	if o.Settle <= 0 {
		o.Settle = time.Second
	}
	if o.MaxAge <= 0 {
		o.MaxAge = time.Minute
	}
	if o.MaxTraces <= 0 {
		o.MaxTraces = 1000
	}
	if o.MaxSpans <= 0 {
		o.MaxSpans = 1000
	}
}

// consoleTick is how often the console looks for traces to print.
const consoleTick = 100 * time.Millisecond

// streamLimit is how many spans may wait for a slow reader of JSON.
const streamLimit = 10_000

// store keeps spans until they are due.
type store interface {
	add(now time.Time, s *assemble.Span) (refused string)
	take(now time.Time, all bool) []*trace
}

// Console prints traces, for people as trees or for programs as JSON.
//
// Life: NewConsole, then Run in a goroutine of its own and Export from any,
// then Close once. Close makes Run return and prints what is still kept.
type Console struct {
	out     io.Writer
	options ConsoleOptions
	counts  tally
	stop    chan struct{} // closed by Close
	writer  chan struct{} // held by whoever writes: Run, then Close
	buffer  bytes.Buffer  // of the writer
	told    uint64        // drops that the reader has been told of

	mu     sync.Mutex // guards what is below
	store  store
	closed bool
}

// NewConsole makes a console that writes to w.
func NewConsole(w io.Writer, options ConsoleOptions) *Console {
	options.setDefaults()
	c := &Console{
		out:     w,
		options: options,
		stop:    make(chan struct{}),
		writer:  make(chan struct{}, 1),
	}
	if options.JSON {
		c.store = &stream{max: streamLimit}
	} else {
		c.store = newGatherer(limits{options.Settle, options.MaxAge, options.MaxTraces, options.MaxSpans})
	}
	return c
}

// Export takes a span to be printed, or drops and counts it. It never waits for
// the writer.
func (c *Console) Export(s *assemble.Span) {
	c.counts.seen.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.counts.shutdown.Add(1)
		return
	}
	switch c.store.add(time.Now(), s) {
	case reasonTraces:
		c.counts.traces.Add(1)
	case reasonTraceFull:
		c.counts.traceFull.Add(1)
	case reasonQueueFull:
		c.counts.queueFull.Add(1)
	}
}

// Run prints traces as they become complete, until Close is called or ctx ends.
// What is still kept then is left to Close. It fails when it cannot write.
func (c *Console) Run(ctx context.Context) error {
	select {
	case c.writer <- struct{}{}:
		defer func() { <-c.writer }()
	case <-c.stop: // Close came first
		return nil
	}
	tick := time.NewTicker(consoleTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.stop:
			return nil
		case <-tick.C:
			if err := c.print(false); err != nil {
				return err
			}
		}
	}
}

// print writes the traces that are due, or all. The caller holds writer.
func (c *Console) print(all bool) error {
	c.mu.Lock()
	due := c.store.take(time.Now(), all)
	c.mu.Unlock()
	var failed error
	for _, t := range due {
		n := uint64(len(t.spans))
		if failed == nil {
			failed = c.write(t)
		}
		if failed != nil {
			c.counts.write.Add(n)
			continue
		}
		c.counts.kept.Add(n)
	}
	return failed
}

func (c *Console) write(t *trace) error {
	c.buffer.Reset()
	if c.options.JSON {
		if err := renderJSON(&c.buffer, t); err != nil {
			return fmt.Errorf("encode spans: %w", err)
		}
	} else {
		r := renderer{width: defaultWidth, color: c.options.Color}
		if c.options.Width != nil {
			if w := c.options.Width(); w > 0 {
				r.width = w
			}
		}
		r.render(&c.buffer, t)
		if lost := c.counts.lost(); lost > c.told {
			fmt.Fprintf(&c.buffer, "… %s not shown: more traffic than the console keeps up with\n\n",
				plural(int(lost-c.told), "span"))
			c.told = lost
		}
	}
	if _, err := c.out.Write(c.buffer.Bytes()); err != nil {
		return fmt.Errorf("write to console: %w", err)
	}
	return nil
}

// Close stops taking spans and prints those that are kept, also of unfinished
// traces, until ctx ends.
func (c *Console) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	close(c.stop)

	// A reader that has stopped reading must not keep the agent from ending.
	printed := make(chan error, 1)
	go func() {
		c.writer <- struct{}{}
		defer func() { <-c.writer }()
		printed <- c.print(true)
	}()
	select {
	case err := <-printed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("flush console: %w", ctx.Err())
	}
}

// Counts reports what became of the spans given to Export: kept means printed;
// dropped comes with a reason.
func (c *Console) Counts(report func(outcome, reason string, n uint64)) {
	report("kept", "", c.counts.kept.Load())
	report("dropped", reasonQueueFull, c.counts.queueFull.Load())
	report("dropped", reasonTraces, c.counts.traces.Load())
	report("dropped", reasonTraceFull, c.counts.traceFull.Load())
	report("dropped", reasonWrite, c.counts.write.Load())
	report("dropped", reasonShutdown, c.counts.shutdown.Load())
	report("seen", "", c.counts.seen.Load())
}
