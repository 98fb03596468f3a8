package integrity

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// maxHead is how long a head may be: far more than what is ever sent, so that a
// head whose end was lost ends in an error.
const maxHead = 1 << 20

// Head is the head of an HTTP/1 message exactly as it came.
type Head struct {
	Lead  []byte   // empty lines before the first line (RFC 9112, section 2.2)
	Lines [][]byte // each with its line end; neither a lead nor the last, empty one
	End   []byte   // the empty line at the end
}

// ReadHead reads a head. Nothing is normalised: a line ends with a line feed,
// and the head with a line of nothing else but perhaps a carriage return, or
// after a first line without a version (HTTP/0.9). io.EOF says that there was
// not a single byte.
func ReadHead(r *bufio.Reader) (Head, error) {
	var h Head
	for size := 0; ; {
		line, err := r.ReadBytes('\n')
		if size += len(line); err != nil {
			if size == 0 && errors.Is(err, io.EOF) {
				return h, io.EOF
			}
			return h, fmt.Errorf("read a head after %d bytes, the last %q: %w", size, clip(line), noEOF(err))
		}
		if size > maxHead {
			return h, fmt.Errorf("read a head: more than %d bytes", maxHead)
		}
		empty := len(bytes.TrimRight(line, "\r\n")) == 0
		switch {
		case empty && len(h.Lines) == 0:
			h.Lead = append(h.Lead, line...)
		case empty:
			h.End = line
			return h, nil
		default:
			h.Lines = append(h.Lines, line)
			if len(h.Lines) == 1 && !bytes.Contains(line, []byte("HTTP/")) {
				return h, nil
			}
		}
	}
}

// First are the words of the first line: method, target and version, or version,
// status and reason.
func (h Head) First() (a, b, c string) {
	if len(h.Lines) == 0 {
		return "", "", ""
	}
	a, rest, _ := strings.Cut(strings.TrimRight(string(h.Lines[0]), "\r\n"), " ")
	b, c, _ = strings.Cut(rest, " ")
	return a, b, c
}

// Values are the values of all lines with a name, compared without regard to
// case. A folded line continues a value no one asks for.
func (h Head) Values(name string) []string {
	var values []string
	for _, line := range h.Lines[min(1, len(h.Lines)):] {
		if field, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(bytes.TrimSpace(field)), name) {
			values = append(values, string(bytes.TrimSpace(value)))
		}
	}
	return values
}

// Value is the first of Values, "" if there is none.
func (h Head) Value(name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Has says whether a line with the name has the token in its list.
func (h Head) Has(name, token string) bool {
	for _, value := range h.Values(name) {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// TraceLine is a line of a head that carries trace context.
type TraceLine struct {
	Index int    `json:"index"` // 1 is the line behind the request line
	Text  string `json:"text"`  // with its line end
}

func (l TraceLine) String() string { return fmt.Sprintf("%d:%q", l.Index, l.Text) }

// Trace takes the lines of trace context out of a head: what is left is the
// bytes of the head without them, from the lead to the end.
func (h Head) Trace() (lines []TraceLine, left []byte) {
	left = append(left, h.Lead...)
	for i, line := range h.Lines {
		name, _, ok := bytes.Cut(line, []byte(":"))
		word := strings.ToLower(string(name))
		if i > 0 && ok && (word == "traceparent" || word == "tracestate") {
			lines = append(lines, TraceLine{i, string(line)})
			continue
		}
		left = append(left, line...)
	}
	return lines, append(left, h.End...)
}

// Body is what there was after a head.
type Body struct {
	Size int64  // decoded
	SHA  string // of the decoded bytes
	Raw  string // SHA-256 of the bytes as they came, chunk sizes and trailers included
}

// Length reads a body of n bytes, or to the end of the connection if n is -1.
func Length(r *bufio.Reader, n int64) (Body, error) {
	sum := sha256.New()
	var size int64
	var err error
	if n < 0 {
		size, err = io.Copy(sum, r)
	} else {
		size, err = io.CopyN(sum, r, n)
	}
	b := Body{size, text(sum), text(sum)}
	if err != nil {
		return b, fmt.Errorf("read a body of %d bytes after %d: %w", n, size, noEOF(err))
	}
	return b, nil
}

// Chunked reads a chunked body with its trailer section (RFC 9112, section 7.1).
func Chunked(r *bufio.Reader) (Body, error) {
	raw, decoded := sha256.New(), sha256.New()
	var size int64
	body := func() Body { return Body{size, text(decoded), text(raw)} }
	line := func() ([]byte, error) {
		line, err := r.ReadBytes('\n')
		raw.Write(line)
		if err == nil && !bytes.HasSuffix(line, []byte("\r\n")) {
			err = fmt.Errorf("the line %q does not end with CRLF", clip(line))
		}
		return bytes.TrimSuffix(line, []byte("\r\n")), noEOF(err)
	}
	for {
		head, err := line()
		if err != nil {
			return body(), fmt.Errorf("read a chunk's head after %d bytes: %w", size, err)
		}
		digits, _, _ := strings.Cut(string(head), ";")
		n, err := strconv.ParseUint(digits, 16, 40)
		if err != nil {
			return body(), fmt.Errorf("read a chunk's head %q after %d bytes: %w", clip(head), size, err)
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(io.MultiWriter(raw, decoded), r, int64(n)); err != nil {
			return body(), fmt.Errorf("read a chunk of %d bytes: %w", n, noEOF(err))
		}
		size += int64(n)
		if end, err := line(); err != nil || len(end) > 0 {
			return body(), fmt.Errorf("read the end of a chunk: %q, %w", clip(end), err)
		}
	}
	for {
		trailer, err := line()
		if err != nil {
			return body(), fmt.Errorf("read the trailers: %w", err)
		}
		if len(trailer) == 0 {
			return body(), nil
		}
	}
}

// Digest is the SHA-256 of bytes in hexadecimal.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func text(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// noEOF makes an error of the end of a connection where there must be more.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// clip shortens bytes for a message.
func clip(b []byte) []byte { return b[:min(len(b), 80)] }
