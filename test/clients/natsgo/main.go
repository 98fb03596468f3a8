// Natsgo uses NATS by nats.go.
package main

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/clewtrace/clew/test/clients"
)

func main() {
	refused := make(chan error, 1)
	conn, err := nats.Connect("nats://"+clients.Address(), nats.UserInfo(clients.Username(), clients.Password()),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	clients.Must("connect", err)
	defer conn.Close()
	clients.Start()

	orders, err := conn.SubscribeSync("go.orders.*")
	clients.Must("subscribe", err)
	publish(conn, "go.orders.new", []byte(clients.Value()), clients.Traceparent())
	publish(conn, "go.orders.paid", []byte(clients.Value()), "")
	publish(conn, "go.orders.big", make([]byte, 300_000), "")
	publish(conn, "go.unheard", []byte(clients.Value()), "")
	for range 3 {
		_, err := orders.NextMsg(10 * time.Second)
		clients.Must("receive", err)
	}
	clients.Must("unsubscribe", orders.Unsubscribe())

	// One of a group answers.
	answers, err := conn.QueueSubscribe("go.ask", "go.workers", func(m *nats.Msg) { _ = m.Respond([]byte(clients.Value())) })
	clients.Must("subscribe", err)
	for range 3 {
		answer, err := conn.Request("go.ask", []byte(clients.Value()), 10*time.Second)
		clients.Must("request", err)
		clients.Want("answer", string(answer.Data), clients.Value())
	}
	clients.Must("unsubscribe", answers.Unsubscribe())
	_, err = conn.Request("go.nobody", nil, 10*time.Second)
	clients.Want("nobody answers", errors.Is(err, nats.ErrNoResponders), true)

	publish(conn, "forbidden.go", []byte(clients.Value()), "")
	clients.Want("refused", errors.Is(<-refused, nats.ErrPermissionViolation), true)
}

// publish waits until the server has taken the message, so that the order in
// which it answers is that in which it was asked.
func publish(conn *nats.Conn, subject string, body []byte, traceparent string) {
	message := &nats.Msg{Subject: subject, Data: body}
	if traceparent != "" {
		message.Header = nats.Header{"traceparent": {traceparent}}
	}
	clients.Must("publish", conn.PublishMsg(message))
	clients.Must("flush", conn.Flush())
}
