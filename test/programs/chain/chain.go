// Package chain knows how to build and start the links of a chain of services:
// one small program a language, each of which serves a request by making one of
// its own to the next link, if there is one, and answers with what came.
//
// A link is told by its environment: LISTEN is the host:port where it listens,
// NEXT the URL of the next link, GROUND_TRUTH the file where it writes what
// belongs to what (see programs.ReadTruth). A request names itself by the query
// parameter id.
package chain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/clewtrace/clew/test/rig"
)

// Languages are the links that know nothing of tracing. Of "node" an agent cannot
// tell which request it makes for which, so it stands last.
func Languages() []string { return []string{"go", "python", "java", "php", "node"} }

// Kit are the links, built.
type Kit struct {
	source string // of the links
	dir    string // what was built of it
}

// Build builds the links that need it in a directory.
func Build(dir string) (*Kit, error) {
	root, err := rig.Root()
	if err != nil {
		return nil, err
	}
	k := &Kit{source: filepath.Join(root, "test", "programs", "chain", "hop"), dir: dir}
	if err := rig.GoBuild(k.source, filepath.Join(dir, "hop"), ".", "-ldflags=-s -w"); err != nil {
		return nil, err
	}
	compile := exec.Command("javac", "-d", dir, filepath.Join(k.source, "Hop.java"))
	if output, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the link in java: %w\n%s", err, output)
	}
	return k, nil
}

// WithSDK ends the names of links that trace themselves by the OpenTelemetry SDK:
// "go-sdk" and "node-sdk". They are told about it by the SDK's own environment, and
// by TRACESTATE what to say in the traces that they begin.
const WithSDK = "-sdk"

// BuildSDK builds the links that trace themselves.
func (k *Kit) BuildSDK() error {
	clients := filepath.Join(k.source, "..", "..", "..", "clients")
	if err := rig.GoBuild(clients, filepath.Join(k.dir, "otelhop"), "./otelhop", "-ldflags=-s -w"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(k.nodeSDK(), "node_modules", "@opentelemetry")); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look for the SDK: %w", err)
	}
	install := exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund")
	install.Dir = k.nodeSDK()
	if output, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("install the SDK: %w\n%s", err, output)
	}
	return nil
}

func (k *Kit) nodeSDK() string { return filepath.Join(k.source, "..", "..", "node", "otel") }

// Link says which link to start and what it is told.
type Link struct {
	Language string
	Service  string // its OTEL_SERVICE_NAME
	Next     string // URL, "" for the last link
	Truth    string // file of ground truth, "" for none
	Env      []string
}

// Start starts a link on a host, waits until it listens, and returns its URL.
func (k *Kit) Start(ctx context.Context, h *rig.Host, l Link) (string, error) {
	port, err := h.FreePort()
	if err != nil {
		return "", err
	}
	address := netip.AddrPortFrom(h.Address, uint16(port)).String()
	command := k.command(l.Language, address)
	command.Name = l.Service
	command.Env = append(command.Env, "LISTEN="+address, "NEXT="+l.Next, "OTEL_SERVICE_NAME="+l.Service)
	if l.Truth != "" {
		command.Env = append(command.Env, "GROUND_TRUTH="+l.Truth)
	}
	command.Env = append(command.Env, l.Env...)
	p, err := h.Start(command)
	if err != nil {
		return "", err
	}
	return "http://" + address + "/", h.Listening(ctx, p, address)
}

func (k *Kit) command(language, address string) rig.Command {
	switch language {
	case "go":
		return rig.Command{Path: filepath.Join(k.dir, "hop")}
	case "python":
		return rig.Command{Path: "/usr/bin/python3", Args: []string{filepath.Join(k.source, "hop.py")}}
	case "java":
		return rig.Command{Path: "java", Args: []string{"-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", k.dir, "Hop"}}
	case "php":
		return rig.Command{
			Path: "php", Args: []string{"-q", "-S", address, filepath.Join(k.source, "hop.php")},
			Env: []string{"PHP_CLI_SERVER_WORKERS=" + strconv.Itoa(phpWorkers)},
		}
	case "node":
		return rig.Command{Path: "node", Args: []string{filepath.Join(k.source, "hop.js")}}
	case "go" + WithSDK:
		return rig.Command{Path: filepath.Join(k.dir, "otelhop")}
	case "node" + WithSDK:
		return rig.Command{Path: "node", Args: []string{filepath.Join(k.nodeSDK(), "hop.js")}}
	}
	panic("no link is written in " + language) // a mistake in a test
}

// phpWorkers is how many requests PHP's own server serves at once: it takes a
// process for each. The others wait in its queue.
const phpWorkers = 16
