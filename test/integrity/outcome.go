package integrity

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Outcome is what a client says of a request. Clients print a line each, its
// columns separated by tabs: id, status, digest of the body sent, digest of the
// body received, error.
type Outcome struct {
	ID     string
	Status int    // 0 with an error
	Sent   string // SHA-256
	Got    string // SHA-256
	Error  string
}

// Await says that the program is ready, by opening the FIFO $GATE, and waits for
// its end. Without a gate it returns at once.
func Await() error {
	gate := os.Getenv("GATE")
	if gate == "" {
		return nil
	}
	if _, err := os.ReadFile(gate); err != nil {
		return fmt.Errorf("wait at the gate: %w", err)
	}
	return nil
}

// Teller prints outcomes, from several goroutines.
type Teller struct {
	mu  sync.Mutex
	out io.Writer
}

// NewTeller makes a teller that prints to out.
func NewTeller(out io.Writer) *Teller { return &Teller{out: out} }

// Tell prints an outcome.
func (t *Teller) Tell(o Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%s\t%d\t%s\t%s\t%s\n", o.ID, o.Status, o.Sent, o.Got, strings.Join(strings.Fields(o.Error), " "))
}

// ReadOutcomes reads what a client printed.
func ReadOutcomes(path string) ([]Outcome, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read what a client printed: %w", err)
	}
	defer file.Close()
	var outcomes []Outcome
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		columns := strings.Split(scanner.Text(), "\t")
		if len(columns) != 5 {
			return nil, fmt.Errorf("read what a client printed: %q", clip(scanner.Bytes()))
		}
		status, err := strconv.Atoi(columns[1])
		if err != nil {
			return nil, fmt.Errorf("read a status: %w", err)
		}
		outcomes = append(outcomes, Outcome{columns[0], status, columns[2], columns[3], columns[4]})
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read what a client printed: %w", err)
	}
	return outcomes, nil
}
