// Webredis is a net/http server on $LISTEN whose pages ask Redis by go-redis:
// GET /page?id=, with via=goroutine in goroutines that the handler starts. The
// keys are named as those of ../python/cached.py.
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

func main() {
	cache := redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS"), Password: os.Getenv("PASSWORD"), PoolSize: 64})
	http.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		if err := page(r, cache); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "done")
	})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}

func page(r *http.Request, cache *redis.Client) error {
	ctx := r.Context()
	key := "q_" + strings.ReplaceAll(r.FormValue("id"), "-", "_")
	var group errgroup.Group
	for _, command := range []func() error{
		func() error { return cache.Set(ctx, key, "value", time.Minute).Err() },
		func() error { return cache.MGet(ctx, key).Err() },
		func() error { return pipeline(ctx, cache, key) },
	} {
		later := func() error {
			time.Sleep(rand.N(2 * time.Millisecond))
			return command()
		}
		if r.FormValue("via") == "goroutine" {
			group.Go(later)
		} else if err := later(); err != nil {
			return err
		}
	}
	return group.Wait()
}

func pipeline(ctx context.Context, cache *redis.Client, key string) error {
	_, err := cache.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Exists(ctx, key)
		p.Expire(ctx, key, time.Hour)
		return nil
	})
	return err
}
