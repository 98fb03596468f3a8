package probes

import (
	"strings"
	"testing"
)

func TestWorse(t *testing.T) {
	many := fate{answered: 10_000, late: 100, unanswered: 10}
	for _, c := range []struct {
		name          string
		with, without fate
		want          string // part of the reason
	}{
		{"nothing yet", fate{}, fate{}, ""},
		{"all is well", many, many, ""},
		{"few bad ones prove nothing", fate{unanswered: harmCount - 1}, many, ""},
		{"a server that is down is down for all", fate{answered: 10, unanswered: 990}, fate{answered: 10, unanswered: 990}, ""},
		{"a slow server is slow for all", fate{answered: 1000, late: 900}, fate{answered: 1000, late: 900}, ""},
		{"a little more than before", fate{answered: 1000, unanswered: 20}, many, ""},
		{"connections die", fate{answered: 900, unanswered: 100}, many, "100 of 1000 requests were not answered, 10 of 10010 without it"},
		{"answers are late", fate{answered: 1000, late: 500}, many, "500 of 1000 requests were answered late, 100 of 10000 without it"},
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
