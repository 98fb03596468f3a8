package integrity

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// Oddity makes a request that is seldom seen, or that nobody should send.
type Oddity struct {
	Name string
	Make func(*oddRequest)
}

// oddRequest is a request in the making.
type oddRequest struct {
	Source
	*Raw
	burst *Burst
	pool  []byte
}

// parse reads a head that was made here.
func parse(head []byte) Head {
	h, _ := ReadHead(bufio.NewReader(bytes.NewReader(head))) // what is not whole is judged by its bytes
	return h
}

// add puts lines, each with its line end, behind the request line.
func (r *oddRequest) add(lines string) {
	at := bytes.IndexByte(r.Head, '\n') + 1
	r.Head = []byte(string(r.Head[:at]) + lines + string(r.Head[at:]))
}

// append puts lines at the end of the head.
func (r *oddRequest) append(lines string) {
	r.Head = []byte(string(r.Head[:len(r.Head)-2]) + lines + "\r\n")
}

// own puts trace context of the program's own in.
func (r *oddRequest) own(name, value string) {
	line := name + ": " + value + "\r\n"
	if r.Trace = append(r.Trace, [2]string{name, value}); r.One(2) {
		r.add(line)
	} else {
		r.append(line)
	}
	r.Due = false
}

// only makes a request with a head and body of its own, on its own connection.
func (r *oddRequest) only(head, body string) {
	r.Head, r.Body, r.Custom = []byte(head), []byte(body), digestHeaders(nil)
	r.Want.Body, r.burst.Fresh, r.Bare, r.Due = Digest(r.Body), true, true, false
}

// unclear makes a request whose body nobody can tell the length of: the server
// is told by X-Raw.
func (r *oddRequest) unclear(lines, body string) {
	r.Method = "POST"
	r.Head = head("POST "+r.Target+" HTTP/1.1", [][2]string{{"Host", "integrity.invalid"}, {"X-Keep", "1"}, {"X-Raw", fmt.Sprint(len(body))}})
	r.Body, r.Want.Body, r.Custom = []byte(body), Digest([]byte(body)), digestHeaders(nil)
	r.append(lines)
	r.Bare, r.Due = true, false
}

// Oddities are all there are.
func Oddities() []Oddity {
	return append(ownContext(), append(framing(), append(lines(), others()...)...)...)
}

func ownContext() []Oddity {
	long := func(r *oddRequest) string { return "X-Long: " + r.Text(9000+r.IntN(50000)) + "\r\n" }
	return []Oddity{
		{"own traceparent", func(r *oddRequest) { r.own("traceparent", r.traceparent()) }},
		{"own traceparent in odd case", func(r *oddRequest) { r.own("tRaCePaReNt", r.traceparent()) }},
		{"two of its own", func(r *oddRequest) {
			r.own("Traceparent", r.traceparent())
			r.own("traceparent", r.traceparent())
		}},
		{"own and a state", func(r *oddRequest) {
			r.own("TRACEPARENT", r.traceparent())
			r.own("Tracestate", "a=1,b=2")
		}},
		{"own behind a long header", func(r *oddRequest) {
			value := r.traceparent()
			r.Trace, r.Due = [][2]string{{"traceparent", value}}, false
			r.append(long(r) + "traceparent: " + value + "\r\n")
		}},
		{"own that is malformed", func(r *oddRequest) { r.own("traceparent", "nonsense") }},
		{"only a state", func(r *oddRequest) { r.own("tracestate", "a=1") }},
		{"b3", func(r *oddRequest) { r.append("b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\r\n") }},
		{"a name that is longer", func(r *oddRequest) { r.append("X-Traceparent: no\r\ntraceparent2: no\r\n") }},
		{"long header", func(r *oddRequest) { r.append(long(r)); r.Due = false }},
		{"many headers", func(r *oddRequest) { r.append(strings.Repeat("X-Many: yes\r\n", 100+r.IntN(900))); r.Due = false }},
	}
}

func framing() []Oddity {
	smuggled := "0\r\n\r\n" + decoy
	return []Oddity{
		{"two lengths", func(r *oddRequest) {
			r.unclear("Content-Length: 5\r\nContent-Length: 49\r\n", decoy+"12345")
		}},
		{"the same length twice", func(r *oddRequest) {
			r.unclear("Content-Length: 5\r\ncontent-length: 5\r\n", "12345")
		}},
		{"a length and chunks", func(r *oddRequest) {
			r.unclear("Content-Length: 49\r\nTransfer-Encoding: chunked\r\n", smuggled)
		}},
		{"chunks and a length", func(r *oddRequest) {
			r.unclear("transfer-encoding: chunked\r\nContent-Length: 5\r\n", smuggled)
		}},
		{"trailer with trace context", func(r *oddRequest) {
			body := r.Text(100)
			r.only(string(head("POST "+r.Target+" HTTP/1.1", [][2]string{{"Host", "integrity.invalid"}, {"Transfer-Encoding", "chunked"}})),
				"64\r\n"+body+"\r\n0\r\ntraceparent: "+r.traceparent()+"\r\n\r\n")
			r.Method, r.Want.Body, r.Bare = "POST", Digest([]byte(body)), false
		}},
		{"chunk extensions", func(r *oddRequest) {
			body := r.Text(2000)
			r.only(string(head("PUT "+r.Target+" HTTP/1.1", [][2]string{{"Host", "integrity.invalid"}, {"Transfer-Encoding", "chunked"}})),
				string(chunk([]byte(body), 333, ";a=\"b\"")))
			r.Method, r.Want.Body, r.Bare = "PUT", Digest([]byte(body)), false
		}},
		{"continue that is not awaited", func(r *oddRequest) { r.append("Expect: 100-continue\r\n") }},
	}
}

func lines() []Oddity {
	bare := func(r *oddRequest) { r.Bare, r.Due = true, false }
	return []Oddity{
		{"bare line feeds", func(r *oddRequest) {
			r.Head = bytes.ReplaceAll(r.Head, []byte("\r\n"), []byte("\n"))
			bare(r)
		}},
		{"one bare line feed", func(r *oddRequest) { r.append("X-Bare: yes\n"); bare(r) }},
		{"bare line feed behind the request line", func(r *oddRequest) {
			r.Head = bytes.Replace(r.Head, []byte("\r\n"), []byte("\n"), 1)
			bare(r)
		}},
		{"folded line", func(r *oddRequest) { r.append("X-Folded: one,\r\n\ttwo\r\n"); bare(r) }},
		{"folded with a space", func(r *oddRequest) { r.add("X-Folded: one,\r\n two\r\n"); bare(r) }},
		{"carriage return in a value", func(r *oddRequest) { r.append("X-Return: a\rtraceparent: b\r\n"); r.Due = false }},
		{"no colon", func(r *oddRequest) { r.append("nonsense\r\n"); r.Due = false }},
		{"space before the colon", func(r *oddRequest) { r.append("X-Space : a\r\n"); r.Due = false }},
		{"empty value", func(r *oddRequest) { r.append("X-Empty:\r\n") }},
		{"bytes of no text", func(r *oddRequest) { r.append("X-Bytes: \x00\x01\x7f\x80\xff\r\n"); r.Due = false }},
		{"empty line before", func(r *oddRequest) { r.Head = append([]byte("\r\n"), r.Head...); r.Due = false }},
		{"two empty lines before", func(r *oddRequest) { r.Head = append([]byte("\r\n\r\n"), r.Head...); r.Due = false }},
	}
}

func others() []Oddity {
	plain := func(r *oddRequest, method, target, version string) {
		r.only(fmt.Sprintf("%s %s %s\r\nHost: integrity.invalid\r\n\r\n", method, target, version), "")
		r.Method, r.Target, r.Bare = method, target, false
	}
	return []Oddity{
		{"HTTP/1.0", func(r *oddRequest) { plain(r, "GET", r.Target, "HTTP/1.0") }},
		{"HTTP/0.9", func(r *oddRequest) { r.only("GET "+r.Target+"\r\n", ""); r.Method = "GET" }},
		{"absolute target", func(r *oddRequest) { plain(r, "GET", "http://integrity.invalid"+r.Target, "HTTP/1.1") }},
		{"lower-case method", func(r *oddRequest) { plain(r, "get", r.Target, "HTTP/1.1") }},
		{"method nobody knows", func(r *oddRequest) { plain(r, "M-SEARCH", r.Target, "HTTP/1.1") }},
		{"no target but a star", func(r *oddRequest) {
			plain(r, "OPTIONS", "*", "HTTP/1.1")
			r.append("X-Id: " + r.ID + "\r\n")
		}},
		{"the half closed", func(r *oddRequest) { plain(r, "GET", r.Target, "HTTP/1.1"); r.HalfWay = true }},
		{"CONNECT", func(r *oddRequest) {
			r.tunnel("CONNECT", r.ID+".invalid:443", "")
		}},
		{"upgrade", func(r *oddRequest) {
			r.tunnel("GET", r.Target, "Connection: Upgrade\r\nUpgrade: integrity\r\n")
			r.Bare = false
		}},
		{"another protocol", func(r *oddRequest) {
			body := string(r.part(r.IntN(40000)).Of(r.pool))
			r.only(fmt.Sprintf("\x00%-32s%4s", r.ID, base36(len(body))), body)
			r.Method, r.Target = "BINARY", ""
		}},
	}
}

// tunnel makes a request that turns the connection into a tunnel, through which
// bytes go that look like a request.
func (r *oddRequest) tunnel(method, target, lines string) {
	body := string(Part{4096 * r.IntN(100), 1 + r.IntN(4000)}.Of(r.pool))
	r.only(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: integrity.invalid\r\n%sX-Tunnel: %d\r\n\r\n", method, target, lines, len(body)), body)
	r.Method, r.Target, r.burst.Tunnel = method, target, len(body)
}

// base36 is a number in four digits of base 36.
func base36(n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	b := []byte("0000")
	for i := 3; i >= 0; i-- {
		b[i] = digits[n%36]
		n /= 36
	}
	return string(b)
}
