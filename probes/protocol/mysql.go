package protocol

import (
	"bytes"
	"encoding/binary"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/probes/protocol/sql"
)

// The client/server protocol of MySQL and MariaDB, version 10, since MySQL 4.1
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html,
// https://mariadb.com/kb/en/clientserver-protocol/).
//
// A packet has three bytes of length, one of sequence, and up to 16 MiB less one
// byte; a full one goes on in the next. A command begins with sequence 0, and
// the answer goes on counting: that is what shows that the bytes make sense.
// Answers come in order, and where they end is read from the packets alone, since
// what the two sides agreed on is not known of connections older than the agent.
//
// A span is what the server executes: a COM_QUERY, with all its statements, or one
// execution of a prepared statement. The other commands, of which preparing is
// one and logging in another, become spans only when they fail. So there are as
// many spans without an error of preparing as the server's general log has Query
// and Execute.

const (
	mysqlHeader = 4
	mysqlFull   = 1<<24 - 1 // length of a packet that goes on in the next
)

// Commands: the first byte after the header.
const (
	mysqlLogin       = 0x00 // ours, for the answer to the greeting
	mysqlInitDB      = 0x02
	mysqlQuery       = 0x03
	mysqlPing        = 0x0e
	mysqlChangeUser  = 0x11
	mysqlPrepare     = 0x16
	mysqlExecute     = 0x17
	mysqlLongData    = 0x18
	mysqlClose       = 0x19
	mysqlReset       = 0x1a
	mysqlFetch       = 0x1c
	mysqlResetAll    = 0x1f
	mysqlBulkExecute = 0xfa // MariaDB
)

// mysqlAnswer says what the answer to a command looks like.
type mysqlAnswer uint8

const (
	mysqlSilence mysqlAnswer = iota // there is none
	mysqlSimple                     // one packet
	mysqlResult                     // any number of results: one packet, or columns and rows
	mysqlPrepared
	mysqlFields  // columns alone
	mysqlRows    // rows alone
	mysqlAuth    // several turns
	mysqlForever // a stream, as replicas get it
)

type mysqlCommand struct {
	name   string
	answer mysqlAnswer
}

// mysqlCommands are named as the server's general log names them.
var mysqlCommands = map[byte]mysqlCommand{
	mysqlLogin:       {"CONNECT", mysqlAuth},
	0x01:             {"QUIT", mysqlSilence},
	mysqlInitDB:      {"INIT DB", mysqlSimple},
	mysqlQuery:       {"QUERY", mysqlResult},
	0x04:             {"FIELD LIST", mysqlFields},
	0x05:             {"CREATE DB", mysqlSimple},
	0x06:             {"DROP DB", mysqlSimple},
	0x07:             {"REFRESH", mysqlSimple},
	0x08:             {"SHUTDOWN", mysqlSimple},
	0x09:             {"STATISTICS", mysqlSimple},
	0x0a:             {"PROCESSLIST", mysqlResult},
	0x0c:             {"KILL", mysqlSimple},
	0x0d:             {"DEBUG", mysqlSimple},
	mysqlPing:        {"PING", mysqlSimple},
	mysqlChangeUser:  {"CHANGE USER", mysqlAuth},
	0x12:             {"BINLOG DUMP", mysqlForever},
	0x13:             {"TABLE DUMP", mysqlForever},
	0x15:             {"REGISTER REPLICA", mysqlSimple},
	mysqlPrepare:     {"PREPARE", mysqlPrepared},
	mysqlExecute:     {"EXECUTE", mysqlResult},
	mysqlLongData:    {"LONG DATA", mysqlSilence},
	mysqlClose:       {"CLOSE STMT", mysqlSilence},
	mysqlReset:       {"RESET STMT", mysqlSimple},
	0x1b:             {"SET OPTION", mysqlSimple},
	mysqlFetch:       {"FETCH", mysqlRows},
	0x1e:             {"BINLOG DUMP GTID", mysqlForever},
	mysqlResetAll:    {"RESET CONNECTION", mysqlSimple},
	mysqlBulkExecute: {"BULK EXECUTE", mysqlResult},
}

// mysqlLatest is the id that stands for the statement prepared last, in MariaDB:
// clients execute it before they know its own.
const mysqlLatest = 1<<32 - 1

type mysql struct {
	link      *link
	losses    uint32 // as the link's
	begun     bool   // a packet was taken
	greeted   bool   // the server's greeting is the latest packet
	dialect   sql.Dialect
	system    string // db.system.name
	namespace string // empty: not known, or none

	statements statements[uint32]
	latest     mysqlLatestPrepared

	asked    *mysqlRequest // by the client's latest packet
	full     [2]bool       // the packet before goes on in the next
	sequence [2]byte       // of the packet before
	reply    mysqlReply
	trailing byte // 0: none, else the sequence of an EOF that may follow
	strayed  bool // an answer nobody asked for was counted
}

// mysqlLatestPrepared is the statement that was prepared last, if that is known.
type mysqlLatestPrepared struct {
	statement *statement
	refused   bool
}

// mysqlRequest is what is remembered of a command until it is answered.
type mysqlRequest struct {
	code  byte
	first byte // sequence of the answer's first packet

	prepares *statement
	executes *query // the statement, before the answer to this PREPARE is there
	hopeless bool   // executes what could not be prepared, which is told already

	moves           bool   // to namespace, if all goes well
	namespace       string // empty: none
	namespaceBefore string
	compress        bool
}

func openMySQL(l *link) session {
	l.tentative = true
	return &mysql{link: l, dialect: sql.MySQL, losses: l.losses[toServer], system: semconv.DBSystemNameMySQL.Value.AsString()}
}

// mariadb notes that the server is one.
func (s *mysql) mariadb() { s.system = semconv.DBSystemNameMariaDB.Value.AsString() }

func mysqlLength(data []byte) int64 {
	return int64(data[0]) | int64(data[1])<<8 | int64(data[2])<<16
}

func (s *mysql) measure(d direction, data []byte) int64 {
	if len(data) < mysqlHeader {
		return 0
	}
	length, sequence := mysqlLength(data), data[3]
	switch {
	case s.full[d]:
		if sequence != s.sequence[d]+1 {
			return -1
		}
	case d == toClient:
		if length == 0 || !s.expects(sequence, length) {
			return -1
		}
	case sequence == 0:
		if length == 0 || len(data) > mysqlHeader && !s.asks(data) {
			return -1
		}
		if !s.begun && mysqlCompressed(data) {
			return mysqlHeaderCompressed + length
		}
	}
	return mysqlHeader + length
}

// asks says whether a packet of a client can be a command.
func (s *mysql) asks(data []byte) bool {
	code := data[mysqlHeader]
	if code == mysqlLogin {
		return !s.begun && len(data) < mysqlHeaderCompressed || mysqlCompressed(data)
	}
	_, known := mysqlCommands[code]
	return known || !s.begun && mysqlCompressed(data)
}

// expects says whether a packet of the server may come next.
func (s *mysql) expects(sequence byte, length int64) bool {
	if s.trailing != 0 && sequence == s.trailing && length == mysqlEOF {
		return true
	}
	q := s.link.oldest()
	switch {
	case q == nil:
		return true
	case s.reply.query == q:
		return sequence == s.sequence[toClient]+1
	}
	r, ok := q.note.(*mysqlRequest)
	return ok && sequence == r.first
}

func (s *mysql) take(d direction, f *frame) bool {
	if len(f.data) < mysqlHeader {
		return false
	}
	full := s.full[d]
	s.full[d], s.sequence[d] = mysqlLength(f.data) == mysqlFull, f.data[3]
	if d == toClient {
		return full || s.answer(f)
	}
	s.strayed = false
	if !full {
		return s.request(f)
	}
	if s.asked != nil {
		s.asked.first++
	}
	s.inTurn(f)
	return true
}

// request takes what a client sent.
func (s *mysql) request(f *frame) bool {
	begun, greeted := s.begun, s.greeted
	s.begun, s.greeted, s.trailing, s.asked = true, false, 0, nil
	if f.data[3] == 0 {
		if !begun && mysqlCompressed(f.data) {
			s.link.opaque()
			return false
		}
		return len(f.data) > mysqlHeader && s.command(f)
	}
	if greeted || !begun {
		return s.login(f)
	}
	return s.inTurn(f)
}

// inTurn takes what a client sends when the server gave it its turn, in a login or
// for a file. In those both sides count together.
func (s *mysql) inTurn(f *frame) bool {
	q := s.link.oldest()
	if q == nil || q != s.reply.query || s.reply.stage != mysqlTurns || f.data[3] != s.sequence[toClient]+1 {
		return false
	}
	s.sequence[toClient] = f.data[3]
	return true
}

// ask adds a command.
func (s *mysql) ask(f *frame, code byte) (*query, *mysqlRequest) {
	q := s.link.ask(f)
	r := &mysqlRequest{code: code, first: f.data[3] + 1}
	q.note, s.asked = r, r
	q.Operation = mysqlCommands[code].name
	q.auxiliary = code != mysqlQuery && code != mysqlExecute && code != mysqlBulkExecute
	q.text(semconv.DBSystemNameKey, s.system)
	return q, r
}

// move notes that r changes the database if all goes well. Until then nobody knows
// what it is, nor later if the answer goes by unseen.
func (s *mysql) move(r *mysqlRequest, namespace string) {
	r.moves, r.namespace, r.namespaceBefore = true, namespace, s.namespace
	s.namespace = ""
}

// catchUp forgets what may have changed unseen.
func (s *mysql) catchUp() {
	if now := s.link.losses[toServer]; now != s.losses {
		s.losses, s.namespace, s.latest = now, "", mysqlLatestPrepared{}
	}
}

func (s *mysql) command(f *frame) bool {
	code, body := f.data[mysqlHeader], f.data[mysqlHeader+1:]
	command, ok := mysqlCommands[code]
	if !ok || code == mysqlLogin {
		return false
	}
	switch command.answer {
	case mysqlSilence:
		if code == mysqlClose && len(body) == 4 {
			s.statements.remove(binary.LittleEndian.Uint32(body))
		}
		return true
	case mysqlForever:
		s.link.opaque()
		return false
	}
	if code == mysqlBulkExecute {
		s.mariadb()
	}
	s.catchUp()
	namespace := s.namespace
	if s.unknown(code, body) {
		s.link.distrust()
	}
	q, r := s.ask(f, code)
	switch code {
	case mysqlChangeUser:
		s.move(r, mysqlChangeUserDatabase(body))
		namespace = r.namespace
	case mysqlInitDB:
		s.move(r, string(body))
		namespace = r.namespace
	case mysqlQuery:
		text, context := mysqlText(body)
		s.link.runs(q, s.link.statementOf(text, s.dialect))
		if len(context) > 0 {
			s.link.carries(q, context)
		}
		if to, moves := mysqlUse(text); moves {
			s.move(r, to)
		}
	case mysqlPrepare:
		r.prepares = s.link.statementOf(body, s.dialect)
	case mysqlExecute, mysqlBulkExecute:
		if len(body) < 4 {
			return false
		}
		s.execute(q, r, binary.LittleEndian.Uint32(body))
	}
	q.text(semconv.DBNamespaceKey, namespace)
	return true
}

// unknown says that a command executes what was prepared just before, which went
// by unseen: so the next answer may be to that.
func (s *mysql) unknown(code byte, body []byte) bool {
	latest := code == mysqlExecute && len(body) >= 4 && binary.LittleEndian.Uint32(body) == mysqlLatest
	return latest && s.latest == mysqlLatestPrepared{} && s.link.depth == 0
}

// execute says of q what it runs.
func (s *mysql) execute(q *query, r *mysqlRequest, id uint32) {
	of := s.statements.get(id)
	if id == mysqlLatest {
		s.mariadb()
		of, r.hopeless = s.latest.statement, s.latest.refused
		for p := s.link.first; p != q && p != nil; p = p.next {
			if prepare, ok := p.note.(*mysqlRequest); ok && prepare.code == mysqlPrepare {
				of, prepare.executes, r.hopeless = prepare.prepares, q, false
			}
		}
	}
	if of == nil {
		of = s.link.unseenStatement()
	}
	s.link.runs(q, of)
}

// login takes a client's answer to the greeting. What is in it besides the
// database stays unread.
func (s *mysql) login(f *frame) bool {
	l, ok := mysqlReadLogin(f.data[mysqlHeader:])
	if !ok {
		return false
	}
	if l.secure && f.size == mysqlHeader+mysqlSecureRequest {
		s.link.opaque()
		return false
	}
	q, r := s.ask(f, mysqlLogin)
	q.text(semconv.DBNamespaceKey, l.database)
	s.link.tentative, r.compress = false, l.compress
	s.move(r, l.database)
	return true
}

// mysqlUse returns the database that a USE statement changes to.
func mysqlUse(text []byte) (string, bool) {
	text = bytes.TrimRight(bytes.TrimSpace(text), "; \t\r\n")
	if len(text) < 5 || !bytes.EqualFold(text[:3], []byte("use")) || !bytes.ContainsAny(text[3:4], " \t\r\n`") {
		return "", false
	}
	name := bytes.TrimSpace(text[3:])
	if quoted := bytes.TrimPrefix(name, []byte("`")); len(quoted) < len(name) {
		name = bytes.TrimSuffix(quoted, []byte("`"))
	}
	if bytes.ContainsAny(name, "` \t\r\n;/#") {
		return "", false
	}
	return string(name), true
}
