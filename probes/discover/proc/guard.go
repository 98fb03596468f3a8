package proc

import "time"

// Guard runs calls that may hang, and gives up waiting for one that does.
// Reading a process's command line, environment or maps takes the lock of its
// memory, and a path in its root may lie on a dead network filesystem: either
// can hold a reader for ever, and one sick process must not stop the agent from
// seeing all others.
type Guard struct {
	slots chan struct{}
	limit time.Duration
}

// NewGuard returns a guard that waits at most limit for a call and lets at most
// calls of them run, or hang, at a time; more are refused until one returns.
func NewGuard(calls int, limit time.Duration) *Guard {
	return &Guard{slots: make(chan struct{}, calls), limit: limit}
}

// Within returns what call returned, and true; or false when it did not return
// in time, or when so many calls hang already that it was not tried. A call
// that is given up goes on alone and must share nothing with the caller.
func Within[T any](g *Guard, call func() T) (T, bool) {
	var none T
	select {
	case g.slots <- struct{}{}:
	default:
		return none, false // waiting would make one sick process everybody's delay
	}
	timer := time.NewTimer(g.limit)
	defer timer.Stop()
	done := make(chan T, 1)
	go func() {
		result := call()
		<-g.slots // first: who has the result may call again at once
		done <- result
	}()
	select {
	case result := <-done:
		return result, true
	case <-timer.C:
		return none, false
	}
}
