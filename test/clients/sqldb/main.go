// Sqldb runs the workload by database/sql, with lib/pq ("postgres") or
// go-sql-driver ("mysql") as its argument says.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"strings"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/lib/pq"

	"github.com/clewtrace/clew/test/clients/workload"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// client is one connection, and the transaction under way on it.
type client struct {
	*sql.Conn
	driver string
	tx     *sql.Tx
}

func connect(ctx context.Context, driver, host string) (*client, error) {
	source := fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", host, os.Getenv("PORT"))
	if driver == "mysql" {
		address := "tcp(" + host + ":" + os.Getenv("PORT") + ")"
		if strings.HasPrefix(host, "/") {
			address = "unix(" + host + ")"
		}
		source = "root@" + address + "/" + os.Getenv("DATABASE")
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx)
	return &client{Conn: conn, driver: driver}, err
}

func run(ctx context.Context, driver string) error {
	entries, err := workload.Read()
	if err != nil {
		return err
	}
	early, err := workload.Early(entries)
	if err != nil {
		return err
	}
	var clients []*client
	var prepared []*sql.Stmt
	for _, host := range workload.Hosts() {
		c, err := connect(ctx, driver, host)
		if err != nil {
			return err
		}
		statement, err := c.PrepareContext(ctx, c.text(early))
		if err != nil {
			return err
		}
		clients, prepared = append(clients, c), append(prepared, statement)
	}
	if err := workload.Wait(); err != nil {
		return err
	}
	for _, statement := range prepared {
		if _, err := statement.ExecContext(ctx, early.Parameters...); err != nil {
			return err
		}
	}
	for _, host := range workload.Hosts() {
		c, err := connect(ctx, driver, host)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	for _, c := range clients {
		for _, entry := range entries {
			if err := c.do(ctx, entry); err != nil {
				return fmt.Errorf("%s: %w", entry.Statement, err)
			}
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// text is the statement with the driver's way to write parameters.
func (c *client) text(entry workload.Entry) string {
	if c.driver == "postgres" {
		return workload.Numbered(entry.Statement)
	}
	return entry.Statement
}

func (c *client) do(ctx context.Context, entry workload.Entry) (err error) {
	switch entry.Verb {
	case "run", "prepared":
		return c.drain(c.QueryContext(ctx, c.text(entry), entry.Parameters...))
	case "refused":
		if err := c.drain(c.QueryContext(ctx, c.text(entry))); err == nil {
			return fmt.Errorf("was not refused")
		}
	case "begin":
		c.tx, err = c.BeginTx(ctx, nil)
	case "commit":
		return c.tx.Commit()
	}
	return err
}

func (c *client) drain(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}
