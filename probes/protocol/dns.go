package protocol

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// DNS over UDP and TCP (RFC 1035; over TCP each message has its length before it,
// section 4.2.2). Lookups are many and most of them tell nothing: what went well
// and soon is counted, not recorded.

const (
	dnsHeader = 12
	// dnsQuestion is the least a question takes: the root, type and class.
	dnsQuestion = 5

	// slowLookup is from when on a lookup is slow, unless Options say.
	slowLookup = 100 * time.Millisecond
	// lookupPatience is how long an answer may take: a resolver sends again after
	// some seconds, twice or so, and then its caller has heard of the failure.
	lookupPatience = 15 * time.Second
	// maxLookupAnswers bounds the addresses that are recorded.
	maxLookupAnswers = 16
)

const (
	dnsFlagAnswer = 1 << 15
	dnsMaskOpcode = 0xf << 11
	dnsFlagZero   = 1 << 6
	dnsMaskCode   = 0xf
)

// Types of records (IANA, "Domain Name System (DNS) Parameters").
const (
	dnsTypeA    = 1
	dnsTypeAAAA = 28
	dnsTypeNB   = 32 // in NetBIOS, which looks alike
	dnsTypeIXFR = 251
	dnsTypeAXFR = 252
)

var dnsTypes = map[uint16]string{
	1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 29: "LOC", 33: "SRV",
	35: "NAPTR", 37: "CERT", 39: "DNAME", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 50: "NSEC3",
	51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD",
	64: "SVCB", 65: "HTTPS", 99: "SPF", 108: "EUI48", 109: "EUI64", 255: "ANY", 256: "URI", 257: "CAA",
}

// dnsCodes are the response codes that are failures.
var dnsCodes = [16]string{
	1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
	8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI", 12: "RCODE12", 13: "RCODE13", 14: "RCODE14", 15: "RCODE15",
}

// dnsMessage is the header and the question of a message.
type dnsMessage struct {
	id, flags uint16
	counts    [4]uint16 // questions, answers, authorities, additionals
	question  []byte    // name, type and class; empty if there is none
	kind      uint16
	records   []byte // what follows
}

// parseDNS returns false if data is no query, or no answer to one question.
func parseDNS(d direction, data []byte) (m dnsMessage, ok bool) {
	if len(data) < dnsHeader {
		return m, false
	}
	m.id, m.flags = binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:])
	for i := range m.counts {
		m.counts[i] = binary.BigEndian.Uint16(data[4+2*i:])
	}
	answer := m.flags&dnsFlagAnswer != 0
	if answer != (d == toClient) || m.flags&(dnsMaskOpcode|dnsFlagZero) != 0 || m.counts[0] > 1 {
		return m, false
	}
	m.records = data[dnsHeader:]
	if m.counts[0] == 0 { // an answer that could not even read the question
		return m, answer && m.flags&dnsMaskCode != 0 && len(m.records) == 0
	}
	if !answer && (m.flags&dnsMaskCode != 0 || m.counts[1] != 0 || m.counts[2] != 0 || m.counts[3] > 2) {
		return m, false
	}
	n := dnsName(m.records)
	if n < 0 || len(m.records) < n+4 {
		return m, false
	}
	m.question, m.records = m.records[:n+4], m.records[n+4:]
	m.kind = binary.BigEndian.Uint16(m.question[n:])
	class := binary.BigEndian.Uint16(m.question[n+2:])
	return m, m.kind != 0 && m.kind != dnsTypeNB && (class == 1 || class >= 3 && class <= 4 || class == 255)
}

// dnsName returns the size of the name that data begins with, which is not
// compressed; less than 0 if there is none.
func dnsName(data []byte) int {
	for n := 0; n < len(data) && n < 255; n += 1 + int(data[n]) {
		if data[n] == 0 {
			return n + 1
		}
		if data[n] > 63 {
			return -1
		}
	}
	return -1
}

// detectDatagramDNS is strict about what follows the question: nothing, or as
// many records as the header says.
func detectDatagramDNS(d direction, data []byte, size uint64) bool {
	m, ok := parseDNS(d, data)
	if !ok || len(m.question) == 0 || m.id == 0 { // multicast DNS has no ids
		return false
	}
	if d == toServer && m.counts[3] == 0 {
		return uint64(dnsHeader+len(m.question)) == size
	}
	return m.whole(size == uint64(len(data)))
}

// whole says whether the records are as many as the header says, and nothing else
// follows; or, if there is more than is seen, nothing that is seen contradicts it.
func (m *dnsMessage) whole(all bool) bool {
	rest := m.records
	for n := int(m.counts[1]) + int(m.counts[2]) + int(m.counts[3]); n > 0; n-- {
		if _, _, rest = dnsRecord(rest); rest == nil {
			return !all
		}
	}
	return len(rest) == 0
}

// dnsRecord takes the first record off data; rest is nil if there is none.
func dnsRecord(data []byte) (kind uint16, value, rest []byte) {
	n := 0
	for n < len(data) && data[n] != 0 && data[n] < 0xc0 {
		n += 1 + int(data[n])
	}
	if n < len(data) && data[n] >= 0xc0 {
		n++
	}
	n++
	if len(data) < n+10 {
		return 0, nil, nil
	}
	size := int(binary.BigEndian.Uint16(data[n+8:]))
	if len(data) < n+10+size {
		return 0, nil, nil
	}
	return binary.BigEndian.Uint16(data[n:]), data[n+10:][:size], data[n+10+size:]
}

func detectDNS(d direction, data []byte, size uint64) bool {
	n := measureDNS(data)
	if n <= 0 || uint64(n) > size {
		return false
	}
	data = data[2:min(int(n), len(data))]
	return detectDatagramDNS(d, data, uint64(n)-2)
}

func measureDNS(data []byte) int64 {
	if len(data) < 2 {
		return 0
	}
	size := int64(binary.BigEndian.Uint16(data))
	if size < dnsHeader {
		return -1
	}
	return 2 + size
}

// dns follows a connection, or the datagrams of a socket.
type dns struct {
	link   *link
	prefix int // bytes before a message
}

func openDNS(l *link) session         { return &dns{l, 2} }
func openDatagramDNS(l *link) session { return &dns{l, 0} }

func (s *dns) measure(_ direction, data []byte) int64 { return measureDNS(data) }

// resume asks for a whole message, as detect does.
func (s *dns) resume(d direction, data []byte) int {
	for i := range data {
		if detectDNS(d, data[i:], uint64(len(data)-i)) {
			return i
		}
	}
	return -1
}

func (s *dns) take(d direction, f *frame) bool {
	if len(f.data) < s.prefix {
		return false
	}
	m, ok := parseDNS(d, f.data[s.prefix:])
	switch {
	case !ok:
		// in answers there may be what has no question: transfers go on so
		return d == toClient && len(f.data) >= s.prefix+dnsHeader && m.flags&dnsFlagAnswer != 0
	case m.kind == dnsTypeAXFR || m.kind == dnsTypeIXFR || f.origin.endpoints.Remote.Addr().IsMulticast():
		// not a lookup
	case d == toServer:
		s.ask(f, &m)
	default:
		s.answer(f, &m)
	}
	return true
}

// lookupID is the id of a lookup: more than its 16 bits, for a server has many
// clients at one socket.
func lookupID(f *frame, m *dnsMessage) uint64 {
	h := fnv.New64a()
	remote := f.origin.endpoints.Remote
	address := remote.Addr().As16()
	h.Write(address[:])
	h.Write([]byte{byte(remote.Port() >> 8), byte(remote.Port())})
	h.Write(m.question)
	return h.Sum64()<<16 | uint64(m.id)
}

func (s *dns) ask(f *frame, m *dnsMessage) {
	id := lookupID(f, m)
	if s.link.find(id) != nil {
		return // sent again, as nothing came
	}
	q := s.link.ask(f)
	q.id, q.patience = id, lookupPatience
	name := dnsText(m.question[:len(m.question)-4])
	kind, known := dnsTypes[m.kind]
	if !known {
		kind = fmt.Sprintf("TYPE%d", m.kind) // RFC 3597 section 5
	}
	q.Operation, q.Target = "DNS "+kind, name
	q.Tentative = true // until it is found
	q.text(semconv.DNSQuestionNameKey, name)
	if s.prefix == 0 {
		q.attributes = append(q.attributes, semconv.NetworkTransportUDP)
	} else {
		q.attributes = append(q.attributes, semconv.NetworkTransportTCP)
	}
}

func (s *dns) answer(f *frame, m *dnsMessage) {
	l := s.link
	q := l.find(lookupID(f, m))
	if len(m.question) == 0 {
		q = s.only(m.id)
	}
	if q == nil {
		l.stray()
		return
	}
	l.answer(q, f)
	code := m.flags & dnsMaskCode
	slow := l.owner.options.SlowLookup
	if code == 0 && f.last.Sub(q.start) < slow {
		l.drop(q, quick)
		return
	}
	if code != 0 {
		q.fail(dnsCodes[code], "")
	} else {
		q.Tentative = false
		if found := m.addresses(); len(found) > 0 {
			q.attributes = append(q.attributes, semconv.DNSAnswers(found...))
		}
	}
	l.finish(q, f)
}

// only returns the lookup with that id, nil if there is none or several.
func (s *dns) only(id uint16) *query {
	var found *query
	for q := s.link.first; q != nil; q = q.next {
		if uint16(q.id) == id {
			if found != nil {
				return nil
			}
			found = q
		}
	}
	return found
}

// addresses returns those among the answers.
func (m *dnsMessage) addresses() (out []string) {
	rest := m.records
	for n := m.counts[1]; n > 0 && len(out) < maxLookupAnswers; n-- {
		kind, value, after := dnsRecord(rest)
		if after == nil {
			break
		}
		if a, is := netip.AddrFromSlice(value); is && (kind == dnsTypeA || kind == dnsTypeAAAA) {
			out = append(out, a.String())
		}
		rest = after
	}
	return out
}

// dnsText writes a name for people, by the conventions for dns.question.name: what
// is not printable, a dot inside a label too, as \DDD.
func dnsText(name []byte) string {
	if len(name) <= 1 {
		return "."
	}
	out := make([]byte, 0, len(name))
	for len(name) > 1 {
		label := name[1:][:min(int(name[0]), len(name)-1)]
		if len(out) > 0 {
			out = append(out, '.')
		}
		for _, c := range label {
			switch {
			case c == '\\' || c == '"':
				out = append(out, '\\', c)
			case c == '\t':
				out = append(out, `\t`...)
			case c == '\r':
				out = append(out, `\r`...)
			case c == '\n':
				out = append(out, `\n`...)
			case c < ' ' || c > '~' || c == '.':
				out = fmt.Appendf(out, `\%03d`, c)
			default:
				out = append(out, c)
			}
		}
		name = name[1+len(label):]
	}
	return string(out)
}
