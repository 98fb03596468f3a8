package main

import (
	"fmt"
	"strings"
)

// columns are the claims of matrix.txt behind series and hooks, in its order.
var columns = []string{"loads", "local", "goroutine", "pooled", "thread", "fork", "old"}

// cell is one line of matrix.txt: what one family of triggers is claimed to do
// on one series of kernels.
type cell struct {
	series string            // such as "6.12"
	hooks  string            // value of CLEW_HOOKS
	claims map[string]bool   // by column; a claim that does not apply is absent
	rungs  map[string]string // by rung: rungIsOn, or a word of the reason why not
}

// parseMatrix reads matrix.txt. Every line must be complete: a claim that is
// left out would never be tested.
func parseMatrix(text string) ([]cell, error) {
	var cells []cell
	for number, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if want := len(columns) + len(rungs) + 2; len(fields) != want {
			return nil, fmt.Errorf("parse matrix line %d: %d fields, want %d", number+1, len(fields), want)
		}
		c := cell{series: fields[0], hooks: fields[1], claims: map[string]bool{}, rungs: map[string]string{}}
		for i, rung := range rungs {
			c.rungs[rung] = fields[len(columns)+2+i]
		}
		for i, column := range columns {
			switch fields[i+2] {
			case "yes":
				c.claims[column] = true
			case "no":
				c.claims[column] = false
			case "-":
			default:
				return nil, fmt.Errorf("parse matrix line %d: %s is %q, want yes, no or -", number+1, column, fields[i+2])
			}
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("parse matrix line %d: %w", number+1, err)
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// check refuses a cell that leaves open what is testable.
func (c cell) check() error {
	loads, said := c.claims["loads"]
	if !said {
		return fmt.Errorf("loads must be yes or no")
	}
	for _, rung := range rungs {
		if (c.rungs[rung] == "-") == loads {
			return fmt.Errorf("%s must be on or a reason where the objects load, - where not", rung)
		}
	}
	for _, column := range columns[1:] {
		if _, said := c.claims[column]; said != loads {
			return fmt.Errorf("%s must be yes or no where the objects load, - where not", column)
		}
	}
	return nil
}
