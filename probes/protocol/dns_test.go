package protocol

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/context/traceparent"
)

func TestDNSDatagrams(t *testing.T) {
	checkTalk(t, "dns-udp.talk",
		`dns: DNS A ok.test dns.question.name="ok.test" network.transport="udp" dns.answers="[\"192.0.2.1\",\"192.0.2.2\"]"`,
		`dns: DNS SRV _srv.nx.test dns.question.name="_srv.nx.test" network.transport="udp"`,
		`dns: DNS AAAA slow.test dns.question.name="slow.test" network.transport="udp" dns.answers="[\"2001:db8::1\"]"`,
		`dns: DNS A fail.test FAILED "" dns.question.name="fail.test" network.transport="udp" error.type="SERVFAIL"`,
		`dns: DNS A form.test FAILED "" dns.question.name="form.test" network.transport="udp" error.type="FORMERR"`,
		`dns: DNS MX refused.test FAILED "" dns.question.name="refused.test" network.transport="udp" error.type="REFUSED"`,
		`dns: DNS A big.test dns.question.name="big.test" network.transport="udp"`,
		`dns: DNS TXT we\046ird\"\001.test dns.question.name="we\\046ird\\\"\\001.test" network.transport="udp"`,
		`dns: DNS A www.example.test dns.question.name="www.example.test" network.transport="udp" dns.answers="[\"192.0.2.1\",\"192.0.2.2\"]"`,
		`dns: DNS AAAA www.example.test dns.question.name="www.example.test" network.transport="udp" dns.answers="[\"2001:db8::1\"]"`,
		`dns: DNS AAAA nx.example.test FAILED "" dns.question.name="nx.example.test" network.transport="udp" error.type="NXDOMAIN"`,
		`dns: DNS A nx.example.test FAILED "" dns.question.name="nx.example.test" network.transport="udp" error.type="NXDOMAIN"`,
	)
}

func TestDNSStream(t *testing.T) {
	checkTalk(t, "dns-tcp.talk",
		`dns: DNS A ok.test dns.question.name="ok.test" network.transport="tcp" dns.answers="[\"192.0.2.1\",\"192.0.2.2\"]"`,
		`dns: DNS AAAA nx.test FAILED "" dns.question.name="nx.test" network.transport="tcp" error.type="NXDOMAIN"`,
		`dns: DNS MX fail.test FAILED "" dns.question.name="fail.test" network.transport="tcp" error.type="SERVFAIL"`,
	)
}

func TestDNSGo(t *testing.T) {
	checkTalk(t, "dns-go.talk",
		`dns: DNS AAAA www.example.test dns.question.name="www.example.test" network.transport="tcp" dns.answers="[\"2001:db8::1\"]"`,
	)
}

// lookup plays datagrams, in pairs of a time in milliseconds and a datagram, to
// Conversations with default options, lets a while pass, and closes the socket.
func lookup(t *testing.T, role Role, while time.Duration, play func(send func(ms int, m *Segment))) (out []*Exchange, count map[string]uint64) {
	t.Helper()
	s := New(Options{
		Sampler: traceparent.Sampler{Kind: traceparent.KindParentBased, Bound: traceparent.BoundAll},
		Emit: func(x *Exchange) {
			own := *x
			out = append(out, &own)
		},
	})
	last := 0
	play(func(ms int, m *Segment) {
		m.Connection, m.Role, m.Datagram, m.Time, m.Size = 1, role, true, at(ms), uint64(len(m.Head))
		s.Segment(m)
		last = ms
	})
	end := at(last).Add(while)
	s.Expire(end)
	s.Handle(&Message{Connection: 1, Part: PartClose, First: end, Last: end})
	count = map[string]uint64{}
	s.Counts(func(_, reason string, n uint64) { count[reason] += n })
	return out, count
}

const (
	askedDNS    = "\x98\xd4\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ok\x04test\x00\x00\x01\x00\x01"
	answeredDNS = "\x98\xd4\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x02ok\x04test\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"
)

func TestDNSOnlySlow(t *testing.T) {
	for ms, want := range map[int]int{0: 0, 99: 0, 100: 1, 5000: 1} {
		out, count := lookup(t, RoleClient, 0, func(send func(int, *Segment)) {
			send(0, &Segment{ToServer: true, Head: []byte(askedDNS)})
			send(ms, &Segment{Head: []byte(answeredDNS)})
		})
		if len(out) != want || count["quick_lookup"] != uint64(1-want) {
			t.Errorf("after %d ms: %d exchanges, %v", ms, len(out), count)
		}
	}
}

func TestDNSTimeout(t *testing.T) {
	for while, want := range map[time.Duration]string{
		10 * time.Millisecond: "", // nobody waited for it
		5 * time.Second:       "no answer before the socket was closed",
		16 * time.Second:      "no answer in time",
	} {
		out, _ := lookup(t, RoleClient, while, func(send func(int, *Segment)) {
			send(0, &Segment{ToServer: true, Head: []byte(askedDNS)})
			send(0, &Segment{ToServer: true, Head: []byte(askedDNS)}) // again
		})
		if want == "" && len(out) == 0 {
			continue
		}
		if len(out) != 1 || out[0].Message != want || !strings.Contains(tell(out[0]), `error.type="timeout"`) {
			t.Errorf("after %v: %q", while, tellAll(out))
		}
	}
}

// TestDNSSentAgain loses the first datagram of a lookup: it took as long as it took.
func TestDNSSentAgain(t *testing.T) {
	out, _ := lookup(t, RoleClient, 0, func(send func(int, *Segment)) {
		send(0, &Segment{ToServer: true, Head: []byte(askedDNS)})
		send(5000, &Segment{ToServer: true, Head: []byte(askedDNS)})
		send(5001, &Segment{Head: []byte(answeredDNS)})
	})
	if len(out) != 1 || out[0].Failed || out[0].End.Sub(out[0].Start) != 5001*time.Millisecond {
		t.Errorf("%q", tellAll(out))
	}
}

// TestDNSServer has two clients with the same id at one socket.
func TestDNSServer(t *testing.T) {
	clients := []Endpoints{{Remote: netip.MustParseAddrPort("192.0.2.8:4000")}, {Remote: netip.MustParseAddrPort("192.0.2.9:4000")}}
	out, count := lookup(t, RoleServer, 0, func(send func(int, *Segment)) {
		send(0, &Segment{ToServer: true, Head: []byte(askedDNS), Endpoints: clients[0]})
		send(200, &Segment{ToServer: true, Head: []byte(askedDNS), Endpoints: clients[1]})
		send(300, &Segment{Head: []byte(answeredDNS), Endpoints: clients[1]})
		send(400, &Segment{Head: []byte(answeredDNS), Endpoints: clients[0]})
		send(401, &Segment{Head: []byte(answeredDNS), Endpoints: clients[0]})
	})
	if len(out) != 2 || out[0].End.Sub(out[0].Start) != 100*time.Millisecond || out[1].End.Sub(out[1].Start) != 400*time.Millisecond ||
		count["response_without_request"] != 1 {
		t.Errorf("%q, %v", tellAll(out), count)
	}
}

// TestDNSNoise has datagrams that are none of DNS among those that are.
func TestDNSNoise(t *testing.T) {
	out, count := lookup(t, RoleServer, 0, func(send func(int, *Segment)) {
		for i := range 10 {
			send(1000*i, &Segment{ToServer: true, Head: []byte(askedDNS)})
			send(1000*i+1, &Segment{ToServer: true, Head: []byte("hello")})
			send(1000*i+2, &Segment{ToServer: true})
			send(1000*i+500, &Segment{Head: []byte(answeredDNS)})
		}
	})
	if len(out) != 10 || count["malformed"] != 20 || count["connection_given_up"] != 0 {
		t.Errorf("%d exchanges, %v", len(out), count)
	}
	out, count = lookup(t, RoleServer, 0, func(send func(int, *Segment)) {
		send(0, &Segment{ToServer: true, Head: []byte(askedDNS)})
		for i := range 10 {
			send(i+1, &Segment{ToServer: true, Head: []byte("hello")})
		}
	})
	if len(out) != 0 || count["malformed"] != 4 || count["connection_given_up"] != 1 {
		t.Errorf("%d exchanges, %v", len(out), count)
	}
}

func TestDetectDNS(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		d    direction
		want bool
	}{
		"query":                 {askedDNS, toServer, true},
		"answer":                {answeredDNS, toClient, true},
		"answer from a client":  {answeredDNS, toServer, false},
		"query from a server":   {askedDNS, toClient, false},
		"more behind the query": {askedDNS + "x", toServer, false},
		"cut query":             {askedDNS[:len(askedDNS)-1], toServer, false},
		"cut answer":            {answeredDNS[:len(answeredDNS)-1], toClient, false},
		"multicast":             {"\x00\x00" + askedDNS[2:], toServer, false},
		"update":                {askedDNS[:2] + "\x29" + askedDNS[3:], toServer, false},
		"two questions":         {askedDNS[:5] + "\x02" + askedDNS[6:], toServer, false},
		"answers in a query":    {askedDNS[:7] + "\x01" + askedDNS[8:], toServer, false},
		"no class":              {askedDNS[:len(askedDNS)-1] + "\x00", toServer, false},
		"netbios":               {askedDNS[:len(askedDNS)-3] + "\x20\x00\x01", toServer, false},
		"compressed name":       {askedDNS[:12] + "\xc0" + askedDNS[13:], toServer, false},
		"header alone":          {askedDNS[:12], toServer, false},
		"":                      {"", toServer, false},
	} {
		if got := detectDatagramDNS(c.d, []byte(c.data), uint64(len(c.data))); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		stream := string([]byte{0, byte(len(c.data))}) + c.data
		if got := detectDNS(c.d, []byte(stream), uint64(len(stream))); got != c.want {
			t.Errorf("%s in a stream: %v", name, got)
		}
	}
}
