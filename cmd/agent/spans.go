package main

import (
	"context"
	"sync"
	"time"

	"github.com/clewtrace/clew/context/assemble"
	"github.com/clewtrace/clew/context/workload"
	"github.com/clewtrace/clew/probes/protocol"
)

// expireEvery is how often requests without a response are looked for. Their
// patience is minutes, so a second more does not matter.
const expireEvery = time.Second

// spans is the middle of the agent, from messages to spans. Its two stages
// expect one caller at a time; the lock is there for the clock, which comes
// once a second, and is free to the reader of the ring otherwise.
type spans struct {
	mu            sync.Mutex
	conversations *protocol.Conversations
	assembler     *assemble.Assembler
}

func newSpans(c config, process func(uint32) *workload.Process, listens func(uint32) bool, emit func(*assemble.Span)) *spans {
	s := &spans{}
	s.assembler = assemble.New(assemble.Options{Process: process, Listens: listens, Emit: emit})
	s.conversations = protocol.New(protocol.Options{
		Headers:    c.captureHeaders,
		Sampler:    c.sampler,
		KeepErrors: c.keepErrors,
		KeepSlow:   c.keepSlow,
		Statement:  c.statement,
		Entered:    s.assembler.Entered,
		Emit:       s.assembler.Handle,
	})
	return s
}

// message takes a message of the kernel.
func (s *spans) message(m *protocol.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conversations.Handle(m)
}

// segment takes a segment of the kernel.
func (s *spans) segment(m *protocol.Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conversations.Segment(m)
}

// run lets time pass for the stages until ctx ends.
func (s *spans) run(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.mu.Lock()
			s.conversations.Expire(now)
			s.mu.Unlock()
		}
	}
}
