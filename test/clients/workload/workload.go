// Package workload is what the SQL clients in Go share: the file $WORKLOAD and
// the gate $GATE. See ../python/sql.py for their form.
package workload

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Entry is one line of the workload.
type Entry struct {
	Verb, Statement string
	Parameters      []any // int or string
}

// Read reads $WORKLOAD.
func Read() ([]Entry, error) {
	text, err := os.ReadFile(os.Getenv("WORKLOAD"))
	if err != nil {
		return nil, fmt.Errorf("read the workload: %w", err)
	}
	var entries []Entry
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		entry := Entry{Verb: fields[0], Statement: fields[1]}
		for _, field := range fields[2:] {
			if n, err := strconv.Atoi(field); err == nil {
				entry.Parameters = append(entry.Parameters, n)
			} else {
				entry.Parameters = append(entry.Parameters, field)
			}
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// Early is the entry that is prepared before the gate.
func Early(entries []Entry) (Entry, error) {
	for _, entry := range entries {
		if entry.Verb == "early" {
			return entry, nil
		}
	}
	return Entry{}, fmt.Errorf("read the workload: nothing in it is early")
}

// Wait says that the connections made so far are ready, and waits for the word
// to go on.
func Wait() error {
	if _, err := os.ReadFile(os.Getenv("GATE")); err != nil {
		return fmt.Errorf("wait at the gate: %w", err)
	}
	return nil
}

// Hosts say where the server is: by TCP, and by unix socket.
func Hosts() []string { return []string{"127.0.0.1", os.Getenv("SOCKET")} }

// Numbered writes PostgreSQL's parameters.
func Numbered(statement string) string {
	for n := 1; strings.Contains(statement, "?"); n++ {
		statement = strings.Replace(statement, "?", "$"+strconv.Itoa(n), 1)
	}
	return statement
}
