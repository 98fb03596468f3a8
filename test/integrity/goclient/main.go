// Command goclient makes the requests of a plan with net/http; see package
// integrity.
//
//	goclient URL SEED CLIENT COUNT CONNECTIONS [TRAIT...]
//
// It makes the plan itself.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/clewtrace/clew/test/integrity"
)

// deadline is when a request is given up as hung.
const deadline = 60 * time.Second

func main() {
	log.SetFlags(0)
	if len(os.Args) < 6 {
		log.Fatal("usage: goclient URL SEED CLIENT COUNT CONNECTIONS [TRAIT...]")
	}
	url, seed, name := os.Args[1], os.Args[2], os.Args[3]
	count, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	connections, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	pool := integrity.Pool(seed)
	plan := integrity.Plan(seed, name, count, integrity.ReadTraits(os.Args[6:]))
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, ExpectContinueTimeout: deadline, DisableCompression: true,
	}}
	if err := integrity.Await(); err != nil {
		log.Fatal(err)
	}
	teller := integrity.NewTeller(os.Stdout)
	var crew sync.WaitGroup
	for i := range connections {
		crew.Go(func() {
			for at := i; at < len(plan); at += connections {
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				teller.Tell(integrity.Make(ctx, client, url, plan[at], plan[at].Body.Of(pool)))
				cancel()
			}
		})
	}
	crew.Wait()
}
