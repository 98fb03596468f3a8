package sql

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScrubMessage(t *testing.T) {
	for message, want := range map[string]string{
		// PostgreSQL
		`duplicate key value violates unique constraint "users_email_key"`:      `duplicate key value violates unique constraint ?`,
		`relation "orders" does not exist`:                                      `relation ? does not exist`,
		`invalid input syntax for type integer: "zq"`:                           `invalid input syntax for type integer: ?`,
		`invalid input syntax for type integer: "z" "q"`:                        `invalid input syntax for type integer: ?`,
		`syntax error at or near "zq"`:                                          `syntax error at or near ?`,
		`unterminated quoted string at or near "'zq "`:                          `unterminated quoted string at or near ?`,
		`insert or update on table "a" violates foreign key constraint "b"`:     `insert or update on table ? violates foreign key constraint ?`,
		`null value in column "a" of relation "t" violates not-null constraint`: `null value in column ? of relation ? violates not-null constraint`,
		`value too long for type character varying(77)`:                         `value too long for type character varying(?)`,
		`value "77" is out of range for type integer`:                           `value ? is out of range for type integer`,
		`column "z" must appear in the GROUP BY clause`:                         `column ? must appear in the GROUP BY clause`,
		`function f(integer) does not exist`:                                    `function f(integer) does not exist`,
		`invalid byte sequence for encoding "UTF8": 0xe7 0x77`:                  `invalid byte sequence for encoding ?: ?`,
		`password authentication failed for user "zq"`:                          `password authentication failed for user ?`,
		"division\n by  zero.":                                                  "division by zero.",
		`Relation »zq« existiert nicht`:                                         `Relation ?`,
		`relation « zq » n'existe pas`:                                          `relation ?`,
		`canceling statement due to statement timeout`:                          `canceling statement due to statement timeout`,
		// MySQL and MariaDB
		`Duplicate entry 'z@q' for key 'email'`:                                      `Duplicate entry ? for key ?`,
		`Duplicate entry 'O'Zqien' for key 'email'`:                                  `Duplicate entry ?`,
		`Duplicate entry 'don't zq' for key 'email'`:                                 `Duplicate entry ? for key ?`,
		`syntax to use near 'WHERE a = 'zq' AND b' at line 7`:                        `syntax to use near ? at line ?`,
		`syntax to use near 'zq ' zq ' zq`:                                           `syntax to use near ?`,
		`syntax to use near ''zq' at line 7`:                                         `syntax to use near ? at line ?`,
		`Table 'shop.orders' doesn't exist`:                                          `Table ? doesn't exist`,
		`Unknown column 'z' in 'field list'`:                                         `Unknown column ? in ?`,
		`Access denied for user 'z'@'q' (using password: YES)`:                       `Access denied for user ? (using password: YES)`,
		`You can't specify target table 'z' for update`:                              `You can't specify target table ? for update`,
		`Data too long for column 'z' at row 7`:                                      `Data too long for column ? at row ?`,
		"a foreign key constraint fails (`z`.`q`, CONSTRAINT `z` FOREIGN KEY (`q`))": `a foreign key constraint fails (?, ? (?))`,
		`Lock wait timeout exceeded; try restarting transaction`:                     `Lock wait timeout exceeded; try restarting transaction`,
		// Neither
		`z@q.example is not 7.7`: `? is not ?`,
		"\xff\xfe broken":        `? broken`,
		`'zq`:                    `?`,
		`''`:                     `?`,
		``:                       ``,
	} {
		if got := ScrubMessage([]byte(message), "42000"); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
	// What a program in the database says has no quotes around values.
	for state, want := range map[string]string{
		"P0001": "", "45000": "", "": "user zq may not", "23505": "user zq may not",
	} {
		if got := ScrubMessage([]byte("user zq may not"), state); got != want {
			t.Errorf("state %q: %q, want %q", state, got, want)
		}
	}
}

func FuzzScrubMessage(f *testing.F) {
	f.Add([]byte("a'b"), []byte(" at line 1"))
	f.Add([]byte(`" is "`), []byte(` doesn't"`))
	f.Fuzz(func(t *testing.T, value, rest []byte) {
		const before = "syntax error near '"
		message := before + string(value) + " " + secret + " " + string(value) + "'" + string(rest)
		got := ScrubMessage([]byte(message), "")
		if len(got) > maxMessage || !utf8.ValidString(got) || !strings.HasPrefix(got, "syntax error near ?") {
			t.Errorf("%q: %q", message, got)
		}
		if strings.Contains(got, secret) {
			t.Errorf("%q tells the value: %q", message, got)
		}
	})
}
