package protocol

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/context/traceparent"
)

// model plays kernel and network: clients that wait or pipeline, servers that
// answer in order, a capture limit, a ring that loses records. Every request
// and its response carry the same number, so that a wrong pair shows itself.
type model struct {
	rand    *rand.Rand
	clock   time.Time
	next    int // number of the next request
	loss    float64
	capture int
	list    []Message
	serial  []string // requests of clients that wait, answered
}

// hop is one connection of the model.
type hop struct {
	id       uint64
	pipeline bool
	waiting  []int // numbers of requests that wait for their response
	lost     uint32
}

func (m *model) chance(p float64) bool { return m.rand.Float64() < p }

func (m *model) emit(l *hop, message Message) {
	if m.chance(m.loss) {
		l.lost++
		return
	}
	message.Connection, message.Lost, message.Role = l.id, l.lost, RoleServer
	message.First, message.Last = m.clock, m.clock
	message.Trace.Sampled = true
	m.list = append(m.list, message)
}

// send writes requests in one segment.
func (m *model) send(l *hop) {
	n := 1
	if l.pipeline && m.chance(0.6) {
		n += m.rand.IntN(4)
	}
	var segment bytes.Buffer
	for range n {
		m.next++
		body := ""
		switch m.rand.IntN(4) {
		case 0:
			body = strings.Repeat("b", m.rand.IntN(60))
			body = fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
		case 1:
			body = "Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"
		default:
			body = "\r\n"
		}
		fmt.Fprintf(&segment, "GET /?n=%d& HTTP/1.1\r\n%s", m.next, body)
		l.waiting = append(l.waiting, m.next)
	}
	head := segment.Bytes()
	truncated := len(head) > m.capture
	if truncated {
		head = head[:m.capture]
	}
	m.emit(l, Message{Part: PartRequest, Head: head, Truncated: truncated, Bytes: 40,
		Trace: Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}})
}

// answer writes the next responses in one segment.
func (m *model) answer(l *hop) {
	count := 1
	if m.chance(0.3) {
		count += m.rand.IntN(len(l.waiting))
	}
	var head []byte
	for _, n := range l.waiting[:count] {
		head = fmt.Appendf(head, "HTTP/1.1 200 OK\r\nX-Number: %d\r\nContent-Length: 1\r\n\r\n", n)
		if count > 1 {
			head = append(head, 'b')
		}
	}
	if !l.pipeline {
		m.serial = append(m.serial, fmt.Sprint(l.waiting[0]))
	}
	l.waiting = l.waiting[count:]
	complete := m.chance(0.6) || count > 1
	truncated := len(head) > m.capture
	if truncated {
		head = head[:m.capture]
	}
	m.emit(l, Message{Part: PartResponse, Head: head, Complete: complete, Truncated: truncated, Bytes: 60})
	if !complete {
		m.emit(l, Message{Part: PartEnd})
	}
}

// rescue reports an exchange that the kernel kept to itself until it was over.
func (m *model) rescue(l *hop) {
	m.next++
	m.emit(l, Message{Part: PartRequest, Rescued: true, Truncated: true, Bytes: 900,
		Head: fmt.Appendf(nil, "GET /?n=%d& HTTP/1.1\r\nHost: ", m.next), Trace: Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}})
	m.emit(l, Message{Part: PartResponse, Rescued: true, Complete: true,
		Head: fmt.Appendf(nil, "HTTP/1.1 500 No\r\nX-Number: %d\r\n\r\n", m.next)})
}

func (m *model) step(l *hop) {
	m.clock = m.clock.Add(time.Millisecond)
	limit := 1
	if l.pipeline {
		limit = 6
	}
	switch {
	case m.chance(0.05):
		m.rescue(l)
	case len(l.waiting) < limit && m.chance(0.5):
		m.send(l)
	case len(l.waiting) > 0:
		m.answer(l)
	}
}

// play runs the model for so many steps and returns its records.
func play(seed uint64, steps int, loss float64, capture int) *model {
	m := &model{rand: rand.New(rand.NewPCG(seed, 1)), clock: epoch, loss: loss, capture: capture}
	var links []*hop
	for i := range 6 {
		links = append(links, &hop{id: uint64(i), pipeline: i%2 == 1})
	}
	for range steps {
		l := links[m.rand.IntN(len(links))]
		m.step(l)
		if m.chance(0.002) {
			m.emit(l, Message{Part: PartClose})
			*l = hop{id: l.id + 100, pipeline: l.pipeline}
		}
	}
	for _, l := range links {
		for len(l.waiting) > 0 {
			m.answer(l)
		}
	}
	return m
}

// pairs returns the requests that came out with an answer, and fails on any that
// has another's, or that comes twice.
func pairs(t *testing.T, list []Message) (map[string]bool, *Conversations) {
	t.Helper()
	seen := map[string]bool{}
	answered := map[string]bool{}
	s := New(Options{
		Headers: []string{"x-number"},
		Sampler: traceparent.Sampler{Bound: traceparent.BoundAll},
		Emit: func(x *Exchange) {
			var request, response string // request stays empty when the capture ended inside it
			for _, kv := range x.Attributes {
				switch kv.Key {
				case "url.query":
					if query, whole := strings.CutSuffix(kv.Value.AsString(), "&"); whole {
						request = query[2:]
					}
				case "http.response.header.x-number":
					response = kv.Value.AsStringSlice()[0]
				}
			}
			if request == "" {
				return
			}
			if seen[request] {
				t.Errorf("request %s comes twice", request)
			}
			seen[request] = true
			if response != "" && request != response {
				t.Errorf("request %q has the answer to %s", request, response)
			}
			if response != "" {
				answered[request] = true
			}
		},
	})
	for i := range list {
		s.Handle(&list[i])
	}
	return answered, s
}

func TestPairingModel(t *testing.T) {
	for seed := range uint64(40) {
		whole := play(seed, 1500, 0, 4096)
		answered, s := pairs(t, whole.list)
		for _, n := range whole.serial {
			if !answered[n] {
				t.Errorf("seed %d: request %s was answered, nothing lost: %s", seed, n, count(s))
			}
		}
		if len(answered) < len(whole.serial)+20 {
			t.Errorf("seed %d: nearly nothing that was pipelined: %s", seed, count(s))
		}
		// Less than 150 bytes would cut the first of pipelined heads, which is
		// the one case that can't be told.
		for _, capture := range []int{150, 200, 300} {
			answered, s = pairs(t, play(seed, 1500, 0, capture).list)
			if t.Failed() {
				t.Fatalf("seed %d, capture %d: %d, %s", seed, capture, len(answered), count(s))
			}
		}
		for _, loss := range []float64{0.001, 0.01, 0.1} {
			m := play(seed, 1500, loss, 150)
			answered, s = pairs(t, m.list)
			if t.Failed() {
				t.Fatalf("seed %d, loss %v: %d of %d, %s", seed, loss, len(answered), m.next, count(s))
			}
			checkEmpty(t, s, m.clock)
		}
	}
}

// TestPairingLossEverywhere takes each single record out of a run in turn.
func TestPairingLossEverywhere(t *testing.T) {
	for seed := range uint64(2) {
		list := play(seed, 400, 0, 200).list
		for gone := range list {
			rest := make([]Message, 0, len(list))
			for i := range list {
				m := list[i]
				if i > gone && m.Connection == list[gone].Connection {
					m.Lost++
				}
				if i != gone {
					rest = append(rest, m)
				}
			}
			if pairs(t, rest); t.Failed() {
				t.Fatalf("seed %d without record %d", seed, gone)
			}
		}
	}
}

// TestPairingRecovers loses one record of a connection that never pipelines: no
// more than the exchanges it touches may be missing.
func TestPairingRecovers(t *testing.T) {
	m := &model{rand: rand.New(rand.NewPCG(1, 1)), clock: epoch, capture: 4096}
	l := &hop{id: 1}
	for range 200 {
		m.send(l)
		m.answer(l)
	}
	for gone := 60; gone < 100; gone++ { // it has shown itself serial by then
		list := append([]Message(nil), m.list[:gone]...)
		for _, message := range m.list[gone+1:] {
			message.Lost = 1
			list = append(list, message)
		}
		if answered, s := pairs(t, list); len(answered) < m.next-2 {
			t.Errorf("without record %d: %d of %d: %s", gone, len(answered), m.next, count(s))
		}
	}
}

// checkEmpty fails when something stays after everything should have gone.
func checkEmpty(t *testing.T, s *Conversations, now time.Time) {
	t.Helper()
	s.Expire(now.Add(2 * time.Hour))
	for _, c := range s.table {
		if c.first != nil {
			t.Fatalf("calls stay: %s", count(s))
		}
	}
	if s.calls != 0 {
		t.Errorf("%d calls counted, none there", s.calls)
	}
}
