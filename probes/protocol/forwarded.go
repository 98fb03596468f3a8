package protocol

import (
	"bytes"
	"net/netip"
)

// forwarded is the first hop of a Forwarded header (RFC 7239).
type forwarded struct {
	client, host, proto []byte
}

func parseForwarded(value []byte) (f forwarded) {
	value = firstItem(value)
	for more := len(value) > 0; more; {
		var pair []byte
		pair, value, more = bytes.Cut(value, []byte{';'})
		name, text, _ := bytes.Cut(pair, []byte{'='})
		name, text = trimBlanks(name), bytes.Trim(text, " \t\"")
		switch {
		case equalFold(name, "for"):
			f.client = text
		case equalFold(name, "host"):
			f.host = text
		case equalFold(name, "proto"):
			f.proto = text
		}
	}
	return f
}

// firstItem returns the first element of a comma-separated list: of the
// X-Forwarded headers the one nearest to the client.
func firstItem(value []byte) []byte {
	first, _, _ := bytes.Cut(value, []byte{','})
	return trimBlanks(first)
}

func firstOf(values ...[]byte) []byte {
	for _, v := range values {
		if len(v) > 0 {
			return v
		}
	}
	return nil
}

// maxHop is the length of the longest IPv6 address with brackets and port.
const maxHop = 64

// parseHop reads an address with or without a port. It returns false for names,
// "unknown" and the obfuscated identifiers of RFC 7239.
func parseHop(b []byte) (netip.AddrPort, bool) {
	if len(b) == 0 || len(b) > maxHop {
		return netip.AddrPort{}, false
	}
	s := string(b)
	if hop, err := netip.ParseAddrPort(s); err == nil {
		return hop, hop.Addr().Zone() == ""
	}
	if s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	address, err := netip.ParseAddr(s)
	return netip.AddrPortFrom(address, 0), err == nil && address.Zone() == ""
}
