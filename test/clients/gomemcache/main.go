// Gomemcache uses memcached by gomemcache.
package main

import (
	"errors"
	"strings"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/clewtrace/clew/test/clients"
)

func main() {
	client := memcache.New(clients.Address())
	defer client.Close()
	clients.Must("ping", client.Ping())
	clients.Start()

	value := []byte(clients.Value())
	clients.Must("set", client.Set(&memcache.Item{Key: "hush:go:k", Value: value, Expiration: 60}))
	item, err := client.Get("hush:go:k")
	clients.Must("get", err)
	clients.Want("get", string(item.Value), clients.Value())
	_, err = client.Get("hush:go:nothing")
	clients.Want("get nothing", errors.Is(err, memcache.ErrCacheMiss), true)
	many, err := client.GetMulti([]string{"hush:go:k", "hush:go:nothing", "hush:go:else"})
	clients.Must("get many", err)
	clients.Want("get many", len(many), 1)

	big := strings.Repeat(clients.Value(), 300_000/len(clients.Value()))
	clients.Must("set much", client.Set(&memcache.Item{Key: "hush:go:big", Value: []byte(big)}))
	item, err = client.Get("hush:go:big")
	clients.Must("get much", err)
	clients.Want("get much", string(item.Value), big)

	err = client.Add(&memcache.Item{Key: "hush:go:k", Value: value})
	clients.Want("add what is there", errors.Is(err, memcache.ErrNotStored), true)
	clients.Must("replace", client.Replace(&memcache.Item{Key: "hush:go:k", Value: value}))
	clients.Must("append", client.Append(&memcache.Item{Key: "hush:go:k", Value: value}))
	clients.Must("prepend", client.Prepend(&memcache.Item{Key: "hush:go:k", Value: value}))
	item, err = client.Get("hush:go:k")
	clients.Must("gets", err)
	item.Value = []byte("5")
	clients.Must("compare and swap", client.CompareAndSwap(item))
	n, err := client.Increment("hush:go:k", 2)
	clients.Must("increment", err)
	clients.Want("increment", n, 7)
	_, err = client.Decrement("hush:go:k", 1)
	clients.Must("decrement", err)
	clients.Must("touch", client.Touch("hush:go:k", 60))

	_, err = client.Increment("hush:go:big", 1)
	clients.Want("increment text", err != nil && strings.Contains(err.Error(), "non-numeric"), true)
	clients.Must("delete", client.Delete("hush:go:k"))
	clients.Want("delete nothing", errors.Is(client.Delete("hush:go:k"), memcache.ErrCacheMiss), true)
}
