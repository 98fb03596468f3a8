package protocol

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Capabilities that a client announces.
const (
	mysqlConnectWithDB = 1 << 3
	mysqlCompresses    = 1 << 5
	mysqlProtocol41    = 1 << 9
	mysqlSecure        = 1 << 11
	mysqlAuthLenenc    = 1 << 21
	mysqlZstd          = 1 << 26

	mysqlSecureRequest = 32 // length of a login that is cut off to begin TLS
)

// A packet that is compressed, or could have been, has three bytes more of header:
// how long the content is, 0 for one that is sent as it is.
const mysqlHeaderCompressed = 7

// mysqlCompressed says whether data begins with the first such packet of a turn
// of a client.
func mysqlCompressed(data []byte) bool {
	if len(data) < mysqlHeaderCompressed+mysqlHeader+1 || data[3] != 0 {
		return false
	}
	length, plain, inner := mysqlLength(data), mysqlLength(data[4:]), data[mysqlHeaderCompressed:]
	if plain == 0 {
		_, known := mysqlCommands[inner[mysqlHeader]]
		return known && inner[mysqlHeader] != mysqlLogin && inner[3] == 0 && mysqlLength(inner)+mysqlHeader == length
	}
	zlib := inner[0] == 0x78 && binary.BigEndian.Uint16(inner)%31 == 0
	zstd := bytes.HasPrefix(inner, []byte("\x28\xb5\x2f\xfd"))
	return (zlib || zstd) && length > 8 && length < plain+plain/8+64
}

// mysqlLenenc reads a length-encoded integer and returns how long it is, 0 if
// there is none.
func mysqlLenenc(data []byte) (value uint64, size int) {
	if len(data) == 0 {
		return 0, 0
	}
	switch first := data[0]; {
	case first < 0xfb:
		return uint64(first), 1
	case first == 0xfc && len(data) >= 3:
		return uint64(binary.LittleEndian.Uint16(data[1:])), 3
	case first == 0xfd && len(data) >= 4:
		return uint64(mysqlLength(data[1:])), 4
	case first == 0xfe && len(data) >= 9:
		return binary.LittleEndian.Uint64(data[1:]), 9
	}
	return 0, 0
}

// mysqlCutString takes a length-encoded string off data.
func mysqlCutString(data []byte) (text, rest []byte, ok bool) {
	n, size := mysqlLenenc(data)
	if size == 0 || n > uint64(len(data)-size) {
		return nil, nil, false
	}
	return data[size : size+int(n)], data[size+int(n):], true
}

// mysqlIsColumn says whether a packet describes a column: the first field of one
// is "def", always.
func mysqlIsColumn(data []byte) bool { return bytes.HasPrefix(data, []byte("\x03def")) }

// mysqlOf is what a packet tells of the server.
type mysqlOf uint8

const (
	mysqlOfAny mysqlOf = iota
	mysqlOfMariaDB
)

// mysqlCount reads how many columns a result has, and whether they are described.
// A byte that tells the latter may come with it, which the client asked for:
// MariaDB has it behind the number, MySQL before it.
func mysqlCount(data []byte) (columns int, described bool, of mysqlOf) {
	n, size := mysqlLenenc(data)
	switch {
	case size == 0 || size == 9 || n > 1<<16:
		return 0, false, mysqlOfAny
	case size == len(data):
		return int(n), true, mysqlOfAny
	case size == 1 && n <= 1 && !(n == 1 && len(data) == 2 && data[1] <= 1): // MySQL's byte
		m, after := mysqlLenenc(data[1:])
		if after == 0 || 1+after != len(data) || m > 1<<16 {
			return 0, false, mysqlOfAny
		}
		return int(m), n == 1, mysqlOfAny
	case size+1 == len(data) && data[size] <= 1:
		if n == 1 && data[size] == 1 {
			return 1, true, mysqlOfAny
		}
		return int(n), data[size] == 1, mysqlOfMariaDB
	}
	return 0, false, mysqlOfAny
}

// mysqlEnd is what an OK says, or an EOF.
type mysqlEnd struct {
	affected uint64
	status   uint16
	schema   *string // nil: it stays
}

// mysqlReadEnd reads an OK or an EOF.
func mysqlReadEnd(f *frame) (end mysqlEnd, ok bool) {
	data := f.data[mysqlHeader:]
	switch {
	case len(data) == mysqlEOF && data[0] == mysqlIsEOF:
		return mysqlEnd{status: binary.LittleEndian.Uint16(data[3:])}, true
	case len(data) < mysqlOK || data[0] != mysqlIsOK && data[0] != mysqlIsEOF:
		return end, false
	}
	affected, n := mysqlLenenc(data[1:])
	_, m := mysqlLenenc(data[1+n:])
	rest := data[1+n+m:]
	if n == 0 || m == 0 || len(rest) < 4 {
		return end, false
	}
	end.affected, end.status = affected, binary.LittleEndian.Uint16(rest)
	if end.status&mysqlTracked != 0 && !f.cut() {
		end.schema = mysqlTrackedSchema(rest[4:])
	}
	return end, true
}

// mysqlTrackedSchema reads the database from what changed in the session.
func mysqlTrackedSchema(data []byte) *string {
	const schema = 1
	_, data, ok := mysqlCutString(data) // for people
	changes, rest, fits := mysqlCutString(data)
	if !ok || !fits || len(rest) > 0 {
		return nil
	}
	for len(changes) > 0 {
		kind := changes[0]
		var change []byte
		if change, changes, ok = mysqlCutString(changes[1:]); !ok {
			return nil
		}
		if name, end, fits := mysqlCutString(change); kind == schema && fits && len(end) == 0 {
			out := string(name)
			return &out
		}
	}
	return nil
}

// mysqlGreeting is what the server says first.
type mysqlGreeting struct{ mariadb bool }

func mysqlReadGreeting(packet []byte) (mysqlGreeting, bool) {
	const version, rest = mysqlHeader + 1, 4 + 8 + 1 + 2 // connection, salt, zero, capabilities
	if len(packet) < version+rest+2 || packet[3] != 0 || packet[mysqlHeader] != 10 ||
		mysqlLength(packet) < rest+2 || mysqlLength(packet) > 512 {
		return mysqlGreeting{}, false
	}
	end := bytes.IndexByte(packet[version:], 0)
	if end < 3 || end > 128 || len(packet) < version+end+1+rest || packet[version] < '3' || packet[version] > '9' && packet[version] != '1' ||
		slices.ContainsFunc(packet[version:version+end], func(b byte) bool { return b < ' ' || b > '~' }) {
		return mysqlGreeting{}, false
	}
	after := packet[version+end+1:]
	// MariaDB leaves out the capability that every MySQL has; the version can be set.
	g := mysqlGreeting{mariadb: after[13]&1 == 0 || bytes.Contains(packet[version:version+end], []byte("MariaDB"))}
	return g, after[12] == 0
}

// mysqlClient is what a client's login says, but for who it is.
type mysqlClient struct {
	secure, compress bool
	database         string
}

func mysqlReadLogin(data []byte) (c mysqlClient, ok bool) {
	const reserved, zeros, head = 9, 19, 32
	if len(data) < head {
		return c, false
	}
	capabilities := binary.LittleEndian.Uint32(data)
	if capabilities&mysqlProtocol41 == 0 || slices.ContainsFunc(data[reserved:reserved+zeros], func(b byte) bool { return b != 0 }) {
		return c, false
	}
	c.secure = capabilities&mysqlSecure != 0
	c.compress = capabilities&(mysqlCompresses|mysqlZstd) != 0
	if _, rest, found := bytes.Cut(data[head:], []byte{0}); found && capabilities&mysqlConnectWithDB != 0 {
		c.database = mysqlLoginDatabase(rest, capabilities&mysqlAuthLenenc != 0)
	}
	return c, true
}

// mysqlLoginDatabase reads the database behind the proof of the password.
func mysqlLoginDatabase(data []byte, lenenc bool) string {
	if lenenc {
		var ok bool
		if _, data, ok = mysqlCutString(data); !ok {
			return ""
		}
	} else {
		if len(data) == 0 || int(data[0]) >= len(data) {
			return ""
		}
		data = data[1+int(data[0]):]
	}
	name, _, found := bytes.Cut(data, []byte{0})
	if !found {
		return ""
	}
	return string(name)
}

func mysqlChangeUserDatabase(data []byte) string {
	_, rest, found := bytes.Cut(data, []byte{0})
	if !found {
		return ""
	}
	return mysqlLoginDatabase(rest, false)
}
