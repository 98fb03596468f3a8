package export

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// maxText is how many characters of a name or message are looked at; nobody
// reads more in a table.
const maxText = 300

// printable makes text from the network safe for a terminal: what could move
// the cursor, change colours or reverse the writing direction is shown as an
// escape, as in "\x1b".
func printable(s string) string {
	clean := true
	for i, r := range s {
		if i >= maxText || r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > maxText {
			b.WriteRune('…')
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// columns is how many columns of a terminal printable text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit cuts or fills text to take exactly n columns.
func fit(s string, n int) string {
	s = clip(s, n)
	return s + strings.Repeat(" ", max(0, n-columns(s)))
}

// clip cuts text that takes more than n columns, and shows that it did.
func clip(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	taken := 0
	for i, r := range s {
		if taken += runeColumns(r); taken > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// shortDuration writes a duration with three digits that count.
func shortDuration(d time.Duration) string {
	if d < 0 {
		return "-" + shortDuration(-d)
	}
	three := func(value float64, unit string) string {
		decimals := 2
		switch {
		case value >= 99.95:
			decimals = 0
		case value >= 9.995:
			decimals = 1
		}
		return strconv.FormatFloat(value, 'f', decimals, 64) + unit
	}
	switch {
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + "ns"
	case d < time.Millisecond-500*time.Nanosecond:
		return three(float64(d)/1e3, "µs")
	case d < time.Second-500*time.Microsecond:
		return three(float64(d)/1e6, "ms")
	case d < time.Minute:
		return three(float64(d)/1e9, "s")
	}
	return d.Round(time.Second).String()
}
