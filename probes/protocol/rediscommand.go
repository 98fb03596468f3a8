package protocol

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	maxRedisArguments = 1 << 20  // as the server has it
	maxRedisInline    = maxFrame // the server has 64 KiB; nobody types as much
	maxRedisWord      = 32       // longest name of a command; modules have the longest
	maxRedisKept      = 64       // bytes of an argument that are looked at
	maxRedisText      = 2 << 10  // of StatementRaw
)

// redisHow says what is special about a command.
type redisHow uint16

const (
	redisAlone      redisHow = 1 << iota // a span of its own: it changes the connection
	redisContainer                       // its second word is part of its name
	redisSecret                          // its arguments may hold passwords
	redisBlocks                          // it may wait for long, and rightly so
	redisScript                          // it runs a program, which makes error messages of its own
	redisProcedure                       // its first argument names that program
	redisSubscribes                      // answered by a confirmation for each channel
	redisShort                           // its answer is never an array of 3 or 4
	redisExec                            // errors inside its answer are those of commands
	redisMulti                           // it begins a transaction
	redisSelects
	redisResets
	redisStreams  // what follows its answer is no conversation
	redisNoAnswer // nothing answers it
)

// redisCommands are those with something special.
var redisCommands = map[string]redisHow{
	"ACL": redisContainer | redisSecret, "CLIENT": redisContainer, "CLUSTER": redisContainer,
	"COMMAND": redisContainer, "CONFIG": redisContainer | redisSecret, "DEBUG": redisContainer,
	"FUNCTION": redisContainer, "LATENCY": redisContainer, "MEMORY": redisContainer,
	"MODULE": redisContainer | redisSecret, "OBJECT": redisContainer, "PUBSUB": redisContainer,
	"SCRIPT": redisContainer, "SENTINEL": redisContainer | redisSecret, "SLOWLOG": redisContainer,
	"XGROUP": redisContainer, "XINFO": redisContainer,

	"AUTH": redisAlone | redisSecret, "HELLO": redisAlone | redisSecret, "MIGRATE": redisSecret,
	"SELECT": redisAlone | redisSelects, "RESET": redisAlone | redisResets | redisShort,
	"QUIT": redisAlone | redisShort, "PING": redisShort,
	"MONITOR": redisAlone | redisStreams, "SYNC": redisAlone | redisStreams, "PSYNC": redisAlone | redisStreams,
	"REPLCONF": redisAlone,

	"SUBSCRIBE": redisAlone | redisSubscribes, "UNSUBSCRIBE": redisAlone | redisSubscribes,
	"PSUBSCRIBE": redisAlone | redisSubscribes, "PUNSUBSCRIBE": redisAlone | redisSubscribes,
	"SSUBSCRIBE": redisAlone | redisSubscribes, "SUNSUBSCRIBE": redisAlone | redisSubscribes,

	"BLPOP": redisBlocks, "BRPOP": redisBlocks, "BRPOPLPUSH": redisBlocks, "BLMOVE": redisBlocks,
	"BLMPOP": redisBlocks, "BZPOPMIN": redisBlocks, "BZPOPMAX": redisBlocks, "BZMPOP": redisBlocks,
	"XREAD": redisBlocks, "XREADGROUP": redisBlocks, "WAIT": redisBlocks, "WAITAOF": redisBlocks,

	"EVAL": redisScript, "EVAL_RO": redisScript,
	"EVALSHA": redisScript | redisProcedure, "EVALSHA_RO": redisScript | redisProcedure,
	"FCALL": redisScript | redisProcedure, "FCALL_RO": redisScript | redisProcedure,

	"MULTI": redisMulti, "EXEC": redisExec, "DISCARD": 0,
}

// redisCommand is a command that is being sent. Its memory is used again.
type redisCommand struct {
	first  time.Time
	origin origin

	count int64                 // words: its name and arguments; 0: there is no command
	left  int64                 // of them to come
	size  [3]uint64             // of the first words
	word  [3][maxRedisKept]byte // the first words
	text  []byte                // as sent, only for StatementRaw

	name      string // in capitals
	procedure string
}

// begin starts a command of n words with f. It takes the ids that the kernel gave
// the segment: whether it begins a span shows at its end.
func (c *redisCommand) begin(f *frame, n int64) {
	c.first, c.origin = f.first, *f.origin
	f.origin.taken = true
	c.count, c.left, c.text = max(n, 0), max(n, 0), c.text[:0]
}

// add takes the next word.
func (c *redisCommand) add(word []byte, size uint64, raw bool) {
	if i := c.count - c.left; i < int64(len(c.word)) {
		c.size[i] = size
		copy(c.word[i][:], word)
	}
	c.left--
	if raw && len(c.text) < maxRedisText {
		c.text = appendRedisWord(c.text, word[:min(len(word), maxRedisText-len(c.text))])
	}
}

// inline takes a command in one line, as people type it.
func (c *redisCommand) inline(f *frame, raw bool) {
	words := bytes.Fields(f.data)
	c.begin(f, int64(len(words)))
	for _, w := range words {
		c.add(w, uint64(len(w)), raw)
	}
}

// at returns word i, or the first bytes of a longer one.
func (c *redisCommand) at(i int) []byte {
	if int64(i) >= c.count {
		return nil
	}
	return c.word[i][:min(c.size[i], maxRedisKept)]
}

// says tells whether word i is that one, in letters of any size.
func (c *redisCommand) says(i int, word string) bool {
	return int64(i) < c.count && c.size[i] == uint64(len(word)) && strings.EqualFold(string(c.at(i)), word)
}

// understand names the command, and returns what is special about it; false if
// that is no name.
func (c *redisCommand) understand() (redisHow, bool) {
	if !isRedisWord(c.at(0)) || c.size[0] > maxRedisWord {
		return 0, false
	}
	c.name, c.procedure = strings.ToUpper(string(c.at(0))), ""
	how := redisCommands[c.name]
	if how&redisContainer != 0 && isRedisWord(c.at(1)) && c.size[1] <= maxRedisWord {
		c.name += " " + strings.ToUpper(string(c.at(1)))
	}
	switch {
	case how&redisProcedure != 0 && c.count > 1 && c.size[1] <= maxRedisKept:
		c.procedure = string(c.at(1))
	case c.name == "CLIENT REPLY":
		how |= redisAlone
		if !c.says(2, "ON") {
			how |= redisNoAnswer
		}
	case c.name == "REPLCONF" && c.says(1, "ACK"):
		how |= redisNoAnswer | redisStreams
	}
	return how, true
}

// statement returns db.query.text.
func (c *redisCommand) statement(how redisHow, s Statement) string {
	switch {
	case s == StatementOff:
		return ""
	case s == StatementRaw && how&redisSecret == 0:
		return string(c.text)
	}
	arguments := c.count - 1
	if strings.IndexByte(c.name, ' ') >= 0 {
		arguments--
	}
	text := c.name + strings.Repeat(" ?", int(min(arguments, maxShown)))
	if arguments > maxShown {
		text += " ..."
	}
	return text
}

// order describes the command.
func (c *redisCommand) order(how redisHow, s Statement) order {
	return order{system: semconv.DBSystemNameRedis, name: c.name, text: c.statement(how, s)}
}

// appendRedisWord appends a word as one would type it in redis-cli.
func appendRedisWord(text, word []byte) []byte {
	if len(text) > 0 {
		text = append(text, ' ')
	}
	plain := len(word) > 0 && utf8.Valid(word)
	for _, c := range word {
		if c <= ' ' || c == '"' || c == '\'' || c == '\\' || c == 0x7f {
			plain = false
		}
	}
	if plain {
		return append(text, word...)
	}
	return quoteRedisWord(text, word)
}

func quoteRedisWord(text, word []byte) []byte {
	const digits = "0123456789abcdef"
	text = append(text, '"')
	for _, c := range word {
		switch {
		case c == '"' || c == '\\':
			text = append(text, '\\', c)
		case c < ' ' || c > '~':
			text = append(text, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			text = append(text, c)
		}
	}
	return append(text, '"')
}

// isRedisWord says whether that can be the name of a command, or the second word
// of one: letters, then digits and signs between as well.
func isRedisWord(word []byte) bool {
	if len(word) == 0 || len(word) > maxRedisWord {
		return false
	}
	for i, c := range word {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !isWordByte(c) && c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// redisInline measures a command in one line.
func redisInline(data []byte) int64 {
	end := bytes.IndexByte(data, '\n')
	line := data
	if end >= 0 {
		line = bytes.TrimSuffix(data[:end], []byte{'\r'})
	}
	if len(line) > 0 && line[0] != '\r' {
		if word, _, _ := bytes.Cut(line, []byte{' '}); !isRedisWord(bytes.TrimSuffix(word, []byte{'\r'})) {
			return -1
		}
	}
	for i, c := range line {
		if (c < ' ' || c > '~') && (c != '\r' || i+1 < len(line)) {
			return -1
		}
	}
	if end < 0 && len(data) >= maxRedisInline {
		return -1
	}
	return int64(end + 1)
}

// detectRedis knows commands as programs send them, at the begin of a connection
// and later. Those in one line, as people type them, look like those of other
// protocols: of them only the server's answer to PING tells.
func detectRedis(d direction, data []byte, size uint64) bool {
	if d == toClient {
		return string(data) == redisPong && size == uint64(len(redisPong))
	}
	for commands := 0; ; commands++ {
		if len(data) == 0 {
			return commands > 0
		}
		if data[0] != '*' {
			return false
		}
		words, n := respHeader(data)
		if n <= 0 || words <= 0 || words > maxRedisArguments {
			return n == 0 && commands > 0
		}
		data, size = data[n:], size-uint64(n)
		for i := range words {
			rest, whole, ok := detectRedisWord(data, size, i == 0)
			switch {
			case !ok, !whole && i == 0 && commands == 0:
				return false
			case !whole:
				return true
			}
			size -= uint64(len(data) - len(rest))
			data = rest
		}
	}
}

const redisPong = "+PONG\r\n"

// detectRedisWord looks at a word of a command; whole says that all of it is there.
func detectRedisWord(data []byte, size uint64, name bool) (rest []byte, whole, ok bool) {
	if len(data) == 0 {
		return nil, false, true
	}
	n, header := respHeader(data)
	if data[0] != '$' || header < 0 || n < 0 || name && n > maxRedisWord {
		return nil, false, false
	}
	if header == 0 {
		return nil, false, true
	}
	end := int64(header) + n + 2
	if name && !isRedisWord(respContent(data)) && (n == 0 || int64(len(data)) > int64(header)) {
		return nil, false, false
	}
	if end > int64(len(data)) {
		return nil, false, true
	}
	return data[end:], true, data[end-2] == '\r' && data[end-1] == '\n'
}
