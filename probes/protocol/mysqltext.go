package protocol

import (
	"bytes"
	"encoding/binary"
)

// mysqlText returns the text of a COM_QUERY, and the W3C trace context that its
// attributes carry. Attributes stand before the text if both sides know them,
// MySQL 8.0.23 and later: their number, and how many sets of them, which is 1. A
// text never begins with such bytes.
func mysqlText(body []byte) (text, context []byte) {
	const most = 8 // a text may begin with 9, a tab
	if len(body) < 2 || body[0] > most || body[1] != 1 {
		return body, nil
	}
	n, rest := int(body[0]), body[2:]
	if n == 0 {
		return rest, nil
	}
	if len(rest) < 2 || rest[1] != 1 { // which are null, and that types follow
		return nil, nil
	}
	nulls, rest := rest[0], rest[2:]
	types, names := make([]byte, n), make([][]byte, n)
	for i := range n {
		if len(rest) < 2 {
			return nil, nil
		}
		var ok bool
		types[i] = rest[0]
		if names[i], rest, ok = mysqlCutString(rest[2:]); !ok {
			return nil, nil
		}
	}
	for i := range n {
		if nulls&(1<<i) != 0 {
			continue
		}
		value, after, ok := mysqlCutValue(types[i], rest)
		if !ok {
			return nil, nil
		}
		if bytes.EqualFold(names[i], []byte("traceparent")) {
			context = value
		}
		rest = after
	}
	return rest, context
}

// mysqlSizes are those of the types of fixed size.
var mysqlSizes = map[byte]int{1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 0, 8: 8, 9: 4, 13: 2}

// mysqlCutValue takes a value off data.
func mysqlCutValue(kind byte, data []byte) (value, rest []byte, ok bool) {
	if size, fixed := mysqlSizes[kind]; fixed {
		if len(data) < size {
			return nil, nil, false
		}
		return data[:size], data[size:], true
	}
	return mysqlCutString(data) // dates and times begin with their length too
}

// detectMySQL recognises the greeting, a login, and commands.
func detectMySQL(d direction, data []byte, size uint64) bool {
	if len(data) < mysqlHeader+1 {
		return false
	}
	length := uint64(mysqlLength(data))
	if d == toClient {
		return detectMySQLServer(data, length, size)
	}
	switch {
	case mysqlCompressed(data):
		return mysqlHeaderCompressed+length <= size
	case data[3] == 1 || data[3] == 2:
		_, ok := mysqlReadLogin(data[mysqlHeader:])
		return ok && mysqlHeader+length == size && length < 1<<16
	}
	for commands := 0; ; commands++ {
		if len(data) <= mysqlHeader {
			return commands > 0 && uint64(len(data)) < size
		}
		length := uint64(mysqlLength(data))
		if data[3] != 0 || !detectMySQLCommand(data[mysqlHeader:min(uint64(len(data)), mysqlHeader+length)], length, size) {
			return false
		}
		if size == mysqlHeader+length || length == mysqlFull {
			return true
		}
		if size < mysqlHeader+length { // the rest comes later: so long ones only
			return size > 1024
		}
		if mysqlHeader+length >= uint64(len(data)) {
			return true
		}
		data, size = data[mysqlHeader+length:], size-mysqlHeader-length
	}
}

// detectMySQLServer recognises what a server says first.
func detectMySQLServer(data []byte, length, size uint64) bool {
	if size != mysqlHeader+length || data[3] != 0 {
		return false
	}
	if data[mysqlHeader] != mysqlIsError {
		_, ok := mysqlReadGreeting(data)
		return ok
	}
	if len(data) < mysqlHeader+8 || length > 512 {
		return false
	}
	code := binary.LittleEndian.Uint16(data[mysqlHeader+1:])
	for _, b := range data[mysqlHeader+3:] {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return code >= 1000 && code < 5000
}

// detectMySQLCommand says whether a packet, without its header, is one of the
// commands that are worth to begin with: size is what there is with the header.
func detectMySQLCommand(data []byte, length, size uint64) bool {
	if len(data) == 0 {
		return false
	}
	body := data[1:]
	switch data[0] {
	case mysqlPing, mysqlResetAll:
		return length == 1 && size == mysqlHeader+1
	case mysqlQuery:
		text, _ := mysqlText(body)
		return detectSQL(text)
	case mysqlPrepare:
		return detectSQL(body)
	case mysqlInitDB:
		return size == mysqlHeader+length && detectMySQLName(body)
	case mysqlClose, mysqlReset:
		return length == 5 && len(body) == 4
	case mysqlFetch:
		return length == 9 && len(body) == 8
	case mysqlExecute: // statement, flags, and how often: once
		return length >= 10 && len(body) >= 9 && body[4] < 0x10 && binary.LittleEndian.Uint32(body[5:]) == 1
	case mysqlBulkExecute: // statement, flags, types
		return length >= 9 && len(body) >= 6 && body[5] == 0 && body[4]&^0xc0 == 0
	case mysqlLongData:
		return length >= 7 && len(body) >= 6 && body[3] == 0 && body[5] == 0
	}
	return false
}

// detectMySQLName recognises a database.
func detectMySQLName(name []byte) bool {
	for _, b := range name {
		if b != '_' && b != '-' && b != '$' && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 64
}
