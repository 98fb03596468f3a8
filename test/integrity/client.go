package integrity

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// Make makes a request with net/http, to a server at the URL.
func Make(ctx context.Context, client *http.Client, url string, q Request, body []byte) Outcome {
	outcome := Outcome{ID: q.ID, Sent: Digest(body)}
	var reader io.Reader
	switch q.Framing {
	case Counted:
		reader = bytes.NewReader(body)
	case Chunks:
		// Of a reader of a type that it does not know, net/http cannot tell
		// the length.
		reader = &pieces{left: body, size: q.Piece}
	}
	request, err := http.NewRequestWithContext(ctx, q.Method, url+q.Target, reader)
	if err != nil {
		outcome.Error = err.Error()
		return outcome
	}
	for _, header := range q.Headers {
		request.Header[header[0]] = []string{header[1]} // Set would change its case
	}
	if q.Expect {
		request.Header.Set("Expect", "100-continue")
	}
	request.Close = q.Close
	answer, err := client.Do(request)
	if err != nil {
		outcome.Error = err.Error()
		return outcome
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		outcome.Error = err.Error()
	}
	outcome.Status, outcome.Got = answer.StatusCode, Digest(got)
	return outcome
}

// pieces reads as pieces of a size.
type pieces struct {
	left []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[:min(p.size, len(p.left))])
	p.left = p.left[n:]
	return n, nil
}
