package main

import (
	"context"
	"errors"
	"time"

	"github.com/clewtrace/clew/test/programs"
	"github.com/clewtrace/clew/test/rig"
)

// clientModes are what alternates where a client is measured: the ways in which its
// requests carry their context. That by a TCP option needs a peer who reads it, so
// there the server is watched too, and is so in a mode without, to compare with.
var clientModes = []mode{
	{name: "none"},
	{name: "no rung", agent: true, env: []string{"CLEW_PROPAGATION=none"}},
	{
		name: "member, not injected", agent: true, env: []string{"CLEW_PROPAGATION=headers!"},
		// A sampled context, so that there are as many spans.
		headers: []string{"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		happens: `clew_probes_dropped_total{reason="inject_own_header"}`,
	},
	{
		name: "member, injected", agent: true, env: []string{"CLEW_PROPAGATION=headers!"},
		happens: `clew_probes_kept_total{reason="injected"}`,
	},
	{name: "both ends, no rung", agent: true, target: true, env: []string{"CLEW_PROPAGATION=none"}},
	{
		name: "both ends, TCP option", agent: true, target: true,
		env:     []string{"CLEW_PROPAGATION=tcp!", "CLEW_TCP_OPTION_PEERS=127.0.0.0/8"},
		happens: `clew_probes_kept_total{reason="option_sent"}`,
	},
}

// client starts nginx where it is not watched, to be called by wrk where it is.
func client(ctx context.Context, o options, _ *rig.Scene) (server, error) {
	outside, err := rig.Open()
	if err != nil {
		return server{}, err
	}
	workshop, err := programs.OpenWorkshop(outside.Dir)
	if err != nil {
		return server{}, errors.Join(err, outside.Close())
	}
	started, err := workshop.Start(ctx, outside, programs.Named("nginx"), programs.Config{})
	if err != nil {
		return server{}, errors.Join(err, outside.Close())
	}
	return server{
		process: started.Process, client: true, target: outside.Target(), close: outside.Close,
		load: func(_ context.Context, scene *rig.Scene, m mode, duration time.Duration) (load, error) {
			arguments := wrkArguments(started.URL+"/", o.connections, duration)
			for _, header := range m.headers {
				arguments = append(arguments, "-H", header)
			}
			report, err := generate(scene, "wrk", arguments...)
			if err != nil {
				return load{}, err
			}
			return readWrk(report)
		},
	}, nil
}
