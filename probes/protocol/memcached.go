package protocol

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Memcached: its text protocol with the meta commands. The binary one, which it
// has given up itself, is recognised and left alone.
//
// A command is a span; several that were sent one behind the other are one, a
// BATCH (see batch). A key that is not found is no error. Commands that are to
// have no reply end with their last byte. Quiet ones have a reply only when it
// is worth one; what the next command's answer leaves open about them, it ends.

const (
	maxMemcachedKey  = 250
	maxMemcachedLine = 2 << 10 // of all commands but those with many keys
	maxMemcachedOpen = 4 << 10 // commands that wait for an answer
	memcachedBinary  = 0x80    // begins a request of the binary protocol
	memcachedHeader  = 24      // bytes, in that
)

// memcachedCommand is a command and its answers.
type memcachedCommand struct {
	answers []string // that it may have, but for errors
	quiet   []string // if it was told to be quiet
	data    int      // the word that says how many bytes follow the line; 0: none do
	keys    bool     // any number of words may follow it
	meta    bool     // it takes flags
	streams bool     // after the answer comes what is no conversation
	mute    bool     // it has no answer
}

var memcachedStored = []string{"STORED", "NOT_STORED", "EXISTS", "NOT_FOUND"}

// memcachedCommands are all commands of version 1.6.
var memcachedCommands = map[string]memcachedCommand{
	"get": {answers: []string{"END"}, keys: true}, "gets": {answers: []string{"END"}, keys: true},
	"gat": {answers: []string{"END"}, keys: true}, "gats": {answers: []string{"END"}, keys: true},
	"set": {answers: memcachedStored, data: 4}, "add": {answers: memcachedStored, data: 4},
	"replace": {answers: memcachedStored, data: 4}, "append": {answers: memcachedStored, data: 4},
	"prepend": {answers: memcachedStored, data: 4}, "cas": {answers: memcachedStored, data: 4},
	"delete": {answers: []string{"DELETED", "NOT_FOUND"}}, "touch": {answers: []string{"TOUCHED", "NOT_FOUND"}},
	"incr": {answers: []string{"", "NOT_FOUND"}}, "decr": {answers: []string{"", "NOT_FOUND"}},
	"mg": {answers: []string{"VA", "HD", "EN"}, quiet: []string{"VA", "HD"}, meta: true},
	"ms": {answers: []string{"HD", "NS", "EX", "NF"}, quiet: []string{"NS", "EX", "NF"}, data: 2, meta: true},
	"md": {answers: []string{"HD", "NF", "EX"}, quiet: []string{"NF", "EX"}, meta: true},
	"ma": {answers: []string{"VA", "HD", "NF", "NS", "EX"}, quiet: []string{"VA", "NF", "NS", "EX"}, meta: true},
	"me": {answers: []string{"ME", "EN"}, meta: true}, "mn": {answers: []string{"MN"}},
	"stats": {answers: []string{"END", "OK", "RESET"}}, "version": {answers: []string{"VERSION"}},
	"flush_all": {answers: []string{"OK"}}, "verbosity": {answers: []string{"OK"}},
	"cache_memlimit": {answers: []string{"OK"}}, "slabs": {answers: []string{"OK", "BUSY", "BADCLASS", "NOSPARE", "NOTFULL", "UNSAFE", "SAME"}},
	"lru": {answers: []string{"OK"}}, "lru_crawler": {answers: []string{"OK", "BUSY", "BADCLASS", "END"}, streams: true},
	"extstore": {answers: []string{"OK"}}, "watch": {answers: []string{"OK"}, streams: true},
	"quit": {mute: true}, "shutdown": {mute: true},
}

// memcachedErrors end any command.
var memcachedErrors = []string{"ERROR", "CLIENT_ERROR", "SERVER_ERROR"}

// memcachedUnknown stands for a word that is no command: it may be anything.
const memcachedUnknown = "unknown"

// memcached is one connection.
type memcached struct {
	link    *link
	batches batches
	waiting []memcachedWait // commands, of all batches, oldest first
	rows    int64           // values of the oldest batch that came
	long    bool            // a line with many keys goes on
	losses  [2]uint32
}

// memcachedWait is a command that waits for its answer.
type memcachedWait struct {
	batch   *batch
	answers []string
	quiet   bool // it may have none
	streams bool
}

func openMemcached(l *link) session {
	return &memcached{link: l, batches: batches{l}, losses: l.losses}
}

func (s *memcached) measure(d direction, data []byte) int64 {
	s.heal()
	switch {
	case d == toClient:
		return measureMemcachedAnswer(data)
	case s.long:
		if end := bytes.IndexByte(data, '\n'); end >= 0 {
			return int64(end + 1)
		}
		return int64(len(data))
	case data[0] == memcachedBinary:
		return measureMemcachedBinary(data)
	}
	return measureMemcached(data)
}

// measureMemcached returns the size of a command with the bytes that it stores.
func measureMemcached(data []byte) int64 {
	line, size := memcachedLine(data)
	switch {
	case size < 0:
		return -1
	case size == 0 && len(data) < maxMemcachedLine:
		return 0
	case size == 0:
		if name, _, _ := bytes.Cut(line, []byte{' '}); memcachedCommands[string(name)].keys {
			return int64(len(data)) // the rest of it says nothing more
		}
		return -1
	}
	words := memcachedWords(line)
	how := memcachedCommands[string(words[0])]
	if n := how.length(words); n >= 0 {
		return int64(size) + n + 2
	}
	return int64(size)
}

// length returns how many bytes a command stores, less than 0 for none.
func (c *memcachedCommand) length(words [][]byte) int64 {
	if c.data == 0 || len(words) <= c.data || len(words[1]) > maxMemcachedKey {
		return -1
	}
	for i := 2; i <= c.data; i++ { // the server wants all of them right
		n, err := strconv.ParseInt(string(words[i]), 10, 64)
		if err != nil || i == c.data && (n < 0 || n > 1<<40) {
			return -1
		}
	}
	n, _ := strconv.ParseInt(string(words[c.data]), 10, 64)
	return n
}

// silenced says whether the client wants no answer. A key may have that name.
func (c *memcachedCommand) silenced(words [][]byte) bool {
	last := len(words) - 1
	return !c.keys && !c.meta && string(words[last]) == "noreply" &&
		(last > 1 || last == 1 && string(words[0]) == "flush_all")
}

// memcachedLine returns a line without its end, and its size with that. It is 0
// if the end is not in data, and less than 0 if no command or answer begins so.
func memcachedLine(data []byte) (line []byte, size int) {
	end := bytes.IndexByte(data, '\n')
	line, size = data, end+1
	if end >= 0 {
		line = data[:end]
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	for i, c := range line {
		if c < ' ' || c == 0x7f || i == 0 && !isWordByte(c) {
			return nil, -1
		}
	}
	if end >= 0 && len(line) == 0 {
		return nil, -1
	}
	return line, size
}

// memcachedWords returns the words of a line, at least one.
func memcachedWords(line []byte) [][]byte {
	words := bytes.Fields(line)
	if len(words) == 0 {
		return [][]byte{nil}
	}
	return words
}

// measureMemcachedBinary returns the size of a request in the binary protocol.
func measureMemcachedBinary(data []byte) int64 {
	if len(data) < memcachedHeader {
		return 0
	}
	key, extras := int64(binary.BigEndian.Uint16(data[2:])), int64(data[4])
	body := int64(binary.BigEndian.Uint32(data[8:]))
	if data[1] > 0x3f || data[5] != 0 || key > maxMemcachedKey || key+extras > body {
		return -1
	}
	return memcachedHeader + body
}

func (s *memcached) take(d direction, f *frame) bool {
	switch {
	case d == toClient:
		return s.received(f)
	case s.long:
		s.long = f.data[len(f.data)-1] != '\n'
		return true
	case f.data[0] == memcachedBinary:
		s.link.opaque()
		return true
	}
	line, size := memcachedLine(f.data)
	s.long = size == 0
	return s.sent(f, line)
}

// resume can't tell a line from one in a value.
func (s *memcached) resume(direction, []byte) int { return -1 }

// heal lets go of what was lost.
func (s *memcached) heal() {
	if s.losses[toServer] != s.link.losses[toServer] {
		s.long = false
	}
	if s.losses[toClient] != s.link.losses[toClient] {
		s.batches.missed()
	}
	s.losses = s.link.losses
}

// sent takes a command.
func (s *memcached) sent(f *frame, line []byte) bool {
	words := memcachedWords(line)
	how, ok := memcachedCommands[string(words[0])]
	o := order{system: semconv.DBSystemNameMemcached, name: string(words[0])}
	if !ok {
		if o.name = memcachedUnknown; !isMemcachedWord(words[0]) {
			return false
		}
	}
	o.text = s.statement(o.name, line, len(words)-1)
	s.settle()
	if how.mute || how.silenced(words) {
		s.batches.answered(s.batches.add(f, o), f)
		return true
	}
	if len(s.waiting) >= maxMemcachedOpen {
		s.batches.giveUp()
	}
	b := s.batches.open(f)
	if b == nil {
		b = s.batches.add(f, o)
	} else {
		b.join(o, "BATCH")
	}
	w := memcachedWait{batch: b, answers: how.answers, streams: how.streams}
	if how.meta && slices.ContainsFunc(words[min(len(words), 2+how.data/2):], func(flag []byte) bool { return flag[0] == 'q' }) {
		w.quiet, w.answers = true, how.quiet
	}
	if how.keys || string(words[0]) == "mg" {
		b.value = "rows"
	}
	s.waiting = append(s.front(), w)
	return true
}

// statement returns db.query.text: the line, never the bytes behind it.
func (s *memcached) statement(name string, line []byte, arguments int) string {
	switch s.link.owner.options.Statement {
	case StatementOff:
		return ""
	case StatementRaw:
		return string(line[:min(len(line), maxMemcachedLine)])
	}
	text := name + strings.Repeat(" ?", min(arguments, maxShown))
	if arguments > maxShown {
		text += " ..."
	}
	return text
}

func isMemcachedWord(word []byte) bool {
	for _, c := range word {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return len(word) > 0 && len(word) <= 32
}

// front returns the commands that wait, without those whose batch is gone.
func (s *memcached) front() []memcachedWait {
	b := s.batches.oldest()
	n := 0
	for n < len(s.waiting) && s.waiting[n].batch != b {
		n++
	}
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting, s.rows = nil, 0
	}
	return s.waiting
}

// settle ends a batch of which a quiet command took the last answer, as far as
// can be told: the client goes on.
func (s *memcached) settle() {
	waiting := s.front()
	if len(waiting) == 0 {
		return
	}
	b := waiting[0].batch
	if !b.vague || s.link.depth != 1 || s.link.flows[toClient].last.Before(b.q.answered) {
		return
	}
	b.left = 1
	s.finish(b, &frame{last: s.link.flows[toClient].last})
}
