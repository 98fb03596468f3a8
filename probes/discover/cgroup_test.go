package discover

import (
	"errors"
	"os"
	"testing"
)

func TestChooseCgroup(t *testing.T) {
	for _, test := range []struct {
		rules, cgroup string
		want          bool
	}{
		{"cgroup=/a", "/a", true},
		{"cgroup=/a,!exe=wrk", "/a", true},
		{"cgroup=/a/**,!cgroup=/a/b", "/a/b", false},
		{"cgroup=/a", "/b", false},
		{"exe=nginx", "/a", false},
		{"!cgroup=/a", "/b", false},
		{"", "/a", false},
	} {
		rules, err := ParseRules(test.rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules.ChooseCgroup(Facts{Cgroups: []string{test.cgroup}}); got != test.want {
			t.Errorf("%q in %s: got %v", test.rules, test.cgroup, got)
		}
	}
}

func TestCgroupID(t *testing.T) {
	root, err := CgroupID("/")
	if err != nil {
		t.Skipf("no cgroup2 here: %v", err)
	}
	if root == 0 {
		t.Error("the root has the number 0")
	}
	if id, err := CgroupID("/no-such-cgroup-" + t.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a cgroup that is not there: %d, %v", id, err)
	}
}
