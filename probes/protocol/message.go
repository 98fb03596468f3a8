package protocol

import "strings"

// withoutTyped replaces what stands in quotes in a server's message by ?: it
// may be what a user typed, so quotes in it too, and all up to the last counts.
// An apostrophe inside a word is none.
func withoutTyped(message string) string {
	const longest = 256
	var b strings.Builder
	for i := 0; i < len(message) && b.Len() < longest; i++ {
		c := message[i]
		if c != '\'' && c != '"' && c != '`' || i > 0 && isWordByte(message[i-1]) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('?')
		end := lastQuote(message, c)
		if end <= i {
			break // it does not end: nor does what it hides
		}
		i = end
	}
	return b.String()
}

// lastQuote finds the last quote that no word goes on behind.
func lastQuote(s string, quote byte) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == quote && (i+1 == len(s) || !isWordByte(s[i+1])) {
			return i
		}
	}
	return -1
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
