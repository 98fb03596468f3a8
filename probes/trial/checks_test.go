package trial

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// report collects the lines of a trial.
func report(checks []check, through through) (steps, faults []string) {
	carryOut(checks, through, func(l line) {
		if l.Step != "" {
			steps = append(steps, l.Step)
		}
		if l.Reason != "" {
			faults = append(faults, steps[len(steps)-1]+": "+l.Reason)
		}
	})
	return steps, faults
}

func names(checks []check) []string {
	var all []string
	for _, c := range checks {
		all = append(all, c.name)
	}
	return all
}

// What does no harm passes: a relay that writes headers as it should, and no relay
// at all where none are asked for.
func TestNothingWrong(t *testing.T) {
	for name, c := range map[string]struct {
		checks  []check
		through through
	}{
		Headers:           {headerChecks, newRelay(t, inject, fault{}).through},
		TCP:               {optionChecks, direct},
		TCP + " by relay": {optionChecks, newRelay(t, leave, fault{}).through},
	} {
		steps, faults := report(c.checks, c.through)
		if len(faults) > 0 || !slices.Equal(steps, names(c.checks)) {
			t.Errorf("%s: steps %v, faults %q", name, steps, faults)
		}
	}
}

// Where no header is written, the first check says so and the others are not made.
func TestNotInjected(t *testing.T) {
	steps, faults := report(headerChecks, direct)
	if len(steps) != 1 || len(faults) != 1 || !strings.Contains(faults[0], "no request carries a traceparent") {
		t.Errorf("steps %v, faults %q", steps, faults)
	}
}

var headerFaults = []struct {
	fault  fault
	reason string // is in what the check says
}{
	{fault{check: "header", head: insert("\n")}, "the head arrives altered"},
	{fault{check: "header", head: insert(exampleField + exampleField)}, "altered behind the traceparent"},
	{fault{check: "header", head: func(h []byte) []byte { return append(shorten(shorten(slices.Clone(h))), exampleField+"\r\n"...) }},
		"the head arrives altered"},
	{fault{check: "header", head: func(h []byte) []byte { return append([]byte(exampleField), h...) }}, "the request line arrives altered"},
	{fault{check: "header", head: insert(strings.ToUpper(exampleField[:20]) + exampleField[20:])}, "the head arrives altered"},
	{fault{check: "header", head: insert(strings.Replace(exampleField, "0af7", "0AF7", 1))}, "malformed"},
	{fault{check: "header", head: insert(strings.Replace(exampleField, "b7ad6b7169203331", "0000000000000000", 1))}, "malformed"},
	{fault{check: "header", head: insert(strings.Replace(exampleField, ": 00-", ": 01-", 1))}, "malformed"},
	{fault{check: "header", head: insert(strings.Replace(exampleField, "\r", "", 1))}, "altered behind the traceparent"},
	{fault{check: "header", lost: true, head: func(h []byte) []byte { return shorten(inject(h)) }}, "misses the end of the head"},
	{fault{check: "header", head: func(h []byte) []byte { return lengthen(inject(h)) }}, "receives more than was sent"},
	{fault{check: "header", answer: only(1, flip)}, "the answer arrives altered"},
	{fault{check: "header", lost: true, answerStays: true}, "the client sees no end"},
	{fault{check: "fionread", lost: true, answer: only(2, func(b []byte) []byte { return b[:500] })}, "MSG_PEEK sees 500 of 1000 bytes"},
	{fault{check: "readiness", answer: only(1, lengthen)}, "poll says readable before there is an answer"},
	{fault{check: "readiness", lost: true, answer: only(2, drop)}, "epoll does not say readable"},
	{fault{check: "readiness", answer: only(2, flip)}, "MSG_PEEK sees arrives altered"},
	{fault{check: "readiness", lost: true, answer: only(2, shorten)}, "MSG_PEEK sees 299 of 300"},
	{fault{check: "readiness", answer: only(2, lengthen)}, "MSG_PEEK sees 301 of 300"},
	{fault{check: "half-close", lost: true, keepOpen: true}, "the server sees no end of the stream"},
	{fault{check: "half-close", lost: true, answerStays: true}, "the client sees no end of the stream"},
	{fault{check: "half-close", lost: true, answer: only(2, drop)}, "the answer after a half-close is missed"},
	{fault{check: "body", body: flip}, "the body arrives altered at byte 1572864 of 3145728"},
	{fault{check: "body", lost: true, body: shorten}, "misses the body after 3145727 of 3145728 bytes"},
	{fault{check: "body", body: lengthen}, ""}, // seen as surplus, or before the next request
	{fault{check: "sendfile", body: flip}, "the body arrives altered"},
	{fault{check: "sendfile", lost: true, body: shorten}, "misses the body"},
	{fault{check: "splice", answer: only(2, flip)}, "received by splice arrives altered"},
	{fault{check: "splice", lost: true, answer: only(2, drop)}, "splice: after "},
	{fault{check: "body-apart", body: inject}, "looks like a request: the body arrives altered"},
	{fault{check: "continue", body: inject}, "looks like a request: the body arrives altered"},
	{fault{check: "continue", answer: only(2, flip)}, "100 Continue arrives altered"},
	{fault{check: "stall", delay: 40 * time.Millisecond}, "half of the requests take"},
	{fault{check: "ipv6", body: flip}, "over ::1: the body arrives altered"},
	{fault{check: "own-traceparent", head: insert(exampleField)}, "a traceparent is written where none may be"},
	{fault{check: "own-traceparent", head: func(h []byte) []byte { return inject([]byte(strings.Replace(string(h), "c0ffee", "decaf0", 1))) }},
		"with a traceparent of its own: the head arrives altered"},
}

var optionFaults = []struct {
	fault  fault
	reason string
}{
	{fault{check: "requests", head: inject}, "a traceparent is written where none may be"},
	{fault{check: "requests", delay: 40 * time.Millisecond}, "half of the requests take"},
	{fault{check: "bodies", body: flip}, "the body arrives altered"},
	{fault{check: "bodies", delay: 101 * time.Millisecond}, "half of the requests take"},
	{fault{check: "connections", head: inject}, "a traceparent is written where none may be"},
	{fault{check: "half-close", lost: true, keepOpen: true}, "the server sees no end of the stream"},
}

// Every fault is found by the check that it strikes, with a reason that fits. Many
// are waited for in vain, hence all at once.
func TestFaultsOfHeaders(t *testing.T) {
	found := map[string]bool{"fionread": true}
	for i, c := range headerFaults {
		found[c.fault.check] = true
		t.Run(fmt.Sprintf("%d %s", i, c.fault.check), func(t *testing.T) {
			t.Parallel()
			b := relayed(t, inject, c.fault)
			if c.fault.check != "header" {
				if err := b.join(); err != nil {
					t.Fatalf("nothing is wrong before it, but: %v", err)
				}
			}
			mustFind(t, b, headerChecks, c.fault.check, c.reason)
		})
	}
	allFound(t, headerChecks, found)
}

func TestFaultsOfOption(t *testing.T) {
	found := map[string]bool{}
	for i, c := range optionFaults {
		found[c.fault.check] = true
		t.Run(fmt.Sprintf("%d %s", i, c.fault.check), func(t *testing.T) {
			t.Parallel()
			b := relayed(t, leave, c.fault)
			// The first connection is left alone by a relay.
			if err := b.onAny(func(p *pair) error { return p.finish() }); err != nil {
				t.Fatal(err)
			}
			mustFind(t, b, optionChecks, c.fault.check, c.reason)
		})
	}
	allFound(t, optionChecks, found)
}

// allFound makes sure that every check is shown to be able to fail.
func allFound(t *testing.T, checks []check, found map[string]bool) {
	t.Helper()
	for _, name := range names(checks) {
		if !found[name] {
			t.Errorf("check %s is not shown to find anything", name)
		}
	}
}

// A kernel with the fault of FIONREAD answers 0 while there is something to read.
// No relay can make a socket do that.
func TestFIONREAD(t *testing.T) {
	b := relayed(t, inject, fault{})
	if err := b.join(); err != nil {
		t.Fatal(err)
	}
	if err := b.fionread(); err != nil {
		t.Errorf("a right answer is refused: %v", err)
	}
	b.waiting = func(int) (int, error) { return 0, nil }
	mustFind(t, b, headerChecks, "fionread", "FIONREAD reads 0 of 1000 on a socket with sk_msg")
}

// A real stall is found: a sender with Nagle's algorithm and a receiver that
// delays its acknowledgement wait for each other when a request comes in two
// writes. With the algorithm off they do not.
func TestNagle(t *testing.T) {
	b, err := newBench(loopback, direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	r := post("stall", noise(400)).by(inTwo)
	err = b.onAny(func(p *pair) error { return p.brisk(20, acknowledged, r, untouched) })
	if err == nil || !strings.Contains(err.Error(), "half of the requests take") {
		t.Errorf("with Nagle's algorithm: %v", err)
	}
	err = b.onAny(func(p *pair) error { return join(p.noDelay(), p.brisk(20, acknowledged, r, untouched)) })
	if err != nil {
		t.Errorf("without it: %v", err)
	}
}

// A destination that is not injected any more is no member to judge.
func TestMembershipLost(t *testing.T) {
	b := relayed(t, inject, fault{check: "body", head: leave, lost: true})
	if err := b.join(); err != nil {
		t.Fatal(err)
	}
	mustFind(t, b, headerChecks, "body", "no request carries a traceparent on a new connection")
}

func relayed(t *testing.T, head func([]byte) []byte, f fault) *bench {
	t.Helper()
	b, err := newBench(loopback, newRelay(t, head, f).through)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	if !f.lost {
		b.patience = 10 * time.Second // relays are slow on a busy machine
	}
	return b
}

func mustFind(t *testing.T, b *bench, checks []check, name, reason string) {
	t.Helper()
	i := slices.Index(names(checks), name)
	if i < 0 {
		t.Fatalf("there is no check %s", name)
	}
	switch err := checks[i].run(b); {
	case err == nil:
		t.Errorf("%s finds nothing, want %q", name, reason)
	case !strings.Contains(err.Error(), reason):
		t.Errorf("%s says %q, want %q in it", name, err, reason)
	case strings.Contains(err.Error(), "\n"):
		t.Errorf("%s says more than one line: %q", name, err)
	}
}

func TestAnswer(t *testing.T) {
	for _, size := range []int{answerSize, 1000, bodySize / 4} {
		if n := len(answer(size)); n != size {
			t.Errorf("an answer of %d bytes has %d", size, n)
		}
	}
}
