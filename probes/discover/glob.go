package discover

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A glob is compiled to a regular expression, whose matching time is linear:
// names of processes and cgroups are other people's input.
//
//   - any characters but '/'
//     **      any characters
//     ?       one character but '/'
//     [a-z]   one character of a class, [!a-z] or [^a-z] one outside it
//     \x      the character x itself
//
// A trailing "/**" also matches the directory itself.
func compileGlob(glob string) (*regexp.Regexp, error) {
	if glob == "" {
		return nil, errors.New("pattern is empty")
	}
	if !utf8.ValidString(glob) {
		return nil, errors.New("pattern is not valid UTF-8")
	}
	body, subtree := strings.CutSuffix(glob, "/**")
	var expr strings.Builder
	expr.WriteString(`\A(?s:`)
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case strings.HasPrefix(body[i:], "**"):
			expr.WriteString(".*")
			for i+1 < len(body) && body[i+1] == '*' {
				i++
			}
		case c == '*':
			expr.WriteString("[^/]*")
		case c == '?':
			expr.WriteString("[^/]")
		case c == '[':
			class, length := globClass(body[i:])
			if length == 0 {
				return nil, errors.New("'[' has no matching ']'")
			}
			expr.WriteString(class)
			i += length - 1
		case c == '\\':
			if i++; i == len(body) {
				return nil, errors.New(`pattern ends in '\'`)
			}
			expr.WriteString(regexp.QuoteMeta(body[i : i+1]))
		default:
			expr.WriteString(regexp.QuoteMeta(body[i : i+1]))
		}
	}
	if subtree {
		expr.WriteString("(?:/.*)?")
	}
	expr.WriteString(`)\z`)
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, errors.New("character class is not valid")
	}
	return re, nil
}

// globClass translates the class that s begins with and returns its length in
// s, 0 when it does not end. As in fnmatch(3), a ']' right at the start is a
// member.
func globClass(s string) (class string, length int) {
	i, negated := 1, false
	if i < len(s) && (s[i] == '!' || s[i] == '^') {
		negated = true
		i++
	}
	var members strings.Builder
	for start := i; i < len(s); i++ {
		switch c := s[i]; {
		case c == ']' && i > start:
			if negated {
				return "[^/" + members.String() + "]", i + 1
			}
			return "[" + members.String() + "]", i + 1
		case c == '-':
			members.WriteByte(c)
		case c == ']' || c == '[' || c == '\\' || c == '^' || c == '&':
			members.WriteByte('\\')
			members.WriteByte(c)
		default:
			members.WriteByte(c)
		}
	}
	return "", 0
}
