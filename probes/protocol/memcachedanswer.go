package protocol

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// memcachedParts are lines of an answer that others follow.
var memcachedParts = []string{"VALUE", "STAT", "ITEM"}

// memcachedAnswers are the other lines that say more than one word, or may.
var memcachedAnswers = []string{"VERSION", "VA", "HD", "EN", "NS", "EX", "NF", "MN", "ME"}

// measureMemcachedAnswer returns the size of a line, with the value that it
// announces.
func measureMemcachedAnswer(data []byte) int64 {
	line, size := memcachedLine(data)
	switch {
	case size < 0, size == 0 && len(data) >= maxMemcachedLine:
		return -1
	case size == 0:
		return 0
	}
	words := memcachedWords(line)
	at := 0
	switch string(words[0]) {
	case "VALUE":
		at = 3
	case "VA":
		at = 1
	default:
		if memcachedCode(line, words) < 0 {
			return -1
		}
		return int64(size)
	}
	if len(words) <= at {
		return -1
	}
	n, err := strconv.ParseUint(string(words[at]), 10, 40)
	if err != nil {
		return -1
	}
	whole := int64(size) + int64(n) + 2
	if int64(len(data)) >= whole && (data[whole-2] != '\r' || data[whole-1] != '\n') {
		return -1
	}
	return whole
}

// memcachedCode says whether a line is an answer: 0 or more.
func memcachedCode(line []byte, words [][]byte) int {
	word := words[0]
	known := func(list []string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return string(word) == w })
	}
	switch {
	case known(memcachedParts), known(memcachedAnswers), known(memcachedErrors):
		return 0
	case len(words) == 1 && isDigits(word):
		return 0
	case len(word) != len(line) && !known([]string{"BUSY", "BADCLASS", "NOSPARE", "NOTFULL", "UNSAFE", "SAME"}):
		return -1
	}
	for _, c := range memcachedCommands {
		if known(c.answers) {
			return 0
		}
	}
	return -1
}

func isDigits(word []byte) bool {
	for _, c := range word {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(word) > 0
}

// received takes a line of an answer.
func (s *memcached) received(f *frame) bool {
	line, _ := memcachedLine(f.data)
	words := memcachedWords(line)
	code := string(words[0])
	waiting := s.front()
	part := slices.Contains(memcachedParts, code)
	if len(waiting) == 0 {
		if !part {
			s.link.stray()
		}
		return true
	}
	if part {
		return s.part(waiting, code, f)
	}
	if isDigits(words[0]) {
		code = "" // a number
	}
	failed := slices.Contains(memcachedErrors, code)
	for i, w := range waiting {
		if failed || slices.Contains(w.answers, code) {
			s.answered(i, code, line, f)
			return true
		}
		if !w.quiet {
			return false
		}
	}
	return false
}

// part takes a line of an answer that is not its last. Only the oldest command
// that must be answered can have one.
func (s *memcached) part(waiting []memcachedWait, code string, f *frame) bool {
	w := waiting[0]
	if w.quiet || !slices.Contains(w.answers, "END") {
		return false
	}
	s.link.answer(w.batch.q, f)
	w.batch.began = true
	if code == "VALUE" {
		s.rows++
	}
	return true
}

// answered ends the commands that wait up to i, which has the answer.
func (s *memcached) answered(i int, code string, line []byte, f *frame) {
	waiting := s.waiting
	w := waiting[i]
	for at, v := range waiting[:i+1] {
		b := v.batch
		s.link.answer(b.q, f)
		b.began = true
		if at == i {
			s.result(b, code, line)
		}
		b.vague = at == i && w.quiet && slices.ContainsFunc(waiting[i+1:], func(later memcachedWait) bool {
			return later.batch == b && slices.Contains(later.answers, code)
		})
		s.waiting = s.waiting[1:]
		s.finish(b, f)
	}
	if w.streams && code == "OK" {
		s.link.opaque()
	}
}

// result looks at what an answer says.
func (s *memcached) result(b *batch, code string, line []byte) {
	if slices.Contains(memcachedErrors, code) {
		b.fail(code, withoutTyped(string(line)))
	}
	if code == "VA" && b.value != "" {
		s.rows++
	}
}

// finish notes one command of b as answered.
func (s *memcached) finish(b *batch, f *frame) {
	if b.left == 1 {
		if b.value != "" && b.fails == 0 {
			b.q.number(semconv.DBResponseReturnedRowsKey, s.rows)
		}
		s.rows = 0
	}
	s.batches.answered(b, f)
}

// detectMemcached knows commands, of clients that send whole lines, and the
// requests of the binary protocol.
func detectMemcached(d direction, data []byte, size uint64) bool {
	if d == toClient || len(data) == 0 {
		return false
	}
	if data[0] == memcachedBinary {
		return detectMemcachedBinary(data, size)
	}
	for n := 0; len(data) > 0; n++ {
		line, end := memcachedLine(data)
		if end == 0 && n > 0 && size > uint64(len(data)) {
			return true // more commands than were captured
		}
		if end <= 0 || end < 2 || data[end-2] != '\r' || !looksMemcached(line) {
			return n > 0 && end == 0
		}
		whole := measureMemcached(data)
		if whole <= 0 {
			return false
		}
		if uint64(whole) >= uint64(len(data)) {
			return uint64(whole) > uint64(len(data)) || bytes.HasSuffix(data, []byte("\r\n"))
		}
		if whole > int64(end) && string(data[whole-2:whole]) != "\r\n" {
			return false
		}
		data, size = data[whole:], size-uint64(whole)
	}
	return true
}

// looksMemcached says whether a line is a command with arguments as they must
// be. Other protocols have words such as "delete 7" and "quit" as well.
func looksMemcached(line []byte) bool {
	words := memcachedWords(line)
	name := string(words[0])
	how, ok := memcachedCommands[name]
	if !ok || how.mute || how.streams {
		return false
	}
	arguments := words[1:]
	switch name {
	case "version", "mn", "stats", "flush_all":
		return len(arguments) < 2
	case "gat", "gats":
		return len(arguments) > 1 && isDigits(arguments[0]) && areMemcachedKeys(arguments[1:])
	case "get", "gets":
		return len(arguments) > 0 && areMemcachedKeys(arguments)
	case "incr", "decr", "touch":
		return len(arguments) > 1 && len(arguments) < 4 && isDigits(arguments[1]) && areMemcachedKeys(arguments[:1])
	case "delete":
		return len(arguments) > 0 && len(arguments) < 3 && !isDigits(arguments[0]) && areMemcachedKeys(arguments[:1])
	}
	switch {
	case how.data > 0:
		return how.length(words) >= 0 && (how.meta || len(words) <= how.data+3)
	case how.meta:
		return len(arguments) > 0 && areMemcachedKeys(arguments)
	}
	return false
}

func areMemcachedKeys(words [][]byte) bool {
	for _, w := range words {
		if len(w) > maxMemcachedKey {
			return false
		}
	}
	return true
}

// detectMemcachedBinary looks at a header: opcodes have keys and extras or not.
func detectMemcachedBinary(data []byte, size uint64) bool {
	whole := measureMemcachedBinary(data)
	if whole <= 0 || uint64(whole) > size && uint64(len(data)) < size {
		return false
	}
	key, extras := binary.BigEndian.Uint16(data[2:]), data[4]
	body := binary.BigEndian.Uint32(data[8:])
	switch data[1] {
	case 0x00, 0x09, 0x0c, 0x0d, 0x04, 0x14: // get, delete
		return key > 0 && extras == 0 && body == uint32(key)
	case 0x01, 0x02, 0x03, 0x11, 0x12, 0x13: // set, add, replace
		return key > 0 && extras == 8
	case 0x05, 0x06, 0x15, 0x16: // increment
		return key > 0 && extras == 20
	case 0x07, 0x0a, 0x0b, 0x17, 0x20: // quit, no-op, version, list of SASL mechanisms
		return key == 0 && extras == 0 && body == 0
	case 0x21: // SASL
		return key > 0 && extras == 0
	}
	return false
}
