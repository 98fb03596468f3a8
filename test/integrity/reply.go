package integrity

import "strings"

// Reply is how the server answers a request; its id decides.
type Reply struct {
	Status int
	Body   Part
	How    Ending
	Early  bool // the head is sent before the request's body is read
	Pieces int  // size of the pieces that a body is sent in
}

// Ending says how the length of an answer's body is told.
type Ending int

// The endings of an answer's body.
const (
	ByLength Ending = iota
	ByChunks
	ByClose
)

// ReplyTo is the reply to the request with the id and the method. keep asks for
// a connection that stays open.
func ReplyTo(seed, id, method string, keep bool) Reply {
	s := Random(seed, "reply "+id)
	statuses := []int{200, 200, 200, 200, 200, 200, 201, 202, 400, 404, 500, 503}
	reply := Reply{Status: statuses[s.IntN(len(statuses))], Early: s.One(10), Pieces: 1 + s.IntN(16<<10)}
	size := s.size()
	if s.One(400) && !keep {
		size = Big
		reply.Pieces = 1 << 20
	}
	reply.Body = s.part(size)
	switch n := s.IntN(20); {
	case n == 0 && !keep:
		reply.How = ByClose
	case n < 7:
		reply.How = ByChunks
	}
	if s.One(25) {
		reply.Status, reply.Early = 204, false
	}
	if reply.Bodiless(method) {
		reply.Body.Size = 0
	}
	// At an error, and at the end of an answer, a client may stop sending.
	reply.Early = reply.Early && reply.Status < 400 && reply.Body.Size > 0
	return reply
}

// Bodiless says whether the answer to the method has no body (RFC 9112, section
// 6.3).
func (r Reply) Bodiless(method string) bool {
	return method == "HEAD" || method == "CONNECT" || r.Status < 200 || r.Status == 204 || r.Status == 304
}

// IDOf is the id of the request in a target: what is between its first slash and
// the next, of a target without slashes what is before the first dot, and behind
// the host of one in absolute form.
func IDOf(target string) string {
	if _, rest, ok := strings.Cut(target, "://"); ok {
		_, target, _ = strings.Cut(rest, "/")
		target = "/" + target
	}
	rest, ok := strings.CutPrefix(target, "/")
	if !ok {
		id, _, _ := strings.Cut(target, ".")
		return id
	}
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		rest = rest[:at]
	}
	return rest
}
