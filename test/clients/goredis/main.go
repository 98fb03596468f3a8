// Goredis uses Redis by go-redis.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clewtrace/clew/test/clients"
)

func main() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{
		Addr: clients.Address(), Password: clients.Password(), PoolSize: 4, MinIdleConns: 2,
	})
	defer client.Close()
	clients.Must("ping", client.Ping(ctx).Err())
	clients.Start()

	keys(ctx, client)
	collections(ctx, client)
	batches(ctx, client)
	failures(ctx, client)
	channel(ctx, client)

	third := redis.NewClient(&redis.Options{Addr: clients.Address(), Password: clients.Password(), DB: 3, Protocol: 2})
	defer third.Close()
	clients.Must("set in 3", third.Set(ctx, "go:third", clients.Value(), 0).Err())
	clients.Want("get in 3", third.Get(ctx, "go:third").Val(), clients.Value())
}

func keys(ctx context.Context, client *redis.Client) {
	clients.Must("set", client.Set(ctx, "go:k", clients.Value(), time.Minute).Err())
	clients.Want("get", client.Get(ctx, "go:k").Val(), clients.Value())
	clients.Want("get nothing", client.Get(ctx, "go:nothing").Err(), error(redis.Nil))
	big := strings.Repeat(clients.Value(), 300_000/len(clients.Value()))
	clients.Must("set much", client.Set(ctx, "go:big", big, 0).Err())
	clients.Want("get much", client.Get(ctx, "go:big").Val(), big)
	clients.Want("delete", client.Del(ctx, "go:big", "go:k").Val(), 2)
	clients.Want("count", client.IncrBy(ctx, "go:n", 5).Val(), 5)
}

func collections(ctx context.Context, client *redis.Client) {
	clients.Want("push", client.RPush(ctx, "go:list", "a", "b", clients.Value()).Val(), 3)
	clients.Want("range", len(client.LRange(ctx, "go:list", 0, -1).Val()), 3)
	clients.Want("hash", client.HSet(ctx, "go:hash", "one", clients.Value(), "two", 2).Val(), 2)
	clients.Want("whole hash", client.HGetAll(ctx, "go:hash").Val()["one"], clients.Value())
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("go:many:%d", i)
	}
	clients.Want("many", len(client.MGet(ctx, many...).Val()), 50)
	clients.Want("script", client.Eval(ctx, "return redis.call('incr', KEYS[1])", []string{"go:n"}).Val(), any(int64(6)))
	clients.Want("blocked", client.BLPop(ctx, 100*time.Millisecond, "go:empty").Err(), error(redis.Nil))
}

func batches(ctx context.Context, client *redis.Client) {
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 30 {
			p.Set(ctx, fmt.Sprintf("go:p:%d", i), clients.Value(), 0)
			p.Get(ctx, fmt.Sprintf("go:p:%d", i))
		}
		return nil
	})
	clients.Must("pipeline", err)
	_, err = client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "go:n")
		p.Incr(ctx, "go:n")
		return nil
	})
	clients.Must("transaction", err)
}

func failures(ctx context.Context, client *redis.Client) {
	err := client.Incr(ctx, "go:list").Err()
	clients.Want("wrong type", err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"), true)
	err = client.Do(ctx, "nosuch", clients.Value()).Err()
	clients.Want("unknown command", err != nil && strings.HasPrefix(err.Error(), "ERR unknown command"), true)
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "go:k", 1, 0)
		p.LPush(ctx, "go:k", 1)
		p.Get(ctx, "go:k")
		return nil
	})
	clients.Want("error in a pipeline", err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"), true)
}

func channel(ctx context.Context, client *redis.Client) {
	subscription := client.Subscribe(ctx, "go:channel")
	_, err := subscription.Receive(ctx)
	clients.Must("subscribe", err)
	for range 3 {
		clients.Want("publish", client.Publish(ctx, "go:channel", clients.Value()).Val(), 1)
		message, err := subscription.ReceiveMessage(ctx)
		clients.Must("receive", err)
		clients.Want("message", message.Payload, clients.Value())
	}
	if err := subscription.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		clients.Must("unsubscribe", err)
	}
}
