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
		Addr: clients.Address(), Password: clients.Password(), PoolSize: 4,
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
	clients.Must("set in 3", third.Set(ctx, "hush:go:third", clients.Value(), 0).Err())
	clients.Want("get in 3", third.Get(ctx, "hush:go:third").Val(), clients.Value())
}

func keys(ctx context.Context, client *redis.Client) {
	clients.Must("set", client.Set(ctx, "hush:go:k", clients.Value(), time.Minute).Err())
	clients.Want("get", client.Get(ctx, "hush:go:k").Val(), clients.Value())
	clients.Want("get nothing", client.Get(ctx, "hush:go:nothing").Err(), error(redis.Nil))
	big := strings.Repeat(clients.Value(), 300_000/len(clients.Value()))
	clients.Must("set much", client.Set(ctx, "hush:go:big", big, 0).Err())
	clients.Want("get much", client.Get(ctx, "hush:go:big").Val(), big)
	clients.Want("delete", client.Del(ctx, "hush:go:big", "hush:go:k").Val(), 2)
	clients.Want("count", client.IncrBy(ctx, "hush:go:n", 5).Val(), 5)
}

func collections(ctx context.Context, client *redis.Client) {
	clients.Want("push", client.RPush(ctx, "hush:go:list", "a", "b", clients.Value()).Val(), 3)
	clients.Want("range", len(client.LRange(ctx, "hush:go:list", 0, -1).Val()), 3)
	clients.Want("hash", client.HSet(ctx, "hush:go:hash", "one", clients.Value(), "two", 2).Val(), 2)
	clients.Want("whole hash", client.HGetAll(ctx, "hush:go:hash").Val()["one"], clients.Value())
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("hush:go:many:%d", i)
	}
	clients.Want("many", len(client.MGet(ctx, many...).Val()), 50)
	clients.Want("script", client.Eval(ctx, "return redis.call('incr', KEYS[1])", []string{"hush:go:n"}).Val(), any(int64(6)))
	clients.Want("blocked", client.BLPop(ctx, time.Second, "hush:go:empty").Err(), error(redis.Nil))
}

func batches(ctx context.Context, client *redis.Client) {
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 30 {
			p.Set(ctx, fmt.Sprintf("hush:go:p:%d", i), clients.Value(), 0)
			p.Get(ctx, fmt.Sprintf("hush:go:p:%d", i))
		}
		return nil
	})
	clients.Must("pipeline", err)
	_, err = client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "hush:go:n")
		p.Incr(ctx, "hush:go:n")
		return nil
	})
	clients.Must("transaction", err)
}

func failures(ctx context.Context, client *redis.Client) {
	err := client.Incr(ctx, "hush:go:list").Err()
	clients.Want("wrong type", err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"), true)
	err = client.Do(ctx, "nosuch", clients.Value()).Err()
	clients.Want("unknown command", err != nil && strings.HasPrefix(err.Error(), "ERR unknown command"), true)
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "hush:go:k", 1, 0)
		p.LPush(ctx, "hush:go:k", 1)
		p.Get(ctx, "hush:go:k")
		return nil
	})
	clients.Want("error in a pipeline", err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"), true)
}

func channel(ctx context.Context, client *redis.Client) {
	subscription := client.Subscribe(ctx, "hush:go:channel")
	_, err := subscription.Receive(ctx)
	clients.Must("subscribe", err)
	for range 3 {
		clients.Want("publish", client.Publish(ctx, "hush:go:channel", clients.Value()).Val(), 1)
		message, err := subscription.ReceiveMessage(ctx)
		clients.Must("receive", err)
		clients.Want("message", message.Payload, clients.Value())
	}
	if err := subscription.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		clients.Must("unsubscribe", err)
	}
}
