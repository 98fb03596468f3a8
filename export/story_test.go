package export

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/context/assemble"
	"github.com/clewtrace/clew/context/workload"
)

// story builds the spans of one trace.
type story struct {
	id    byte
	next  byte
	spans []*assemble.Span
	who   map[string]*workload.Process
}

func newStory(id byte) *story {
	return &story{id: id, who: make(map[string]*workload.Process)}
}

func (s *story) add(parent *assemble.Span, kind assemble.Kind, service, name string, from, to int) *assemble.Span {
	if s.who[service] == nil {
		s.who[service] = testProcess(uint32(100+len(s.who)), service)
	}
	s.next++
	span := &assemble.Span{
		TraceID: [16]byte{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 15: s.id},
		SpanID:  [8]byte{s.id, 7: s.next},
		Sampled: true,
		Process: s.who[service],
		Name:    name,
		Kind:    kind,
		Start:   testStart.Add(time.Duration(from) * 100 * time.Microsecond),
		End:     testStart.Add(time.Duration(to) * 100 * time.Microsecond),
	}
	span.FirstByte = span.End
	if parent != nil {
		span.ParentID = parent.SpanID
	}
	s.spans = append(s.spans, span)
	return span
}

// server and client add spans; times are in tenths of a millisecond.
func (s *story) server(parent *assemble.Span, service, name string, from, to, status int) *assemble.Span {
	span := s.add(parent, assemble.KindServer, service, name, from, to)
	span.Attributes = []attribute.KeyValue{attribute.Int("http.response.status_code", status)}
	if status >= 500 {
		span.Failed = true
	}
	return span
}

func (s *story) client(parent *assemble.Span, name, peer string, from, to, status int) *assemble.Span {
	span := s.add(parent, assemble.KindClient, parent.Process.Service, name, from, to)
	host, port, _ := strings.Cut(peer, ":")
	span.Attributes = []attribute.KeyValue{
		attribute.Int("http.response.status_code", status),
		attribute.String("server.address", host),
	}
	if port != "" {
		n, err := strconv.Atoi(port)
		if err != nil {
			panic(err) // a mistake in the story
		}
		span.Attributes = append(span.Attributes, attribute.Int("server.port", n))
	}
	span.Failed = status >= 400
	return span
}

func slowStory() *story {
	s := newStory(1)
	shop := s.server(nil, "frontend", "GET /checkout/{id}", 0, 12400, 200)
	c := s.client(shop, "GET", "cart:8080", 110, 1350, 200)
	cart := s.server(c, "cart", "GET /cart/{id}", 130, 1290, 200)
	s.client(cart, "GET", "prices:9000", 300, 900, 200)
	c = s.client(shop, "POST", "payments:8443", 1400, 12100, 201)
	pay := s.server(c, "payments", "POST /charge", 1450, 12080, 201)
	c = s.client(pay, "GET", "fraud:7070", 1500, 3700, 200)
	s.server(c, "fraud", "GET /score/{card}", 1540, 3680, 200)
	s.client(pay, "POST", "bank.example.com:443", 3750, 11990, 200)
	return s
}

func failingStory() *story {
	s := newStory(2)
	shop := s.server(nil, "frontend", "POST /orders", 0, 950, 502)
	c := s.client(shop, "POST", "orders:8080", 10, 940, 502)
	orders := s.server(c, "orders", "POST /orders", 20, 930, 502)
	c = s.client(orders, "GET", "stock:8080", 50, 120, 404) // handled, but first
	s.server(c, "stock", "GET /stock/{sku}", 60, 110, 404)
	c = s.client(orders, "PUT", "stock:8080", 200, 900, 500)
	stock := s.server(c, "stock", "PUT /stock/{sku}", 210, 890, 500)
	stock.Message = "500 Internal Server Error"
	return s
}

func deepStory() *story {
	s := newStory(3)
	span := s.server(nil, "hop-00", "GET /chain", 0, 2000, 200)
	for i := 1; i <= 14; i++ {
		c := s.client(span, "GET", fmt.Sprintf("hop-%02d:8080", i), 50*i, 2000-30*i, 200)
		span = s.server(c, fmt.Sprintf("hop-%02d", i), "GET /chain", 50*i+10, 2000-30*i-10, 200)
	}
	return s
}

func wideStory() *story {
	s := newStory(4)
	root := s.server(nil, "search", "GET /search", 0, 800, 200)
	for i := range 12 {
		c := s.client(root, "GET", fmt.Sprintf("shard-%d:9200", i), 20+5*i, 300+40*(i*7%11), 200)
		s.server(c, "shard", "GET /query", 24+5*i, 296+40*(i*7%11), 200)
	}
	return s
}

func orphanStory() *story {
	s := newStory(5)
	elsewhere := &assemble.Span{SpanID: [8]byte{0xee}, Process: testProcess(1, "elsewhere")}
	one := s.server(elsewhere, "inventory", "GET /stock/{sku}", 100, 400, 200)
	s.client(one, "GET", "warehouse:8080", 120, 380, 200)
	s.server(elsewhere, "inventory", "GET /stock/{sku}", 450, 500, 200)
	return s
}

func hostileStory() *story {
	s := newStory(6)
	root := s.server(nil, "\x1b]0;owned\x07shop", "GET /\x1b[2J\r\n\x00clear\u202egnp.exe", 0, 100, 200)
	s.client(root, "GET", "\x1b[31mhost\xff", 10, 40, 200)
	c := s.client(root, "GET", "結果.example:80", 50, 90, 500)
	c.Message = "bad\nline\x9b31m"
	s.server(c, "検索サービス", "GET /検索/{言葉}/🦀é", 55, 85, 200)
	s.server(c, "long", "GET /"+strings.Repeat("very-long-path/", 40), 56, 60, 200)
	return s
}

// streamStory has a body that takes its time, and an answer that never came.
func streamStory() *story {
	s := newStory(7)
	root := s.server(nil, "files", "GET /download/{name}", 0, 20000, 200)
	root.FirstByte = root.Start.Add(300 * time.Millisecond)
	c := s.client(root, "HEAD", "store:80", 0, 2800, 0)
	c.FirstByte = time.Time{}
	c.Failed, c.Message = true, "connection closed before a response"
	c.Attributes = append(c.Attributes[1:], attribute.String("error.type", "connection_closed_early"))
	return s
}
