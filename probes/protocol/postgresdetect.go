package protocol

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// detectPostgres recognises a client's turn: the first message of a connection, or
// one or more that fit the turn's size to the byte and ask for something.
func detectPostgres(d direction, data []byte, size uint64) bool {
	if d != toServer || len(data) < postgresHead {
		return false
	}
	if data[0] == 0 {
		return detectPostgresFirst(data, size)
	}
	asks := false
	for at := uint64(0); at < uint64(len(data)); {
		rest := data[at:]
		if len(rest) < postgresHead {
			return asks && uint64(len(data)) < size
		}
		n := uint64(binary.BigEndian.Uint32(rest[1:])) + 1
		whole := n <= uint64(len(rest))
		// The kernel hands a long statement on in pieces.
		if n < postgresHead || n > postgresMessage || n > size-at && len(data) < postgresPiece {
			return false
		}
		if !postgresShaped(rest[0], rest[postgresHead:min(n, uint64(len(rest)))], whole) {
			return false
		}
		asks = asks || strings.IndexByte("QPBED", rest[0]) >= 0
		at += n
	}
	return asks
}

// postgresPiece is how much there is to see of a turn that goes on.
const postgresPiece = 4096

func detectPostgresFirst(data []byte, size uint64) bool {
	if len(data) < 8 || uint64(binary.BigEndian.Uint32(data)) != size || size > postgresStartup {
		return false
	}
	switch code := binary.BigEndian.Uint32(data[4:]); code {
	case postgresTLS, postgresGSS:
		return size == 8
	case postgresCancel:
		return size >= 16 && size <= 12+256
	default:
		return code>>16 == 3 && code&0xffff <= 99 && bytes.Contains(data[8:], []byte("user\x00"))
	}
}

// postgresShaped says that body, whole or its begin, may be that of a client's
// message.
func postgresShaped(letter byte, body []byte, whole bool) bool {
	switch letter {
	case 'S', 'H', 'X':
		return whole && len(body) == 0
	case 'Q':
		text, rest := cString(body)
		return isText(text) && (!whole || len(rest) == 0 && len(text) < len(body))
	case 'P':
		return shapedParse(body, whole)
	case 'B':
		return shapedBind(body, whole)
	case 'E':
		name, rest := cString(body)
		return isText(name) && (!whole || len(rest) == 4)
	case 'D', 'C':
		if len(body) < 2 || body[0] != 'S' && body[0] != 'P' {
			return !whole && len(body) < 2
		}
		name, rest := cString(body[1:])
		return isText(name) && (!whole || len(rest) == 0 && body[len(body)-1] == 0)
	}
	return false
}

// shapedParse looks at name, text, and 4 bytes for each of some types.
func shapedParse(body []byte, whole bool) bool {
	name, rest := cString(body)
	text, types := cString(rest)
	if !isText(name) || !isText(text) {
		return false
	}
	return !whole || len(types) >= 2 && len(types) == 2+4*int(binary.BigEndian.Uint16(types))
}

// shapedBind looks at portal, statement, formats, values and formats again.
func shapedBind(body []byte, whole bool) bool {
	portal, rest := cString(body)
	name, rest := cString(rest)
	if !isText(portal) || !isText(name) {
		return false
	}
	if !whole {
		return len(rest) >= 4 // both ended
	}
	rest, ok := skipFormats(rest)
	if !ok || len(rest) < 2 {
		return false
	}
	n := int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	for range n {
		if len(rest) < 4 {
			return false
		}
		size := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if size < -1 || int64(size) > int64(len(rest)) {
			return false
		}
		rest = rest[max(size, 0):]
	}
	rest, ok = skipFormats(rest)
	return ok && len(rest) == 0
}

// skipFormats goes over a list of formats, which are 0 or 1.
func skipFormats(data []byte) ([]byte, bool) {
	if len(data) < 2 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(data))
	if data = data[2:]; len(data) < 2*n {
		return nil, false
	}
	for i := range n {
		if binary.BigEndian.Uint16(data[2*i:]) > 1 {
			return nil, false
		}
	}
	return data[2*n:], true
}

// isText says that nothing in data is a control character but white space.
func isText(data []byte) bool {
	for _, c := range data {
		if c < ' ' && (c < '\t' || c > '\r') || c == 0x7f {
			return false
		}
	}
	return true
}
