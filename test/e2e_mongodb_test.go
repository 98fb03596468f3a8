package test

import (
	"strings"
	"testing"

	"github.com/clewtrace/clew/test/rig"
	"github.com/clewtrace/clew/test/servers"
)

var mongodbClients = []sqlClient{
	{name: "pymongo", command: []string{"/usr/bin/python3", "$CLIENTS/python/pymongo_client.py"}},
	{name: "mongodb (npm)", command: []string{"node", "$CLIENTS/node/mongodb.js"}},
	{name: "mongo-driver", command: []string{"$BUILT/mongogo"}},
}

// TestMongoDB lets every client of MongoDB do its work, on connections that are
// older than the agent, and compares the spans in Jaeger with the server's record.
func TestMongoDB(t *testing.T) {
	s := newStage(t)
	server, err := servers.StartMongoDB(t.Context(), s.scene, servers.Config{})
	if err != nil {
		t.Fatal(err)
	}
	clients := s.gather("mongodb", server.Statements, mongodbClients, map[string]string{
		"BUILT": buildGo(t, "mongogo"), "ADDRESS": server.Address, "VALUE": "hush-value",
	})
	s.watch()
	clients.work(t, nil)
	spans := s.settle()
	var rows []row
	for i, c := range mongodbClients {
		t.Run(c.name, func(t *testing.T) {
			var deeds []deed
			for _, span := range spans.Where(rig.Service(c.name)) {
				attributes(t, span, "span.kind", "client", "db.system.name", "mongodb")
				what := span.Attributes["db.operation.name"]
				switch what {
				case "endSessions": // not in the record: a driver may not wait for the answer
					continue
				case "getMore": // its value is the cursor
				default:
					what += " " + span.Attributes["db.collection.name"]
				}
				deeds = append(deeds, deed{
					start: span.Start, what: strings.TrimSpace(what), failure: span.Attributes["db.response.status_code"],
				})
			}
			rows = append(rows, clients.compare(t, i, deeds, nil, ""))
		})
	}
	printRows("Spans of clients of MongoDB, against the server's own record:", rows)
	kept(t, spans)
}
