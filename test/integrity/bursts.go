package integrity

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Burst is requests that the raw client sends together on one connection.
type Burst struct {
	Requests []Raw
	Tactic   string // how it is sent; see package raw
	Receive  string // how the answers are read
	Cuts     []int  // where the bytes are cut in pieces, for the tactics that cut
	Fresh    bool   // on a connection of its own, closed afterwards
	Door     int    // which of the server's addresses it goes to, from 1; 0 is the main one
	Tunnel   int    // so many bytes of the last body are sent only when the answer's head came
}

// Raw is a request as bytes.
type Raw struct {
	Want
	Head, Body []byte
	HalfWay    bool // the client closes its half of the connection when it is sent
}

// Bytes are all that is sent.
func (b Burst) Bytes() []byte {
	var all []byte
	for _, r := range b.Requests {
		all = append(append(all, r.Head...), r.Body...)
	}
	return all
}

// Tactics are the ways to send.
func Tactics() []string {
	return []string{"whole", "split", "bytes", "writev", "more", "cork", "parts", "lines", "sendfile", "splice", "uring", "small", "mmsg"}
}

// Receives are the ways to receive.
func Receives() []string {
	return []string{"read", "readv", "peek", "waitall", "splice", "poll", "uring"}
}

// Odd is the word that has the raw client send oddities, each at a door of its
// own: it may teach the agent that something else than plain HTTP is spoken there.
const Odd = "odd"

// Doors is how many addresses the server has for oddities: 127.1.0.1 and on, at
// its own port.
const Doors = 500

// Door is the address of a door, from 1.
func Door(port uint16, door int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(door >> 8), byte(door)}), port)
}

// Bursts are n requests of the raw client, in bursts. The words are Odd, tactics,
// and with < before them ways to receive; without any of a kind it is all of them.
func Bursts(seed, client string, n int, pool []byte, words ...string) []Burst {
	s := rawSource{Source: Random(seed, client), client: client, pool: pool, oddities: ownContext()}
	odd := false
	for _, word := range words {
		if receive, ok := strings.CutPrefix(word, "<"); ok {
			s.receives = append(s.receives, receive)
		} else if word == Odd {
			odd = true
		} else {
			s.tactics = append(s.tactics, word)
		}
	}
	if len(s.tactics) == 0 {
		s.tactics = Tactics()
	}
	if len(s.receives) == 0 {
		s.receives = Receives()
	}
	if odd {
		s.oddities = Oddities()
	}
	var bursts []Burst
	for door := 1; s.made < n; door = 1 + door%Doors {
		if odd && n-s.made >= 3 {
			// The second connection is where the first has taught plain HTTP.
			for range 2 {
				bursts = append(bursts, s.burst(Burst{Fresh: true, Door: door}, s.raw(s.size())))
			}
			bursts = append(bursts, s.odd(Burst{Fresh: true, Door: door}))
			continue
		}
		b := Burst{Fresh: s.One(20)}
		switch {
		case s.One(12):
			var pipeline []Raw
			for range min(2+s.IntN(19), n-s.made) {
				pipeline = append(pipeline, s.raw(2<<10))
			}
			b = s.burst(b, pipeline...)
		case s.One(4):
			b = s.odd(b)
		case s.One(100):
			b = s.burst(b, s.raw(Big))
		default:
			b = s.burst(b, s.raw(s.size()))
		}
		bursts = append(bursts, b)
	}
	return bursts
}

// rawSource makes the bursts of a raw client.
type rawSource struct {
	Source
	client   string
	pool     []byte
	tactics  []string
	receives []string
	oddities []Oddity
	made     int // requests so far
}

// burst is the requests, sent and received in ways that chance decides.
func (s *rawSource) burst(b Burst, requests ...Raw) Burst {
	b.Requests, b.Tactic, b.Receive = requests, s.tactics[s.IntN(len(s.tactics))], s.receives[s.IntN(len(s.receives))]
	s.finish(&b)
	return b
}

// odd is a burst of one oddity.
func (s *rawSource) odd(b Burst) Burst {
	r := s.raw(8 << 10)
	s.oddities[s.IntN(len(s.oddities))].Make(&oddRequest{s.Source, &r, &b, s.pool})
	return s.burst(b, r)
}

// finish computes what is wanted of a burst, and where it is cut.
func (s Source) finish(b *Burst) {
	size := 0
	for i := range b.Requests {
		r := &b.Requests[i]
		_, rest := parse(r.Head).Trace()
		if r.Raw = Digest(r.Body); r.Method != "BINARY" {
			r.Want.Head = Digest(rest)
		}
		// Of a pipeline the first may carry the header; those behind it not.
		whole := slices.Contains([]string{"whole", "writev", "more", "parts", "sendfile", "uring"}, b.Tactic)
		r.Due = r.Due && whole && i == 0
		size += len(r.Head) + len(r.Body)
	}
	first := b.Requests[0]
	switch b.Tactic {
	case "split": // at every place of the head, in turn of the requests
		b.Cuts = []int{1 + s.IntN(max(len(first.Head)-1, 1))}
	case "lines":
		for at, c := range first.Head {
			if c == '\n' && at+1 < size {
				b.Cuts = append(b.Cuts, at+1)
			}
		}
	case "writev", "mmsg":
		for range 1 + s.IntN(20) {
			b.Cuts = append(b.Cuts, 1+s.IntN(max(size-1, 1)), 1+s.IntN(max(len(first.Head)-1, 1)))
		}
		slices.Sort(b.Cuts)
		b.Cuts = slices.Compact(b.Cuts)
	}
	b.Cuts = slices.DeleteFunc(b.Cuts, func(at int) bool { return at >= size })
}

// raw is a request without oddities, with a body of a size or none.
func (s *rawSource) raw(size int) Raw {
	id := fmt.Sprintf("%s-%d", s.client, s.made)
	s.made++
	r := Raw{Want: Want{ID: id, Method: "GET", Target: "/" + id + "/" + s.Word(1+s.IntN(20)), Due: true}}
	var headers [][2]string
	for i := range s.IntN(4) {
		headers = append(headers, [2]string{fmt.Sprint("X-I-", i), s.Text(1 + s.IntN(40))})
	}
	r.Custom = digestHeaders(headers)
	if size > 0 && (size == Big || s.One(2)) {
		r.Method = []string{"POST", "PUT", "PATCH"}[s.IntN(3)]
		if size != Big {
			size = 1 + s.IntN(size)
		}
		body := s.part(size).Of(s.pool)
		r.Want.Body = Digest(body)
		if s.One(3) {
			r.Body = chunk(body, 1+s.IntN(size), "")
			headers = append(headers, [2]string{"Transfer-Encoding", "chunked"})
		} else {
			r.Body = body
			headers = append(headers, [2]string{"Content-Length", fmt.Sprint(size)})
		}
	} else {
		r.Want.Body = Digest(nil)
	}
	s.Shuffle(len(headers), func(i, j int) { headers[i], headers[j] = headers[j], headers[i] })
	headers = append(headers, [2]string{"X-Keep", "1"}, [2]string{"Host", "integrity.invalid"})
	r.Head = head(r.Method+" "+r.Target+" HTTP/1.1", headers)
	return r
}

// chunk is a body in chunks of a size, with an extension on each.
func chunk(body []byte, size int, extension string) []byte {
	var b []byte
	for piece := range slices.Chunk(body, size) {
		b = fmt.Appendf(b, "%x%s\r\n%s\r\n", len(piece), extension, piece)
	}
	return append(b, "0\r\n\r\n"...)
}

func head(first string, headers [][2]string) []byte {
	var b strings.Builder
	b.WriteString(first + "\r\n")
	for _, header := range headers {
		b.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}
