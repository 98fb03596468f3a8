package protocol

import (
	"strings"
	"testing"
)

func TestWithoutTyped(t *testing.T) {
	for message, want := range map[string]string{
		"ERR syntax error": "ERR syntax error",
		"ERR unknown command 'ann@example.com', with x": "ERR unknown command ?, with x",
		"ERR unknown command 'a' b', with 'c' d":        "ERR unknown command ? d",
		"ERR Can't do 'this'":                           "ERR Can't do ?",
		"ERR no \"end":                                  "ERR no ?",
		"ERR 'x":                                        "ERR ?",
		"ERR don't":                                     "ERR don't",
		"ERR `a` and \"b\"":                             "ERR ? and ?",
		strings.Repeat("x", 1000):                       strings.Repeat("x", 256),
		"":                                              "",
	} {
		if got := withoutTyped(message); got != want {
			t.Errorf("%s: %s", message, got)
		}
	}
}
