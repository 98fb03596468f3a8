// Amqp uses RabbitMQ by amqp091-go.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rabbitmq/amqp091-go"

	"github.com/clewtrace/clew/test/clients"
)

func main() {
	conn, err := amqp091.Dial(fmt.Sprintf("amqp://%s:%s@%s/", clients.Username(), clients.Password(), clients.Address()))
	clients.Must("connect", err)
	defer conn.Close()
	channel, err := conn.Channel()
	clients.Must("open a channel", err)
	clients.Start()

	clients.Must("declare", channel.ExchangeDeclare("go.shop", "topic", false, false, false, false, nil))
	_, err = channel.QueueDeclare("go.orders", false, false, false, false, nil)
	clients.Must("declare", err)
	clients.Must("bind", channel.QueueBind("go.orders", "order.#", "go.shop", false, nil))
	clients.Must("confirm", channel.Confirm(false))

	publish(channel, "go.shop", "order.new", amqp091.Table{"traceparent": clients.Traceparent()}, []byte(clients.Value()))
	publish(channel, "go.shop", "order.paid", nil, []byte(clients.Value()))
	publish(channel, "", "go.orders", nil, make([]byte, 300_000)) // several frames
	get(channel)
	consume(conn)
	refused(conn)
}

func publish(channel *amqp091.Channel, exchange, key string, headers amqp091.Table, body []byte) {
	confirmation, err := channel.PublishWithDeferredConfirm(exchange, key, false, false, amqp091.Publishing{Headers: headers, Body: body})
	clients.Must("publish", err)
	clients.Want("confirmed", confirmation.Wait(), true)
}

// get takes one message by itself, and finds no more in an empty queue.
func get(channel *amqp091.Channel) {
	message, ok, err := channel.Get("go.orders", false)
	clients.Must("get", err)
	clients.Want("got one", ok, true)
	clients.Want("got", string(message.Body), clients.Value())
	clients.Must("acknowledge", message.Ack(false))
	_, err = channel.QueueDeclare("go.empty", false, false, false, false, nil)
	clients.Must("declare", err)
	_, ok, err = channel.Get("go.empty", true)
	clients.Must("get", err)
	clients.Want("got nothing", ok, false)
}

// consume has the rest delivered, on a channel of its own.
func consume(conn *amqp091.Connection) {
	channel, err := conn.Channel()
	clients.Must("open a channel", err)
	clients.Must("prefetch", channel.Qos(1, 0, false))
	messages, err := channel.Consume("go.orders", "go.consumer", false, false, false, false, nil)
	clients.Must("consume", err)
	for range 2 {
		message := <-messages
		clients.Must("acknowledge", message.Ack(false))
	}
	publish(channelOf(conn), "go.shop", "order.more", amqp091.Table{"traceparent": clients.Traceparent()}, []byte(clients.Value()))
	message := <-messages
	clients.Must("reject", message.Reject(false))
	clients.Must("close", channel.Close())
}

func channelOf(conn *amqp091.Connection) *amqp091.Channel {
	channel, err := conn.Channel()
	clients.Must("open a channel", err)
	clients.Must("confirm", channel.Confirm(false))
	return channel
}

// refused asks for what the server denies, which costs the channel each time,
// and publishes what no queue takes.
func refused(conn *amqp091.Connection) {
	channel := channelOf(conn)
	returned := channel.NotifyReturn(make(chan amqp091.Return, 1))
	_, err := channel.PublishWithDeferredConfirm("go.shop", "nobody", true, false, amqp091.Publishing{Body: []byte(clients.Value())})
	clients.Must("publish", err)
	clients.Want("returned", (<-returned).ReplyCode, uint16(amqp091.NoRoute))

	_, err = channel.QueueDeclarePassive("go.nothing", false, false, false, false, nil)
	refusal(err)
	channel = channelOf(conn)
	closed := channel.NotifyClose(make(chan *amqp091.Error, 1))
	clients.Must("publish", channel.PublishWithContext(context.Background(), "go.nothing", "key", false, false, amqp091.Publishing{Body: []byte(clients.Value())}))
	clients.Want("closed", (<-closed).Code, amqp091.NotFound)
}

func refusal(err error) {
	var refused *amqp091.Error
	clients.Want("refused", errors.As(err, &refused) && refused.Code == amqp091.NotFound, true)
}
