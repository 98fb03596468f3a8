package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// list splits a comma-separated value, without blanks and empty parts.
func list(value string) []string {
	var parts []string
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func oneOf(into *string, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
	}
	*into = value
	return nil
}

// boolean takes OpenTelemetry's two words in any letter case, and no others:
// "yes" silently meaning no would be a trap.
func boolean(into *bool, value string) error {
	switch strings.ToLower(value) {
	case "true":
		*into = true
	case "false":
		*into = false
	default:
		return fmt.Errorf("%q is not true or false", value)
	}
	return nil
}

// number takes one from low to high.
func number(into *float64, value string, low, high float64) error {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n >= low && n <= high) { // so written, NaN is refused too
		return fmt.Errorf("%q is not a number from %g to %g", value, low, high)
	}
	*into = n
	return nil
}

// duration takes a length of time with its unit; 0 needs none.
func duration(into *time.Duration, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 1s or 250ms", value)
	}
	if d < 0 {
		return errors.New("a duration below 0 means nothing")
	}
	*into = d
	return nil
}

// units of sizes; the longer suffix stands first.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"B", 1}, {"", 1},
}

// minimumMemory is what an idle agent takes; a limit below it would only make
// the garbage collector run without end.
const minimumMemory = 32 << 20

// size takes a number of bytes with its unit, such as 256MiB.
func size(into *int64, value string) error {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(value, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit.bytes {
			return fmt.Errorf("%q is not a size such as 256MiB", value)
		}
		if n*unit.bytes < minimumMemory {
			return fmt.Errorf("%s is less than the agent needs, %d MiB", value, minimumMemory>>20)
		}
		*into = n * unit.bytes
		return nil
	}
	return nil // not reached: the last suffix fits everything
}
