package programs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Truth is what a program knows about its own requests.
type Truth struct {
	Requests map[string]int    // how often each request came in
	Parents  map[string]string // of each outgoing call, the request it was made for
}

// ReadTruth reads a file of ground truth: JSON lines, {"request": ID} for each
// request that came in and {"request": ID, "call": CALL} for each that was sent.
func ReadTruth(file string) (Truth, error) {
	truth := Truth{Requests: make(map[string]int), Parents: make(map[string]string)}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return truth, nil
	}
	if err != nil {
		return truth, fmt.Errorf("read the ground truth: %w", err)
	}
	for line := range bytes.Lines(text) {
		var entry struct{ Request, Call string }
		if err := json.Unmarshal(line, &entry); err != nil {
			return truth, fmt.Errorf("read the ground truth %q: %w", line, err)
		}
		if entry.Call == "" {
			truth.Requests[entry.Request]++
		} else {
			truth.Parents[entry.Call] = entry.Request
		}
	}
	return truth, nil
}
