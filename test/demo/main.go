// Demo runs a few small services in different languages that call each other,
// sends them a request now and then, and shows their traces on the console.
// Ctrl-C ends it and removes everything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

func main() {
	agent := flag.String("agent", "bin/clew", "the agent's binary")
	last := flag.Duration("for", 0, "end by itself after this time; 0 waits for Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *last > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *last)
		defer cancel()
	}
	if err := play(ctx, *agent); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// play is the whole demonstration. Being told to stop is no error.
func play(ctx context.Context, binary string) (err error) {
	if obstacle := rig.Obstacle(); obstacle != "" {
		return errors.New(obstacle)
	}
	scene, err := rig.Open()
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() != nil {
			err = nil // what was under way when we were told to stop has failed
		}
		err = errors.Join(err, scene.Close())
	}()
	// The agent first: so it knows every program from its first request on.
	agent, err := rig.StartAgent(ctx, scene, rig.AgentConfig{Binary: binary, Stdout: os.Stdout})
	if err != nil {
		return err
	}
	say("The agent is ready. It watches these services:")
	shop, err := open(ctx, scene)
	if err != nil {
		return err
	}
	say("A visitor comes every second; some are slow, some fail. Ctrl-C ends the demo.")
	say("A bar is when a span ran within its trace: █ up to the answer's first byte, ▒ up to its last.")
	say("▶ marks what took most of the time, or where a failure came from.\n")
	if err := shop.visit(ctx, agent.Process); err != nil {
		return err
	}
	return agent.Stop()
}

// services are what the demo runs, in the order of their start.
var services = []struct{ service, program, language string }{
	{"prices", "java-urlconnection", "Java"},
	{"reviews", "node-express", "Node.js"},
	{"stock", "go", "Go"},
	{"shipping", "ruby-puma", "Ruby"},
	{"taxes", "php-cli", "PHP"},
	{"orders", "gunicorn-gthread", "Python"},
	{"search", "python-http", "Python"},
}

// shop is the running services.
type shop struct {
	scene *rig.Scene
	urls  map[string]string // by service
	front string            // URL of nginx, or of orders where there is none
}

// open starts the services whose runtimes are installed.
func open(ctx context.Context, scene *rig.Scene) (*shop, error) {
	workshop, err := programs.OpenWorkshop(scene.Dir)
	if err != nil {
		return nil, err
	}
	s := &shop{scene: scene, urls: make(map[string]string)}
	for _, c := range services {
		program := programs.Named(c.program)
		if missing := program.Missing(); missing != "" {
			say("  %-9s left out: %s is not installed (test/install installs it)", c.service, missing)
			continue
		}
		server, err := workshop.Start(ctx, scene, program, programs.Config{Service: c.service})
		if err != nil {
			return nil, err
		}
		s.urls[c.service] = server.URL
		say("  %-9s %-8s %s", c.service, c.language, server.URL)
	}
	if s.urls["orders"] == "" {
		return nil, errors.New("the demo needs gunicorn and Flask; run test/install")
	}
	s.front = s.urls["orders"]
	if nginx := programs.Named("nginx"); nginx.Missing() == "" {
		server, err := workshop.Start(ctx, scene, nginx, programs.Config{
			Backend: strings.TrimPrefix(s.front, "http://"),
		})
		if err != nil {
			return nil, err
		}
		s.front = server.URL + "/proxy"
		say("  %-9s %-8s %s", "nginx", "C", server.URL)
	}
	return s, nil
}

// say tells the person at the console what goes on, apart from the traces.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}

// visit sends a request every second until ctx ends, or reports that the agent
// has ended by itself.
func (s *shop) visit(ctx context.Context, agent *rig.Process) error {
	visits := s.visits()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		curl, err := s.scene.Start(rig.Command{
			Name: "curl", Path: "curl", Args: []string{"-sS", "--max-time", "10", "-o", "/dev/null", visits[i%len(visits)]},
		})
		if err != nil {
			return err
		}
		select {
		case <-curl.Done(): // a failing visit is part of the show
		case <-ctx.Done():
			return nil
		}
		select {
		case <-tick.C:
		case <-agent.Done():
			return fmt.Errorf("the agent has ended:\n%s", agent.Errors())
		case <-ctx.Done():
			return nil
		}
	}
}
