// Command guest is everything of the kernel test that runs inside the virtual
// machine: as process 1 it sets the machine up, runs the agent under test with
// each family of triggers against real programs, and prints what held; under
// its other names it is those of the programs that are written in Go.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	var err error
	switch {
	case os.Getpid() == 1:
		runInit()
		return
	case len(os.Args) == 3 && os.Args[1] == "visit":
		err = visitor(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "serve":
		err = serve(os.Args[2], os.Args[3])
	case len(os.Args) >= 3 && os.Args[1] == "get":
		err = get(os.Args[2:])
	case len(os.Args) == 3 && os.Args[1] == "store":
		err = store(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "set":
		err = set(os.Args[2])
	default:
		err = fmt.Errorf("not process 1, and no such program: %s", strings.Join(os.Args[1:], " "))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}
