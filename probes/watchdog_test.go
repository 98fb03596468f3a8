package probes

import (
	"strings"
	"testing"
)

func TestWorse(t *testing.T) {
	many := fate{answered: 10_000, stalled: 100, unanswered: 10}
	for _, c := range []struct {
		name          string
		with, without fate
		want          string // part of the reason
	}{
		{"nothing yet", fate{}, fate{}, ""},
		{"all is well", many, many, ""},
		{"few bad ones prove nothing", fate{unanswered: harmCount - 1}, many, ""},
		{"a server that is down is down for all", fate{answered: 10, unanswered: 990}, fate{answered: 10, unanswered: 990}, ""},
		{"a way that loses packets loses those of all", fate{answered: 1000, stalled: 900}, fate{answered: 1000, stalled: 900}, ""},
		{"a server that fails now and then", fate{answered: 800, unanswered: 200}, many, ""},
		{"a little more than before", fate{answered: 1000, unanswered: 20}, many, ""},
		{"connections die", fate{answered: 600, unanswered: 400}, many, "400 of 1000 requests were not answered, 10 of 10010 without it"},
		{"requests stall", fate{answered: 1000, stalled: 500}, many, "500 of 1000 requests had to be sent again, 100 of 10000 without it"},
		{"nothing is known of before", fate{unanswered: 1000}, fate{}, ""},
		{"little is known of before", fate{answered: 100, unanswered: 900}, fate{answered: 1}, ""},
		{"enough is known of before", fate{answered: 100, unanswered: 900}, fate{answered: 20}, "900 of 1000"},
	} {
		got := c.with.worse(c.without)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
