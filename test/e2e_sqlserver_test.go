package test

import (
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

// TestSQLServers watches the servers too: each statement has a span on both
// sides, and over TCP the server's is the child of the client's.
func TestSQLServers(t *testing.T) {
	s := newStage(t)
	config := servers.Config{Watched: true}
	talks := []*sqlTalk{postgresTalk(s, config), mariaTalk(s, config)}
	talks[0].clients = postgresClients[:1] // psql
	talks[1].clients = mariaClients[:1]    // mariadb
	talks[0].arrive(s, "")
	s.watch()
	// MariaDB reads the four bytes before a packet by themselves: on its side a
	// connection is recognised by the greeting, so not when it is older.
	talks[1].arrive(s, "")
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
	served := spans.Where(rig.Kind("server"), rig.Service(talk.server), func(span rig.Span) bool {
		return !strings.Contains(span.Attributes["db.collection.name"], ".") // ours, which read the record
	})
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
