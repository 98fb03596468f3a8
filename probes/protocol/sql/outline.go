package sql

import "bytes"

// clause is what the outline knows of an open bracket, or of the statement as a
// whole.
type clause struct {
	verb  keyword // whose clauses these are; 0 for the brackets of an expression
	named bool    // a verb may come next
	thing bool    // verb is to be followed by what it creates, alters or drops
	name  bool    // a target may come next
	list  bool    // a comma is followed by another target
	calls bool    // name( is a function, hence no target
	other bool    // targets are no tables
	with  bool    // common table expressions are being defined
	alias bool    // with: the name of one comes next
}

// manners are the verbs that begin a statement, and what to expect after them.
var manners = map[keyword]clause{
	keyAnalyze:   {name: true, list: true},
	keyCall:      {name: true, other: true},
	keyCommand:   {},
	keyCopy:      {name: true},
	keyCreate:    {thing: true},
	keyDeclare:   {},
	keyDelete:    {calls: true},
	keyDrop:      {thing: true},
	keyExplain:   {named: true},
	keyFetch:     {},
	keyInsert:    {name: true},
	keyMerge:     {name: true, calls: true},
	keyPrepare:   {},
	keyReplace:   {name: true},
	keySelect:    {calls: true},
	keySet:       {},
	keyStart:     {},
	keyTable:     {name: true},
	keyTableVerb: {},
	keyUpdate:    {name: true, list: true, calls: true},
	keyUse:       {name: true, other: true},
	keyValues:    {},
	keyVerb:      {name: true, list: true},
}

// maxCTEs bounds the common table expressions that are known by name. With more
// of them no table is called the only one.
const maxCTEs = 16

// outline notes operations and targets.
type outline struct {
	summary

	last    token
	clauses [maxDepth]clause
	depth   int
	skip    bool // nothing more is to be learnt of the statement
	done    bool // nor of the text
	within  int  // depth of the outermost WITH, plus 1

	target target
	ctes   [maxCTEs][]byte
	nCTEs  int
}

func (o *outline) start() { o.clauses[0] = clause{named: true} }

func (o *outline) top() *clause { return &o.clauses[min(o.depth, maxDepth-1)] }

func (o *outline) add(t *token, text []byte) {
	if o.done {
		return
	}
	if o.target.reading {
		if o.target.goes(t, text) {
			o.last = *t
			return
		}
		o.finish(t)
	}
	switch t.kind {
	case word:
		if c := o.top(); !o.skip && (o.last.kind != mark || o.last.c != '.') {
			o.word(c, t, text)
		}
	case name:
		if c := o.top(); !o.skip {
			o.named(c, t, text)
		}
	case mark:
		o.mark(t)
	default:
		o.top().name = false
	}
	o.last = *t
}

func (o *outline) mark(t *token) {
	c := o.top()
	switch t.c {
	case ';':
		o.settled = o.settled || o.last.kind != none && o.last.c != ';'
		o.depth, o.clauses[0] = 0, clause{named: true}
		o.skip, o.within, o.nCTEs = false, 0, 0
	case '(':
		o.open(c)
	case ')':
		o.depth = max(0, o.depth-1)
	case ',':
		c.alias = c.with
		c.name = c.list
	}
}

func (o *outline) open(c *clause) {
	var in clause
	switch {
	case c.with && (o.last.key == keyAs || o.last.key == keyMaterialized),
		c.named && c.verb == 0 && !c.with:
		in.named = true
	case c.name && c.verb == keyCopy && o.last.key == keyCopy:
		in.named = true
		c.name = false
	case c.name && c.calls:
		in = clause{verb: c.verb, name: true, list: true, calls: true}
		if o.last.key == keyUsing {
			in = clause{} // the columns of a join, or a query
		}
		c.name = false
	}
	o.depth++
	*o.top() = in
}

// named takes a quoted name.
func (o *outline) named(c *clause, t *token, text []byte) {
	switch {
	case c.alias:
		o.define(c, text[t.from+1:t.to-1])
	case c.name:
		c.name = false
		o.target.begin(t, text)
	}
}

func (o *outline) word(c *clause, t *token, text []byte) {
	switch {
	case c.alias:
		if t.key != keyRecursive {
			o.define(c, text[t.from:t.to])
		}
	case c.named && o.verb(c, t, text):
	case c.thing:
		o.thing(c, t, text)
	default:
		o.plain(c, t, text)
	}
}

// define notes a common table expression: not a table, when it is named again.
func (o *outline) define(c *clause, name []byte) {
	c.alias = false
	if o.nCTEs < maxCTEs {
		o.ctes[o.nCTEs] = name
		o.nCTEs++
	} else {
		o.tables = manyTables
	}
}

// verb takes a word where a verb may stand. It is false if it is none.
func (o *outline) verb(c *clause, t *token, text []byte) bool {
	if c.verb == keyExplain && o.option(t, text) {
		return true
	}
	if t.key == keyWith {
		c.with, c.alias = true, true
		if o.within == 0 {
			o.within = o.depth + 1
		}
		return true
	}
	m, ok := manners[t.key]
	switch {
	case ok:
		o.begin(c, m, t, text)
		o.skip = t.key == keyCommand || t.key == keyFetch || t.key == keySet
		return true
	case c.with, c.verb == 0 && o.depth == 0:
		return true // AS, or UNION between brackets: a verb is yet to come
	case c.verb == keyExplain:
		c.name = true // EXPLAIN orders does what DESCRIBE orders does
	}
	c.named = false
	return false
}

// option is whether a word after EXPLAIN is about the way to explain.
func (o *outline) option(t *token, text []byte) bool {
	return t.key == keyAnalyze || t.key == keySkip || o.last.kind == mark && o.last.c == '=' ||
		bytes.EqualFold(text[t.from:t.to], []byte("FORMAT"))
}

// begin begins what the verb t governs, in the manner m.
func (o *outline) begin(c *clause, m clause, t *token, text []byte) {
	*c = m
	c.verb = t.key
	o.operate(text[t.from:t.to], o.within == 0 || o.depth < o.within)
}

// thing takes a word between CREATE and the name of what is created.
func (o *outline) thing(c *clause, t *token, text []byte) {
	drop := c.verb == keyDrop
	switch t.key {
	case keyTable, keyView:
		c.name, c.list = true, drop
	case keyIndex:
		c.verb = keyIndex // its table comes after ON
	case keySchema, keyThing, keyFunction:
		c.verb, c.name, c.other = t.key, true, true
	case keyUser, keyRole:
		o.skip = true
	default:
		return // OR REPLACE TEMPORARY and the like
	}
	c.thing = false
	o.extend(text[t.from:t.to])
}

// plain takes a word that is no verb in its place.
func (o *outline) plain(c *clause, t *token, text []byte) {
	switch t.key {
	case keySelect:
		o.begin(c, manners[keySelect], t, text)
	case keyWith:
		if c.verb == keyInsert || c.verb == keyReplace || o.last.kind == mark && o.last.c == '(' {
			c.named, c.with, c.alias, c.name = true, true, true, false
		}
	case keyFrom:
		if o.last.key != keyDistinct && (c.verb == keySelect || c.verb == keyDelete || c.verb == keyUpdate) {
			c.name, c.list = true, true
		}
	case keyJoin:
		c.name = c.list
	case keyUsing:
		if c.verb == keyDelete && o.last.kind != mark || c.verb == keyMerge {
			c.name, c.list = true, true
		}
	case keyOn:
		c.name = c.verb == keyIndex
	case keyTable:
		if c.verb == keyTableVerb {
			c.name, c.list = true, true
		}
	case keyAs, keyFor:
		c.named = t.key == keyAs && (c.verb == keyPrepare || c.verb == keyCreate) ||
			t.key == keyFor && c.verb == keyDeclare
	case keyTransaction:
		if o.last.key == keyStart {
			o.extend(text[t.from:t.to])
		}
	case keyClause, keyFetch, keySet, keyValues:
		c.name, c.list = false, false
	case keyOnly, keyInto, keyNot, keyMaterialized, keyView, keyAnalyze:
	case keySkip:
		if c.verb == keySelect {
			o.read(c, t, text)
		}
	default:
		o.read(c, t, text)
	}
}

// read begins a target, if one may come.
func (o *outline) read(c *clause, t *token, text []byte) {
	if c.name && text[t.from] != '@' {
		o.target.begin(t, text)
	}
	c.name = false
}

// finish ends the target before t.
func (o *outline) finish(t *token) {
	c := o.top()
	o.target.reading = false
	if o.target.broken || o.target.dotted || c.calls && t.kind == mark && t.c == '(' {
		return
	}
	for _, cte := range o.ctes[:o.nCTEs] {
		if bytes.EqualFold(cte, o.target.text()) {
			return
		}
	}
	o.aim(&o.target, !c.other)
	switch c.verb {
	case keyFunction:
		o.done = true // its body has statements of its own
	case keySchema, keyThing:
		o.skip = true
	}
}

// describe writes what was found to s.
func (o *outline) describe(s *Statement) {
	if o.target.reading {
		o.finish(&token{})
	}
	if o.nOperation == 0 && o.within > 0 && !o.settled {
		o.nOperation = copy(o.operation[:], "WITH") // cut before its verb
	}
	o.summary.describe(s)
}
