// Ferretdb runs FerretDB at the address $ADDRESS with its data in the directory
// $DATA, and prints each request and what became of it, as
//
//	COMMAND COLLECTION
//	error CODE
//
// where the collection is the command's value if that is text, and an error
// belongs to the latest request of the line before: clients here ask one thing at
// a time.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Getenv("ADDRESS")},
		Logger:    slog.New(record{}),
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Getenv("DATA") + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// record prints what the server logs of messages. There, a document is a list of
// lines, of which the first names the command.
type record struct{}

var (
	command   = regexp.MustCompile(`"Document": \{\s+"(\w+)": (?:"([^"]*)")?`)
	failure   = regexp.MustCompile(`"ok": (?:float64\()?0(?:\.0)?\)?,(?s:.*?)"code": (?:int32\()?(\d+)`)
	unwritten = regexp.MustCompile(`"writeErrors": (?s:.*?)"code": (?:int32\()?(\d+)`)
)

func (record) Handle(_ context.Context, r slog.Record) error {
	if text, ok := strings.CutPrefix(r.Message, "Request message:"); ok {
		if match := command.FindStringSubmatch(text); match != nil {
			fmt.Println(strings.TrimSpace(match[1] + " " + match[2]))
		}
	}
	if text, ok := strings.CutPrefix(r.Message, "Response message:"); ok {
		match := failure.FindStringSubmatch(text)
		if match == nil {
			match = unwritten.FindStringSubmatch(text)
		}
		if match != nil {
			fmt.Println("error", match[1])
		}
	}
	return nil
}

func (record) Enabled(context.Context, slog.Level) bool { return true }
func (r record) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r record) WithGroup(string) slog.Handler          { return r }
