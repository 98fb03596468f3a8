// Package sql says what a SQL statement does, without saying what it is about:
// bytes in, values out.
//
// It is a lexer, a writer and an outline, fed in one pass. The lexer cuts the
// text into tokens and knows the quoting of the dialects; the writer sets the
// tokens down again with ? for every value; the outline notes operations and
// the tables they name. There is no grammar: what can't be told for certain is
// taken for a value.
//
// # The rule of doubt
//
// A text that users typed values into may be broken, and a literal that ends
// too early would show the rest of its value as words. So whatever no sane
// program writes ends the text with a ? there and then: a word glued to the end
// of a literal ('O'Brien'), a quote that one setting of the server takes for
// escaped and another for the end ('a\'), a stray backslash, bytes that aren't
// UTF-8. A statement that begins with no verb of SQL is a ? as a whole. An unknown word that follows a literal counts as part of it. What
// remains is text that is valid SQL although it was meant as a value: nobody
// can tell that apart, the server could not either.
//
// # Why not a library
//
// github.com/DataDog/go-sqllexer v0.2.6, the best kept one, lets values through
// in 8 of 18 first trials: what is left open (a quoted name, a comment, a dollar
// quote that is cut), nested comments, 123abc and 0b1, the values of SET,
// 'O'Brien'. It takes d for a table in EXTRACT(year FROM d), too. It needs 2.0 µs
// and 10 allocations for the first statement of BenchmarkDescribe; this package
// 1.4 µs and 2, on the same machine.
//
// A cache by text would save no more than these 1.4 µs, 1 % of a processor at
// 7000 statements a second, and hold texts with values in them, which rarely
// come twice. Who prepares a statement describes it once as it is.
package sql

// Dialect is the family of quoting rules that a server follows.
type Dialect uint8

const (
	// PostgreSQL has "x" for names, $tag$ strings, escapes in E'' only (see the
	// rule of doubt for servers with standard_conforming_strings off), nested
	// comments and parameters as $1.
	PostgreSQL Dialect = iota
	// MySQL, and MariaDB, with the usual sql_mode: "x" is a string, ` quotes
	// names, # begins a comment, a backslash escapes.
	MySQL
	// MySQLNoBackslashEscapes is MySQL in the sql_mode of that name, which its
	// servers tell in the status flags of every answer.
	MySQLNoBackslashEscapes
)

// Bounds. All are in bytes.
const (
	// maxInput bounds what is read of a statement, and with it the time that
	// one takes. The tables of a statement stand in the first few KiB of it;
	// what follows are values, as a rule.
	maxInput = 16 << 10
	// maxText bounds Text. Collectors and stores cut or refuse longer
	// attributes, and a statement that is longer without its values was not
	// written to be read.
	maxText = 4 << 10
	// maxSummary is the bound that the conventions set for db.query.summary.
	maxSummary = 255
	// maxName bounds a name: PostgreSQL allows 63 bytes, MySQL 64 characters.
	// Longer words are taken for values.
	maxName = 128
	// maxDepth bounds the brackets that are told apart; deeper ones share the
	// last place, which may cost a target but no value.
	maxDepth = 32
)

// Statement is what may be told of a statement, or of several in one text.
// Strings are valid UTF-8 and hold no value of the statement.
type Statement struct {
	// Text is the statement with ? for each literal, without comments, and with
	// white space collapsed. Lists of values after IN, VALUES and ARRAY show as
	// one ?, several rows of VALUES as one. NULL stays outside of lists, since
	// IS NULL and NOT NULL are structure; TRUE and FALSE are values. It has at
	// most 4 KiB and is cut between tokens. For db.query.text.
	Text string
	// Operation is what the first statement does, in upper case and with one
	// space between words: "SELECT", "CREATE TABLE". It is from a table of
	// verbs, so of low cardinality; empty for others. Of a statement after WITH
	// it is the verb that follows the common table expressions. For
	// db.operation.name.
	Operation string
	// Collection is the table, schema-qualified if it was and without quotes,
	// if it is the only one in all the text; else empty. For
	// db.collection.name.
	Collection string
	// Summary lists operations, each with its targets, in the order of the
	// text: "INSERT archive SELECT orders". Names that aren't plain words are
	// quoted. For db.query.summary, and with its bound of 255.
	Summary string
	// Traceparent is the value of that key in a sqlcommenter comment, decoded;
	// empty if there is none. It is not validated beyond its letters.
	Traceparent string
}

// Describe reads a statement, which may be cut anywhere: what is open at the
// end counts as closed there. It looks at the first 16 KiB and keeps no part of
// text.
func Describe(text []byte, d Dialect) Statement {
	if len(text) > maxInput {
		text = text[:maxInput]
	}
	var (
		l lexer
		w writer
		o outline
	)
	l.text, l.dialect = text, d
	w.mysql = d != PostgreSQL
	o.start()
	var t token
	for t.kind != doubt && l.next(&t) {
		w.judge(&t, text)
		w.add(&t, text)
		o.add(&t, text)
	}
	s := Statement{Text: w.text(), Traceparent: l.traceparent}
	o.describe(&s)
	return s
}
