// Package clients holds programs that use databases, caches and brokers by the
// libraries that everybody uses: one directory a program, a module of their own,
// so that the agent's depends on none of these libraries.
//
// A program is told by its environment: ADDRESS is host:port of the server,
// USERNAME and PASSWORD what it logs in with, VALUE what it stores where users would
// store what is nobody's business, TRACEPARENT a context to send along where the
// library can. It always does the same, checks what comes back, and ends with
// status 0 if that is what it should be.
package clients

import (
	"log"
	"os"
)

// Address is host:port of the server.
func Address() string { return os.Getenv("ADDRESS") }

// Username is who logs in.
func Username() string { return os.Getenv("USERNAME") }

// Password is what it logs in with.
func Password() string { return os.Getenv("PASSWORD") }

// Value is what nobody may find in a span.
func Value() string { return os.Getenv("VALUE") }

// Traceparent is the context to send along.
func Traceparent() string { return os.Getenv("TRACEPARENT") }

// Start says that the program is ready, its connections open, by opening the
// FIFO $GATE, and waits for its end. Without a gate it returns at once.
func Start() {
	if gate := os.Getenv("GATE"); gate != "" {
		_, err := os.ReadFile(gate)
		Must("wait at the gate", err)
	}
}

// Must ends the program if there is an error.
func Must(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

// Want ends the program unless got is what it should be.
func Want[T comparable](what string, got, want T) {
	if got != want {
		log.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
