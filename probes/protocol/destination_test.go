package protocol

import (
	"slices"
	"strings"
	"testing"
)

// messagingLess says whether got tells less than want of the same message, as it
// may when parts of the connection went by unseen: without the queue it came
// from, or what became of it.
func messagingLess(got, want string) bool {
	operation := func(told string) string {
		words := strings.SplitN(told, " ", 3)
		return strings.Join(words[:2], " ")
	}
	if !strings.Contains(got, ` messaging.system="`) || operation(got) != operation(want) ||
		strings.Contains(got, " FAILED ") && !strings.Contains(want, " FAILED ") {
		return false
	}
	has := toldAttribute.FindAllString(want, -1)
	for _, a := range toldAttribute.FindAllString(got, -1) {
		begins := func(w string) bool { return strings.HasPrefix(w, strings.TrimSuffix(a, `"`)) }
		name := strings.HasPrefix(a, ` messaging.destination.name=`)
		if !slices.Contains(has, a) && !(name && slices.ContainsFunc(has, begins)) {
			return false
		}
	}
	return true
}

// brokerSays says whether got is what a server said by itself about a failure
// that is among want, when it is not known which request that was.
func brokerSays(got string, want []string) bool {
	_, after, failed := strings.Cut(got, ` error.type="`)
	if !failed || !slices.ContainsFunc([]string{"amqp: return ", "amqp: channel.close ", "amqp: connection.close "}, func(op string) bool {
		return strings.HasPrefix(got, op)
	}) {
		return false
	}
	return slices.ContainsFunc(want, func(w string) bool { return strings.HasSuffix(w, ` error.type="`+after) })
}

func TestSubjectTemplate(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "orders": "orders", "orders.created": "orders.created", "orders.12345.created": "orders.{id}.created",
		"user.0af76519-16cd-43dd-8448-eb211c80319c": "user.{uuid}", "v1.orders": "v1.orders", "a..b": "a..b",
		"shard-17": "{id}", "eu1.orders": "eu1.orders",
	} {
		if got := subjectTemplate(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
