// Clew traces the HTTP traffic of the programs on this node. This command
// wires the stages together, back to front: exporter, assembler, protocols,
// probes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/clewtrace/clew/probes/trial"
)

// version is set by the linker.
var version = "unknown"

// Exit codes. Anybody who supervises the agent may tell a configuration that
// must be mended from a node that lacks something.
const (
	exitOK            = 0
	exitEnvironment   = 1
	exitConfiguration = 2
)

const usage = `clew traces the HTTP traffic of the programs on this node, without changing them.

Usage:
  clew [-o tree|json]      trace, until SIGTERM or SIGINT
  clew doctor              say what this node can do, and what is missing
  clew explain PID         say whether a process is traced, and why

Flags:
  -o tree|json             form of the traces on the console (tree)
  --version                print the version
  --help                   print this

Traces are printed on the console unless an OTLP endpoint is set. Variables:
`

func main() {
	trial.Child() // of a self-test: does not return there
	// The first signal drains. The second one finds the default handler again
	// and ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	code := command(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command runs one command line and returns its exit code.
func command(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("clew", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are printed below, once
	form := flags.String("o", "", "")
	showVersion := flags.Bool("version", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		printHelp(stdout)
		return exitOK
	} else if err != nil {
		return complain(stderr, exitConfiguration, fmt.Errorf("%w; see clew --help", err))
	}
	if *showVersion {
		fmt.Fprintf(stdout, "clew %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		return exitOK
	}
	switch flags.Arg(0) {
	case "":
		return trace(ctx, environ, *form, stdout, stderr)
	case "doctor":
		if flags.NArg() > 1 {
			return complain(stderr, exitConfiguration, errors.New("doctor takes no argument"))
		}
		return doctor(stdout)
	case "explain":
		return explain(flags.Args()[1:], environ, stdout, stderr)
	case "help":
		printHelp(stdout)
		return exitOK
	}
	return complain(stderr, exitConfiguration, fmt.Errorf("unknown command %q; see clew --help", flags.Arg(0)))
}

// complain prints an error and returns the code to exit with.
func complain(stderr io.Writer, code int, err error) int {
	fmt.Fprintln(stderr, "clew:", err)
	return code
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, usage)
	for _, v := range variables() {
		fmt.Fprintf(w, "  %s (%s)\n      %s\n", v.name, v.initial, v.meaning)
	}
}
