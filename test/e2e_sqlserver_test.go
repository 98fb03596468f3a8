package test

import (
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// TestSQLServers watches the servers too: each statement has a span on both
// sides, and over TCP the server's is the child of the client's.
func TestSQLServers(t *testing.T) {
	s := newStage(t)
	named := func(name string) servers.Config {
		return servers.Config{Watched: true, Env: []string{"OTEL_SERVICE_NAME=" + name}}
	}
	talks := []*sqlTalk{postgresTalk(s, named("postgresql")), mariaTalk(s, named("mariadb"))}
	talks[0].clients = postgresClients[:1] // psql
	talks[1].clients = mariaClients[:1]    // mariadb
	for _, talk := range talks {
		talk.arrive(s, "")
	}
	s.watch()
	for _, talk := range talks {
		talk.work(t)
	}
	spans := s.settle()
	for _, talk := range talks {
		t.Run(talk.clients[0].name, func(t *testing.T) { talk.bothSides(t, spans) })
	}
	kept(t, spans)
}

// bothSides expects that the spans of the server and of its one client are as
// many as the record says, in its order, and how they are linked.
func (talk *sqlTalk) bothSides(t *testing.T, spans rig.Spans) {
	t.Helper()
	record, err := talk.record()
	if err != nil {
		t.Fatal(err)
	}
	asked, _ := askedBy(talk.clients[0], record[talk.old:])
	sent := spans.Where(rig.Kind("client"), rig.Service(talk.clients[0].name))
	served := spans.Where(rig.Kind("server"), rig.Service(talk.systems[0]))
	for _, side := range []rig.Spans{sent, served} {
		if difference := differ(asked, side); difference != "" {
			t.Fatal(difference)
		}
	}
	for i, span := range served {
		if span.Attributes["network.transport"] == "unix" {
			root(t, span) // its bytes are not numbered
		} else {
			childOf(t, span, sent[i], "local")
		}
		root(t, sent[i])
	}
}
