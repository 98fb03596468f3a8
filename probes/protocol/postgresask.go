package protocol

import (
	"encoding/binary"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// first takes the message that a connection begins with.
func (s *postgres) first(f *frame) bool {
	if len(f.data) < 8 {
		return false
	}
	switch code := binary.BigEndian.Uint32(f.data[4:]); {
	case code == postgresCancel:
		// Nothing answers it. What it cancels fails on its own connection.
	case code == postgresTLS, code == postgresGSS:
		s.negotiating = true
	case code>>16 == 3:
		s.spoken = true
		s.startup(f)
	default:
		return false
	}
	return true
}

// startup notes where the session goes. It is no request until it fails.
func (s *postgres) startup(f *frame) {
	s.login = &login{frame: *f, origin: *f.origin}
	s.login.frame.data, s.login.frame.origin = nil, &s.login.origin
	f.origin.taken = true
	var user, database string
	for rest := f.data[8:]; len(rest) > 0 && rest[0] != 0; {
		var key, value []byte
		key, rest = cString(rest)
		value, rest = cString(rest)
		switch string(key) {
		case "user":
			user = string(value)
		case "database":
			database = string(value)
		}
	}
	if s.database = database; database == "" {
		s.database = user // so does the server
	}
	s.push(postgresStep{})
}

// request takes a client's message.
func (s *postgres) request(f *frame) bool {
	letter, body := f.data[0], f.data[postgresHead:]
	switch letter {
	case 'S':
		s.group, s.skips = postgresGroup{}, false
		s.push(postgresStep{letter: letter})
		return true
	case 'X':
		s.terminate(f)
		return true
	case 'Q', 'F', 'P', 'B', 'E', 'D', 'C':
	default:
		return true // Flush, data of COPY, passwords
	}
	if s.skips {
		if letter == 'Q' || letter == 'E' {
			s.link.owner.counters.add(seen)
			s.link.owner.counters.add(notExecuted)
		}
		return true
	}
	switch letter {
	case 'Q', 'F':
		s.simple(f, letter, body)
	case 'P':
		s.parse(f, body)
	case 'B':
		s.bind(f, body)
	case 'E':
		s.execute(f, body)
	default:
		s.describe(f, letter, body)
	}
	return true
}

// simple is a query, or the call of a function by number, with all of its answer.
func (s *postgres) simple(f *frame, letter byte, body []byte) {
	q := s.link.ask(f)
	s.group = postgresGroup{}
	if letter == 'F' {
		s.runs(q, nil)
		q.Operation = "CALL"
		q.text(semconv.DBOperationNameKey, q.Operation)
	} else {
		text, _ := cString(body)
		s.runs(q, s.statementOf(text))
	}
	s.push(postgresStep{letter: letter, query: q})
}

func (s *postgres) parse(f *frame, body []byte) {
	name, rest := cString(body)
	text, _ := cString(rest)
	g := postgresGroup{query: s.link.ask(f), statement: s.statementOf(text), name: string(name)}
	s.group = g
	s.push(postgresStep{letter: 'P', query: g.query, statement: g.statement, name: g.name})
}

func (s *postgres) bind(f *frame, body []byte) {
	portal, rest := cString(body)
	name, _ := cString(rest)
	g := &s.group
	if g.query == nil || g.bound || g.name != string(name) {
		*g = postgresGroup{query: s.link.ask(f), statement: s.prepared(name), name: string(name)}
	}
	g.bound, g.portal = true, string(portal)
	s.portals.put(g.portal, g.statement)
	s.push(postgresStep{letter: 'B', query: g.query, statement: g.statement})
}

// describe is Describe or Close, of a statement or portal.
func (s *postgres) describe(f *frame, letter byte, body []byte) {
	var kind byte
	if len(body) > 0 {
		kind, body = body[0], body[1:]
	}
	name, _ := cString(body)
	if letter == 'C' {
		step := postgresStep{letter: letter}
		if kind == 'S' {
			step.name = string(name)
		}
		s.push(step)
		return
	}
	g := &s.group
	if g.query == nil {
		*g = postgresGroup{query: s.link.ask(f)}
		if kind == 'S' {
			g.statement, g.name = s.prepared(name), string(name)
		} else {
			g.statement, g.bound, g.portal = s.portal(name), true, string(name)
		}
	}
	s.push(postgresStep{letter: letter, query: g.query, statement: g.statement})
}

func (s *postgres) execute(f *frame, body []byte) {
	name, rest := cString(body)
	g := s.group
	s.group = postgresGroup{}
	if g.query == nil || !g.bound || g.portal != string(name) {
		g = postgresGroup{query: s.link.ask(f), statement: s.portal(name)}
	}
	s.runs(g.query, g.statement)
	step := postgresStep{letter: 'E', query: g.query, statement: g.statement}
	if len(rest) >= 4 {
		step.limit = binary.BigEndian.Uint32(rest)
	}
	if step.limit > 0 {
		s.portals.put(string(name), more(g.statement))
	}
	s.push(step)
}

// more is the request for more rows of what was executed before.
func more(of *statement) *statement {
	t := *of
	t.Operation, t.traceparent = "FETCH", ""
	t.attributes = slices.Clone(t.attributes)
	for i, a := range t.attributes {
		switch a.Key {
		case semconv.DBOperationNameKey:
			t.attributes[i].Value = attribute.StringValue(t.Operation)
		case semconv.DBQuerySummaryKey:
			t.attributes[i].Value = attribute.StringValue(strings.TrimSpace(t.Operation + " " + t.Target))
		}
	}
	return &t
}

// prepared returns the statement of a name: the last one that was sent to be
// prepared, or that was before.
func (s *postgres) prepared(name []byte) *statement {
	for i := len(s.steps) - 1; i >= 0; i-- {
		if s.steps[i].letter == 'P' && s.steps[i].name == string(name) {
			return s.steps[i].statement
		}
	}
	if t := s.texts.get(string(name)); t != nil {
		return t
	}
	return s.link.unseenStatement()
}

// portal returns the statement that was bound to a portal.
func (s *postgres) portal(name []byte) *statement {
	if t := s.portals.get(string(name)); t != nil {
		return t
	}
	return s.link.unseenStatement()
}

// push notes that an answer is due.
func (s *postgres) push(step postgresStep) {
	switch len(s.steps) {
	case 0:
		s.steps = s.room
	case maxSteps:
		s.link.voidAll(tooDeep)
		s.link.stray()
		s.steps, s.group = s.room, postgresGroup{}
	}
	s.steps = append(s.steps, step)
	if n := cap(s.steps); n > cap(s.room) && n <= roomForSteps {
		s.room = s.steps[:0]
	}
}

// terminate is a client that leaves without a look at the last ReadyForQuery.
func (s *postgres) terminate(f *frame) {
	for i := range s.steps {
		if q := s.steps[i].query; s.steps[i].letter == 'S' && q != nil {
			s.link.finish(q, f)
		}
	}
}
