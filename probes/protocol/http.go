package protocol

import (
	"bytes"
	"net/netip"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// HTTP/1.x, described by OpenTelemetry's semantic conventions for HTTP spans.

// Values of error.type for exchanges that did not end with a status.
const (
	errorClosed     = "connection_closed"   // the connection ended before any answer
	errorIncomplete = "response_incomplete" // it ended inside the response
	errorTimeout    = "timeout"             // no answer within Limits.Patience
)

// header is a field to capture, with the attributes that carry it.
type header struct {
	name              string // lower case
	request, response attribute.Key
}

// secretHeaders are never captured, even when asked for.
var secretHeaders = [...]string{
	"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token",
	"x-csrf-token", "x-xsrf-token", "x-amz-security-token", "authentication-info", "x-vault-token",
}

// captured prepares the names of headers to capture.
func captured(names []string) []header {
	var list []header
next:
	for _, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		for _, secret := range secretHeaders {
			if name == secret {
				continue next
			}
		}
		if !isToken([]byte(name)) || sensitiveKey([]byte(name)) {
			continue
		}
		list = append(list, header{
			name:     name,
			request:  attribute.Key("http.request.header." + name),
			response: attribute.Key("http.response.header." + name),
		})
	}
	return list
}

func detectHTTP(data []byte) bool {
	var h httpHead
	_, ok := h.parseRequestLine(data)
	return ok
}

func measureHTTP(data []byte) (int, uint64) {
	// Nearly always the data is one head without a body, and nothing more.
	if data[0] == 'G' && bytes.Index(data, []byte("\r\n\r\n"))+4 == len(data) {
		return len(data), uint64(len(data))
	}
	var h httpHead
	if !h.parseRequest(data) || h.size == 0 {
		return 0, 0
	}
	body, ok := h.bodySize(data[h.size:])
	if !ok {
		return h.size, 0
	}
	return h.size, uint64(h.size) + body
}

func endingHTTP(request, data []byte) (ending, uint64, bool) {
	var h httpHead
	if !h.parseResponse(data) {
		return endFramed, 0, false
	}
	method, _, _ := bytes.Cut(trimLines(request), []byte{' '})
	head := uint64(h.size)
	switch {
	case h.status == 101, string(method) == "CONNECT" && h.status/100 == 2:
		return endHere, head, true
	case string(method) == "HEAD", h.status == 204, h.status == 304:
		return endFramed, head, true
	case head == 0: // the length may stand in the part that was cut
		return endClose, 0, true
	case h.fields[fieldContentLength].count == 0 && h.fields[fieldTransferEncoding].count == 0:
		return endClose, 0, true
	}
	body, ok := h.bodySize(data[head:])
	if !ok {
		return endFramed, 0, true
	}
	return endFramed, head + body, true
}

func describeHTTP(d *describer, c *call, x *Exchange) bool {
	h := &d.request
	if !h.parseRequest(c.request.Head) {
		return false
	}
	d.reset()
	x.Operation = d.method(h.method)
	target := splitTarget(h.method, h.target)
	var route [2]int
	if c.request.Role == RoleServer {
		d.server(c, &target)
		from := d.mark()
		if h.minor != 0 { // of a target that is cut no template can be made
			d.text = appendRoute(d.text, target.path)
		}
		route = [2]int{from, d.mark()}
	} else {
		d.client(c, &target)
	}
	d.address(semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, c.request.Remote)
	if c.request.Unix {
		d.constant(semconv.NetworkTransportKey, "unix")
	}
	switch h.minor {
	case '0':
		d.constant(semconv.NetworkProtocolVersionKey, "1.0")
	case '1':
		d.constant(semconv.NetworkProtocolVersionKey, "1.1")
	}
	d.capture(h, false)
	if !d.outcome(c, x) {
		return false
	}
	x.Attributes, x.Target = d.finish(route[0], route[1])
	if x.Target != "" {
		x.TargetKey = semconv.HTTPRouteKey
		x.Tentative = d.answer.status/100 == 4 || x.FirstByte.IsZero()
	}
	x.TraceState = h.traceState(&x.Trace)
	return true
}

// method adds the method and returns what stands for it in the span's name.
func (d *describer) method(method []byte) string {
	for _, known := range methods {
		if string(method) == known {
			d.constant(semconv.HTTPRequestMethodKey, known)
			return known
		}
	}
	d.constant(semconv.HTTPRequestMethodKey, "_OTHER")
	d.value(semconv.HTTPRequestMethodOriginalKey, method)
	return "HTTP"
}

// server adds what the conventions want of the server's side.
func (d *describer) server(c *call, t *httpTarget) {
	h := &d.request
	first := parseForwarded(h.fields[fieldForwarded].value)
	scheme := firstOf(first.proto, firstItem(h.fields[fieldForwardedProto].value), t.scheme)
	https := equalFold(scheme, "https") || equalFold(scheme, "wss")
	if https {
		d.constant(semconv.URLSchemeKey, "https")
	} else {
		d.constant(semconv.URLSchemeKey, "http")
	}
	from := d.mark()
	d.text = appendPath(d.text, t.path)
	if d.mark() > from {
		d.written(semconv.URLPathKey, from)
	}
	if len(t.query) > 0 {
		from = d.mark()
		d.text = appendQuery(d.text, t.query)
		d.written(semconv.URLQueryKey, from)
	}
	original := firstOf(first.host, firstItem(h.fields[fieldForwardedHost].value))
	d.serverAddress(original, t, https, c.request.Local)
	hop, ok := parseHop(firstOf(first.client, firstItem(h.fields[fieldForwardedFor].value)))
	if !ok {
		hop = c.request.Remote
	}
	d.address(semconv.ClientAddressKey, semconv.ClientPortKey, hop)
	d.value(semconv.UserAgentOriginalKey, h.fields[fieldUserAgent].value)
}

// client adds what the conventions want of the client's side.
func (d *describer) client(c *call, t *httpTarget) {
	https := equalFold(t.scheme, "https") || equalFold(t.scheme, "wss")
	from := d.mark()
	authority := firstOf(t.authority, d.request.fields[fieldHost].value)
	host, _ := splitHost(authority)
	switch {
	case t.path == nil && t.scheme == nil: // CONNECT names no scheme
	case https:
		d.text = append(d.text, "https:"...)
	case len(host) > 0 || c.request.Remote.IsValid():
		d.text = append(d.text, "http:"...)
	}
	switch {
	case len(host) > 0:
		d.text = append(d.text, "//"...)
		if at := bytes.LastIndexByte(authority, '@'); at >= 0 {
			d.text = append(d.text, redacted+":"+redacted+"@"...)
			authority = authority[at+1:]
		}
		d.text = append(d.text, authority...)
	case c.request.Remote.IsValid():
		d.text = append(d.text, "//"...)
		a := c.request.Remote
		d.text = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).AppendTo(d.text)
	}
	if len(t.path) != 1 || t.path[0] != '*' { // OPTIONS * is about the server itself
		d.text = appendPath(d.text, t.path)
	}
	if t.hasQuery {
		d.text = appendQuery(append(d.text, '?'), t.query)
	}
	d.written(semconv.URLFullKey, from)
	d.serverAddress(nil, t, https, c.request.Remote)
}

// serverAddress adds the name of the server as its client knows it: from the
// first source that names one, else the address of the connection.
func (d *describer) serverAddress(original []byte, t *httpTarget, https bool, socket netip.AddrPort) {
	for _, authority := range [...][]byte{original, t.authority, d.request.fields[fieldHost].value} {
		host, port := splitHost(authority)
		if len(host) == 0 {
			continue
		}
		from := d.mark()
		d.text = append(d.text, host...)
		d.written(semconv.ServerAddressKey, from)
		switch {
		case port > 0:
		case https:
			port = 443
		default:
			port = 80
		}
		d.number(semconv.ServerPortKey, int64(port))
		return
	}
	d.address(semconv.ServerAddressKey, semconv.ServerPortKey, socket)
}

// outcome adds status and error. It returns false when the response is none.
func (d *describer) outcome(c *call, x *Exchange) bool {
	if c.response.Part == 0 {
		d.answer.status = 0
	} else {
		if !d.answer.parseStatusLine(c.response.Head) {
			return false
		}
		status := d.answer.status
		d.number(semconv.HTTPResponseStatusCodeKey, int64(status))
		d.capture(&d.answer, true)
		if status >= 500 || status >= 400 && c.request.Role == RoleClient {
			x.Failed = true // the status says why: no message
			d.constant(semconv.ErrorTypeKey, statusText(status))
			return true
		}
	}
	if failure := c.failure; failure != "" {
		x.Failed = true
		d.constant(semconv.ErrorTypeKey, failure)
		switch failure {
		case errorClosed:
			x.Message = "connection closed before the response"
		case errorIncomplete:
			x.Message = "connection closed inside the response"
		case errorTimeout:
			x.Message = "no response in time"
		}
	}
	return true
}

// capture adds the headers that were asked for, every value of each.
func (d *describer) capture(h *httpHead, response bool) {
	for _, header := range d.headers {
		var values []string
		for rest := fieldLines(h.lines); ; {
			name, value, ok := rest.next()
			if !ok {
				break
			}
			if equalFold(name, header.name) && !hasControl(value) {
				values = append(values, string(appendUTF8(nil, value)))
			}
		}
		if len(values) == 0 {
			continue
		}
		key := header.request
		if response {
			key = header.response
		}
		d.entries = append(d.entries, entry{key: key, list: values, kind: entryList})
	}
}
