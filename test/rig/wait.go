package rig

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Patience is how long the rig waits for what must happen. It decides only how
// long a failing test takes.
const Patience = 60 * time.Second

// Until calls try until it returns nil, or for as long as Patience and ctx
// allow; then it returns the last error of try.
func Until(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-tick.C:
		}
	}
}

// Listening waits until somebody listens at the address, or p has ended.
func Listening(ctx context.Context, p *Process, network, address string) error {
	return Reached(ctx, p, address, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Reached calls try until it returns nil, as Until does, or p has ended.
func Reached(ctx context.Context, p *Process, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return Until(ctx, p.Name+" at "+what, func(ctx context.Context) error {
		if !p.Running() {
			cancel()
			return fmt.Errorf("%w\n%s%s", p.ended(), p.Output(), p.Errors())
		}
		return try(ctx)
	})
}
