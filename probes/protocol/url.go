package protocol

import "bytes"

// httpTarget is the request target of HTTP/1.x in parts (RFC 9112 section 3.2).
type httpTarget struct {
	scheme, authority []byte // of the absolute form; authority of CONNECT too
	path, query       []byte
	hasQuery          bool
}

func splitTarget(method, target []byte) (t httpTarget) {
	if string(method) == "CONNECT" {
		t.authority = target
		return t
	}
	// Some clients send the fragment, which is nobody's business here.
	target, _, _ = bytes.Cut(target, []byte{'#'})
	if i := bytes.Index(target, []byte("://")); i > 0 && isScheme(target[:i]) {
		t.scheme, target = target[:i], target[i+3:]
		end := bytes.IndexAny(target, "/?")
		if end < 0 {
			end = len(target)
		}
		t.authority, target = target[:end], target[end:]
	}
	t.path, t.query, t.hasQuery = bytes.Cut(target, []byte{'?'})
	return t
}

func isScheme(b []byte) bool {
	return equalFold(b, "http") || equalFold(b, "https") || equalFold(b, "ws") || equalFold(b, "wss")
}

// splitHost takes an authority or Host value apart. Credentials before "@" are
// left out, brackets around IPv6 addresses too. It returns no host when the
// value is none, rather than pass on what anybody may have written there.
func splitHost(authority []byte) (host []byte, port uint64) {
	host = authority[bytes.LastIndexByte(authority, '@')+1:]
	bracket := bytes.LastIndexByte(host, ']')
	if colon := bytes.LastIndexByte(host, ':'); colon > bracket {
		n, ok := parseUint(host[colon+1:], 10)
		if !ok && colon+1 < len(host) || n > 65535 {
			return nil, 0
		}
		host, port = host[:colon], n
	}
	if len(host) > 1 && host[0] == '[' && bracket == len(host)-1 {
		host = host[1:bracket]
	}
	if len(host) > 255 {
		return nil, 0
	}
	for _, c := range host {
		alnum := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alnum && bytes.IndexByte([]byte(".-_:%"), c) < 0 {
			return nil, 0
		}
	}
	return host, port
}

const redacted = "REDACTED"

// appendPath adds a path, percent-encoding what may not stand in a URL, with
// the values of sensitive path parameters ("/a;jsessionid=…") blanked.
func appendPath(dst, path []byte) []byte {
	path, parameters, more := bytes.Cut(path, []byte{';'})
	dst = appendEncoded(dst, path)
	for more {
		var parameter, rest []byte
		parameter, parameters, more = bytes.Cut(parameters, []byte{';'})
		if slash := bytes.IndexByte(parameter, '/'); slash >= 0 {
			parameter, rest = parameter[:slash], parameter[slash:]
		}
		dst = appendParameter(append(dst, ';'), parameter)
		dst = appendEncoded(dst, rest)
	}
	return dst
}

// appendQuery adds a query in the same manner.
func appendQuery(dst, query []byte) []byte {
	start := 0
	for i, c := range query {
		if c == '&' || c == ';' {
			dst = append(appendParameter(dst, query[start:i]), c)
			start = i + 1
		}
	}
	return appendParameter(dst, query[start:])
}

func appendParameter(dst, parameter []byte) []byte {
	key, value, ok := bytes.Cut(parameter, []byte{'='})
	dst = appendEncoded(dst, key)
	if !ok {
		return dst
	}
	dst = append(dst, '=')
	if len(value) > 0 && (sensitiveKey(key) || sensitiveValue(value)) {
		return append(dst, redacted...)
	}
	return appendEncoded(dst, value)
}

const upperHex = "0123456789ABCDEF"

// appendEncoded copies b with every byte that no URL may hold percent-encoded,
// so that the result is ASCII, hence valid UTF-8, whatever was on the wire.
func appendEncoded(dst, b []byte) []byte {
	start := 0
	for i, c := range b {
		if c > ' ' && c < 0x7f {
			continue
		}
		dst = append(dst, b[start:i]...)
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		start = i + 1
	}
	return append(dst, b[start:]...)
}

// maxKey bounds the parameter names that are looked at; a longer one counts as
// sensitive.
const maxKey = 64

// Names of parameters whose values are secrets, in lower case and without
// punctuation. They cover OpenTelemetry's list for url.full (AWSAccessKeyId,
// Signature, sig, X-Goog-Signature, X-Amz-Signature, X-Amz-Credential,
// X-Amz-Security-Token) and the usual names of sessions and logins.
var (
	sensitiveNames = [...]string{
		"sig", "code", "auth", "authorization", "sid", "pwd", "pass", "pin", "otp", "jwt", "bearer",
		"ticket", "assertion", "samlresponse", "awsaccesskeyid", "authcode", "sas", "hmac", "apikeyid",
	}
	sensitiveEnds  = [...]string{"key", "auth", "pwd", "pass", "sig", "sid", "jwt"}
	sensitiveParts = [...]string{
		"token", "secret", "password", "passwd", "passphrase", "signature", "credential", "session", "apikey",
		"sessid",
	}
)

func sensitiveKey(key []byte) bool {
	if len(key) < 3 {
		return false // the shortest name of the tables has three letters
	}
	var buf [maxKey]byte
	name := buf[:0]
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c == '%' && i+2 < len(key) {
			if n, ok := parseUint(key[i+1:i+3], 16); ok {
				c, i = byte(n), i+2
			}
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			continue
		}
		if len(name) == len(buf) {
			return true
		}
		name = append(name, c)
	}
	for _, s := range sensitiveNames {
		if string(name) == s {
			return true
		}
	}
	for _, s := range sensitiveEnds {
		if bytes.HasSuffix(name, []byte(s)) {
			return true
		}
	}
	for i, c := range name {
		for _, s := range sensitiveParts {
			if c == s[0] && bytes.HasPrefix(name[i:], []byte(s)) {
				return true
			}
		}
	}
	return false
}

// sensitiveValue finds secrets under harmless names: a URL with credentials in
// it, and a JSON web token, which always begins so.
func sensitiveValue(value []byte) bool {
	if bytes.HasPrefix(value, []byte("eyJ")) && bytes.IndexByte(value, '.') > 0 {
		return true
	}
	at := bytes.IndexByte(value, '@') >= 0 || bytes.Contains(value, []byte("%40"))
	return at && (bytes.Contains(value, []byte("//")) || bytes.Contains(value, []byte("%2F%2F")) ||
		bytes.Contains(value, []byte("%2f%2f")))
}
