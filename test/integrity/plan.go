// Package integrity proves that the agent changes nothing of what programs send
// but the one header: the same requests, made from a seed, are sent by the same
// programs without and with the agent; a server that normalises nothing records
// what arrives, the programs say what they sent and received, and a judge
// compares all of it.
package integrity

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// PoolSize is the size of the pool, of which every body is a part.
const PoolSize = 8 << 20

// Pool is the bytes that all bodies are parts of: random, with requests
// strewn in, so that many bodies begin with one.
func Pool(seed string) []byte {
	pool := make([]byte, PoolSize)
	r := Random(seed, "pool")
	_, _ = io.ReadFull(r, pool) // it never fails
	for at := 0; at+4096 <= len(pool); at += 4096 {
		copy(pool[at:], decoy)
	}
	return pool
}

// decoy is what bodies begin with that are to be taken for a request.
const decoy = "GET /decoy HTTP/1.1\r\nHost: decoy.invalid\r\n\r\n"

// Source is a source of random numbers and bytes that is decided by its seed.
type Source struct {
	*rand.Rand
	io.Reader
}

// Random is the source for a purpose.
func Random(seed, purpose string) Source {
	chacha := rand.NewChaCha8(sha256.Sum256([]byte(seed + "\x00" + purpose)))
	return Source{rand.New(chacha), chacha}
}

// One is true once in n times.
func (s Source) One(n int) bool { return s.IntN(n) == 0 }

// Text is n random visible characters.
func (s Source) Text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + s.IntN('~'-'!'+1))
	}
	return string(b)
}

// Word is n random characters that need no escape in a URL.
func (s Source) Word(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.IntN(len(letters))]
	}
	return string(b)
}

// size is a random size of a body: often small, sometimes none, up to 64 KiB.
func (s Source) size() int {
	switch n := s.IntN(100); {
	case n < 8:
		return 0
	case n < 60:
		return s.IntN(2 << 10)
	case n < 98:
		return s.IntN(64 << 10)
	default:
		return s.IntN(512 << 10)
	}
}

// Big is the size of the few big bodies.
const Big = 5_000_000

// Part is a part of the pool.
type Part struct{ Offset, Size int }

// part is a random part of the pool; one of eight begins with a decoy.
func (s Source) part(size int) Part {
	p := Part{s.IntN(PoolSize - size), size}
	if s.One(8) {
		p.Offset &^= 4095
	}
	return p
}

// Of is the part of a pool.
func (p Part) Of(pool []byte) []byte { return pool[p.Offset : p.Offset+p.Size] }

// Framing says how the length of a body is told.
type Framing string

// The framings of a request's body.
const (
	None    Framing = "none" // there is no body
	Counted Framing = "length"
	Chunks  Framing = "chunked"
)

// Request is a request that a client is to make.
type Request struct {
	ID, Method, Target string
	Headers            [][2]string
	Framing            Framing
	Body               Part

	Expect bool // with Expect: 100-continue
	Close  bool // with Connection: close
	Piece  int  // size of the pieces that a chunked body is sent in
}

// Traits say what a client cannot do.
type Traits struct {
	NoExpect bool // it refuses to send Expect: 100-continue
	NoChunks bool // it does not send chunked bodies
	Late     bool // it, or the proxy behind it, takes no answer before it has sent all
}

// Plan is n requests for a client.
func Plan(seed, client string, n int, traits Traits) []Request {
	r := Random(seed, client)
	plan := make([]Request, n)
	for i := range plan {
		id := fmt.Sprintf("%s-%d", client, i)
		plan[i] = r.request(id, i%400 == 199, traits)
	}
	return plan
}

func (s Source) request(id string, big bool, traits Traits) Request {
	methods := []string{"GET", "GET", "GET", "GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
	q := Request{ID: id, Method: methods[s.IntN(len(methods))], Framing: None, Close: s.One(30)}
	size := 1 + s.IntN(30)
	if s.One(25) {
		size = 1 + s.IntN(2000)
	}
	q.Target = "/" + id + "/x" + s.Word(size) + "?q=" + s.Word(s.IntN(20))
	for range s.IntN(6) {
		n := 1 + s.IntN(60)
		if s.One(40) {
			n = 1 + s.IntN(3000)
		}
		q.Headers = append(q.Headers, [2]string{fmt.Sprintf("X-I-%X-%d", s.IntN(1<<20), len(q.Headers)), s.Text(n)})
	}
	if s.One(25) {
		names := []string{"traceparent", "Traceparent", "TRACEPARENT", "tRaCePaReNt"}
		q.Headers = append(q.Headers, [2]string{names[s.IntN(len(names))], s.traceparent()})
		if s.One(2) {
			q.Headers = append(q.Headers, [2]string{"tracestate", "a=" + s.Word(10) + ",b@c=" + s.Word(5)})
		}
	}
	if traits.Late {
		q.Headers = append(q.Headers, [2]string{"X-Late", "1"})
	}
	if big {
		q.Method = "POST"
	}
	if q.Method != "POST" && q.Method != "PUT" && q.Method != "PATCH" {
		return q
	}
	q.Framing, q.Body = Counted, s.part(s.size())
	if big {
		q.Body = s.part(Big)
	}
	if s.One(3) && !traits.NoChunks {
		q.Framing, q.Piece = Chunks, 1+s.IntN(8<<10)
		if big {
			q.Piece = 64 << 10
		}
	}
	q.Expect = s.One(8) && !traits.NoExpect && q.Body.Size > 0
	return q
}

// traceparent is one that no agent made.
func (s Source) traceparent() string {
	return fmt.Sprintf("00-%016x%016x-%016x-%02x", s.Uint64()|1, s.Uint64(), s.Uint64()|1, s.IntN(2))
}

// Words are the traits as a program is told them.
func (t Traits) Words() []string {
	var words []string
	for _, trait := range []struct {
		has  bool
		word string
	}{{t.NoExpect, "noexpect"}, {t.NoChunks, "nochunks"}, {t.Late, "late"}} {
		if trait.has {
			words = append(words, trait.word)
		}
	}
	return words
}

// ReadTraits reads what Words returns.
func ReadTraits(words []string) Traits {
	return Traits{slices.Contains(words, "noexpect"), slices.Contains(words, "nochunks"), slices.Contains(words, "late")}
}

// WritePlan writes a plan for programs: a line a request, its columns separated
// by tabs: id, method, target, framing, offset and size of the body in the pool,
// size of its pieces, then "expect" or "-", "close" or "-", and the headers as
// name:value separated by the character 31.
func WritePlan(path string, plan []Request) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write a plan: %w", err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	word := func(set bool, word string) string {
		if set {
			return word
		}
		return "-"
	}
	for _, q := range plan {
		var headers []string
		for _, header := range q.Headers {
			headers = append(headers, header[0]+":"+header[1])
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", q.ID, q.Method, q.Target, q.Framing,
			q.Body.Offset, q.Body.Size, q.Piece, word(q.Expect, "expect"), word(q.Close, "close"), strings.Join(headers, "\x1f"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write a plan: %w", err)
	}
	return nil
}
