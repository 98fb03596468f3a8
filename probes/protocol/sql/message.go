package sql

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// maxMessage bounds a message; the longest that servers have of their own are
// about half of it.
const maxMessage = 256

// ScrubMessage returns what a server says of a failure, without the values that
// are in it, and with white space collapsed; at most 256 bytes, valid UTF-8.
// state is the SQLSTATE of the failure, "" if there is none.
//
// The rule: up to the first quote the words are the server's, and stay. Values
// and names stand in quotes, and values may hold quotes of their own, which
// servers don't escape. So from there on, only words of a short list stay, those
// that servers close their messages with; all between is one ?. Numbers and
// mail addresses are ? everywhere. A message that a program in the database
// raised (SQLSTATE class P0 of PostgreSQL, 45 of MySQL) may hold anything
// without quotes: of that, nothing stays and "" is returned.
func ScrubMessage(message []byte, state string) string {
	if strings.HasPrefix(state, "P0") || strings.HasPrefix(state, "45") {
		return ""
	}
	message = message[:min(len(message), maxInput)]
	var buf [maxMessage]byte
	out := buf[:0]
	quoted := false // a quote was seen
	inside := false // a value is open
	last := bytes.LastIndexAny(message, quotes)
	for at := 0; at < len(message); {
		inside = inside && at <= last
		from := at
		for at < len(message) && isBlank(message[at]) {
			at++
		}
		spaced := at > from
		from = at
		if at == len(message) {
			break
		}
		w := piece(message[at:])
		at += len(w)
		switch {
		case isQuote(w) && !elision(message, from):
			if quoted = true; !inside {
				out = hide(out, spaced)
			}
			inside = !inside
			continue
		case inside, quoted && !closingWord(w):
			out = hide(out, spaced && !inside)
			continue
		case isValue(w):
			out = hide(out, spaced)
			continue
		}
		if len(out)+len(w)+1 > maxMessage {
			break
		}
		if spaced && len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, w...)
	}
	return string(out)
}

// hide adds a ?, unless one was just added.
func hide(out []byte, spaced bool) []byte {
	if bytes.HasSuffix(out, []byte("?")) || len(out)+2 > maxMessage {
		return out
	}
	if spaced && len(out) > 0 {
		out = append(out, ' ')
	}
	return append(out, '?')
}

func isBlank(c byte) bool { return c <= ' ' || c == 0x7f }

// piece returns the next word of b, which isn't empty, or one character that is
// none.
func piece(b []byte) []byte {
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if isBlank(b[n]) || isQuoteRune(r) && !elision(b, n) || strings.ContainsRune("(),:;=[]<>", r) {
			break
		}
		n += size
	}
	if n == 0 {
		_, n = utf8.DecodeRune(b)
	}
	return b[:n]
}

// quotes are those of the languages that servers speak.
const quotes = "'\"`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u300c\u300d"

func isQuoteRune(r rune) bool { return strings.ContainsRune(quotes, r) }

func isQuote(w []byte) bool {
	r, size := utf8.DecodeRune(w)
	return size == len(w) && isQuoteRune(r)
}

// elision is whether the quote at i is the one of doesn't and can't.
func elision(b []byte, i int) bool {
	return b[i] == '\'' && i > 0 && b[i-1] == 'n' && i+1 < len(b) && b[i+1] == 't' &&
		(i+2 == len(b) || !isLetter(b[i+2]))
}

// isValue is whether a word can't be the server's: it holds a digit or @, or
// is no text.
func isValue(w []byte) bool {
	return bytes.ContainsAny(w, "0123456789@") || !utf8.Valid(w)
}

func closingWord(w []byte) bool {
	if len(w) == 1 && strings.IndexByte("(),:;", w[0]) >= 0 {
		return true
	}
	return closingWords[string(bytes.TrimRight(w, ".,"))]
}

// closingWords are those that the messages of PostgreSQL, MySQL and MariaDB
// have after or between quotes.
var closingWords = set(`a aggregate already ambiguous an and appear argument as at be because being by cannot can't
	character check clause column columns conflicts constraint contains data database default denied depend depends
	doesn't does duplicate encoding exclusion exist exists expression fails field foreign for from function given
	group has have in index integer into invalid is isn't it key line list multiple must no not-null not null of on or
	other out parent partition password permission permitted primary privileges range read-only references relation
	requires role row rows schema should specified table tables that the to too transaction trigger type unique unknown
	update used user using value values view violates was which with without YES NO BY GROUP ORDER WHERE`)

func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(words) {
		all[w] = true
	}
	return all
}
