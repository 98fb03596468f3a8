// Webpgx is a net/http server on $LISTEN whose pages ask PostgreSQL by pgx's
// pool: GET /page?id=, with via=goroutine in goroutines that the handler starts.
// Its queries are named as those of ../python/web.py.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

func main() {
	pool, err := pgxpool.New(context.Background(), fmt.Sprintf(
		"host=127.0.0.1 port=%s user=postgres dbname=postgres sslmode=disable pool_min_conns=8 pool_max_conns=16", os.Getenv("PGPORT")))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		if err := page(r, pool); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "done")
	})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}

func page(r *http.Request, pool *pgxpool.Pool) error {
	name := "q_" + strings.ReplaceAll(r.FormValue("id"), "-", "_")
	var group errgroup.Group
	for _, query := range []func() error{
		execute(r.Context(), pool, "SELECT pg_sleep(random() * 0.004) AS "+name),
		execute(r.Context(), pool, "SELECT abalance AS "+name+" FROM pgbench_accounts WHERE aid = 7"),
		execute(r.Context(), pool, "SELECT tbalance AS "+name+" FROM pgbench_tellers WHERE tid = $1", 3),
	} {
		if r.FormValue("via") == "goroutine" {
			group.Go(query)
		} else if err := query(); err != nil {
			return err
		}
	}
	return group.Wait()
}

// execute makes a query, to be sent when it is called.
func execute(ctx context.Context, pool *pgxpool.Pool, text string, arguments ...any) func() error {
	return func() error {
		_, err := pool.Exec(ctx, text, arguments...)
		return err
	}
}
