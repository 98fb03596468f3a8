// Pgx runs the workload by pgx. With the argument "batch" it sends what is
// prepared, as far as it stands together, in one batch.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/clewtrace/clew/test/clients/workload"
)

func main() {
	if err := run(context.Background(), len(os.Args) > 1); err != nil {
		log.Fatal(err)
	}
}

type client struct {
	*pgx.Conn
	batching bool
	batch    pgx.Batch // what waits
	tx       pgx.Tx
}

func connect(ctx context.Context, host string, batching bool) (*client, error) {
	source := fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", host, os.Getenv("PORT"))
	conn, err := pgx.Connect(ctx, source)
	return &client{Conn: conn, batching: batching}, err
}

func run(ctx context.Context, batching bool) error {
	entries, err := workload.Read()
	if err != nil {
		return err
	}
	early, err := workload.Early(entries)
	if err != nil {
		return err
	}
	var clients []*client
	for _, host := range workload.Hosts() {
		c, err := connect(ctx, host, batching)
		if err != nil {
			return err
		}
		if _, err := c.Prepare(ctx, "early", workload.Numbered(early.Statement)); err != nil {
			return err
		}
		clients = append(clients, c)
	}
	if err := workload.Wait(); err != nil {
		return err
	}
	for _, c := range clients {
		if _, err := c.Exec(ctx, "early", early.Parameters...); err != nil {
			return err
		}
	}
	for _, host := range workload.Hosts() {
		c, err := connect(ctx, host, batching)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	for _, c := range clients {
		if err := c.all(ctx, entries); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) all(ctx context.Context, entries []workload.Entry) error {
	for _, entry := range entries {
		if entry.Verb != "prepared" {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		if err := c.do(ctx, entry); err != nil {
			return fmt.Errorf("%s: %w", entry.Statement, err)
		}
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	return c.Close(ctx)
}

// flush sends the batch, if there is one.
func (c *client) flush(ctx context.Context) error {
	if c.batch.Len() == 0 {
		return nil
	}
	batch := c.batch
	c.batch = pgx.Batch{}
	return c.SendBatch(ctx, &batch).Close()
}

func (c *client) do(ctx context.Context, entry workload.Entry) (err error) {
	statement := workload.Numbered(entry.Statement)
	switch entry.Verb {
	case "run":
		_, err = c.Exec(ctx, statement)
	case "prepared":
		if c.batching {
			c.batch.Queue(statement, entry.Parameters...)
			return nil
		}
		_, err = c.Exec(ctx, statement, entry.Parameters...)
	case "refused":
		if _, err = c.Exec(ctx, statement); err == nil {
			return errors.New("was not refused")
		}
		err = nil
	case "begin":
		c.tx, err = c.Begin(ctx)
	case "commit":
		err = c.tx.Commit(ctx)
	case "copyin":
		_, err = c.PgConn().CopyFrom(ctx, strings.NewReader(row(entry.Parameters)), statement)
	case "copyout":
		_, err = c.PgConn().CopyTo(ctx, io.Discard, statement)
	}
	return err
}

// row is a row in COPY's text format.
func row(values []any) string {
	columns := make([]string, len(values))
	for i, value := range values {
		columns[i] = fmt.Sprint(value)
	}
	return strings.Join(columns, "\t") + "\n"
}
