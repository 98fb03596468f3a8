// Package discover decides which processes are watched, and tells what a
// process is before a single byte of its traffic is seen.
package discover

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Rules choose processes. The zero value chooses everything.
type Rules struct{ list []rule }

// rule is one parsed element. Exactly one of pattern and the range is used.
type rule struct {
	text    string // as the user wrote it
	key     string
	exclude bool
	pattern *regexp.Regexp
	low     uint32 // of port and pid
	high    uint32
}

// Facts is what rules look at.
type Facts struct {
	PID    uint32
	Parent uint32
	Comm   string
	// Exe is the path of the executable as the process itself sees it; "" for
	// kernel threads.
	Exe string
	// Cgroups, paths below the mount of their hierarchy with that of v2 first,
	// and Container, an id or "", are filled only when the rules ask for either.
	Cgroups   []string
	Container string
	// Ports are the TCP ports that the process listens on, sorted, as far as the
	// rules name them.
	Ports []uint16

	KernelThread bool
	Self         bool // it is the agent
}

// ParseRules reads the value of CLEW_TARGETS: elements separated by commas,
// each KEY=VALUE with an optional leading '!'.
//
//	exe=GLOB        executable: base name, or full path when GLOB has a '/'
//	port=N[-M]      listens on a TCP port of this range
//	pid=N           this process
//	cgroup=GLOB     path of a control group below its mount
//	container=GLOB  container id, full or its first 12 characters
//	namespace=GLOB  Kubernetes namespace (not supported yet)
//	pod=GLOB        Kubernetes pod name (not supported yet)
//
// A process is chosen when it matches any element without '!' (or there is
// none) and no element with '!'. An empty value chooses everything. All errors
// are returned at once, one a line, each with its position counted from 1.
func ParseRules(value string) (Rules, error) {
	if strings.TrimSpace(value) == "" {
		return Rules{}, nil
	}
	var rules Rules
	var problems []error
	offset := 0
	for i, element := range strings.Split(value, ",") {
		text := strings.TrimSpace(element)
		at := offset + strings.Index(element, text) + 1
		offset += len(element) + 1
		parsed, err := parseRule(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("rule %d at character %d, %q: %w", i+1, at, text, err))
			continue
		}
		rules.list = append(rules.list, parsed)
	}
	if len(problems) > 0 {
		return Rules{}, errors.Join(problems...)
	}
	return rules, nil
}

func parseRule(text string) (rule, error) {
	body, exclude := strings.CutPrefix(text, "!")
	body = strings.TrimSpace(body)
	if body == "" {
		return rule{}, errors.New("rule is empty")
	}
	key, value, ok := strings.Cut(body, "=")
	if !ok {
		return rule{}, errors.New("want KEY=VALUE")
	}
	r := rule{text: text, key: strings.TrimSpace(key), exclude: exclude}
	value = strings.TrimSpace(value)
	var err error
	switch r.key {
	case "port":
		r.low, r.high, err = parseRange(value, 65535)
	case "pid":
		if r.low, err = parseNumber(value, 1<<22); err == nil { // PID_MAX_LIMIT
			r.high = r.low
		}
	case "cgroup":
		if value != "" && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "**") {
			value = "/" + value
		}
		r.pattern, err = compileGlob(value)
	case "exe", "container", "namespace", "pod":
		r.pattern, err = compileGlob(value)
		if err == nil && (r.key == "namespace" || r.key == "pod") {
			err = fmt.Errorf("%s= needs Kubernetes identity, which is not supported yet; use cgroup= or container=", r.key)
		}
		if r.key == "exe" && strings.Contains(value, "/") {
			r.key = "exe path"
		}
	default:
		err = fmt.Errorf("unknown key %q; want exe, port, pid, cgroup, container, namespace or pod", r.key)
	}
	return r, err
}

func parseRange(value string, limit uint32) (low, high uint32, err error) {
	first, last, isRange := strings.Cut(value, "-")
	if low, err = parseNumber(first, limit); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return low, low, nil
	}
	if high, err = parseNumber(last, limit); err != nil {
		return 0, 0, err
	}
	if high < low {
		return 0, 0, fmt.Errorf("range %d-%d runs backwards", low, high)
	}
	return low, high, nil
}

func parseNumber(value string, limit uint32) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
	if err != nil || n == 0 || uint32(n) > limit {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", value, limit)
	}
	return uint32(n), nil
}

// Everything says that the rules leave no process out, the agent and kernel
// threads excepted.
func (r Rules) Everything() bool { return len(r.list) == 0 }

// NeedsPorts says that a decision depends on listening ports. A program listens
// only some time after its exec, so whoever asks must then look at undecided
// and watched processes again from time to time; see Inspector.InspectAll.
func (r Rules) NeedsPorts() bool { return r.need("port") }

// MayChange says that what the rules decide of a process may change while its
// program runs: ports open after exec, and processes are moved between cgroups.
func (r Rules) MayChange() bool { return r.need("port", "cgroup", "container") }

// String returns the rules as they were written; "" chooses everything.
func (r Rules) String() string {
	texts := make([]string, len(r.list))
	for i, one := range r.list {
		texts[i] = one.text
	}
	return strings.Join(texts, ",")
}

// need says whether any rule has one of these keys.
func (r Rules) need(keys ...string) bool {
	return slices.ContainsFunc(r.list, func(one rule) bool { return slices.Contains(keys, one.key) })
}

// Match says whether a process is watched, and why or why not in words for
// people.
func (r Rules) Match(facts Facts) (watched bool, reason string) {
	switch {
	case facts.Self:
		return false, "it is the agent itself"
	case facts.KernelThread:
		return false, "it is a kernel thread"
	}
	includes, included := 0, ""
	for _, one := range r.list {
		if !one.exclude {
			includes++
		}
		if !one.matches(facts) {
			continue
		}
		if one.exclude {
			return false, "excluded by " + one.text
		}
		if included == "" {
			included = one.text
		}
	}
	switch {
	case included != "":
		return true, "chosen by " + included
	case includes > 0:
		return false, "no rule chooses it"
	case len(r.list) > 0:
		return true, "no rule excludes it"
	}
	return true, "every process is watched"
}

// ChooseCgroup reports whether the rules include the process for its cgroup's
// sake, so that whatever else starts there is wanted too.
func (r Rules) ChooseCgroup(facts Facts) bool {
	chosen := false
	for _, rule := range r.list {
		if rule.key != "cgroup" || !rule.matches(facts) {
			continue
		}
		if rule.exclude {
			return false
		}
		chosen = true
	}
	return chosen
}

func (r rule) matches(facts Facts) bool {
	switch r.key {
	case "pid":
		return facts.PID == r.low
	case "port":
		return slices.ContainsFunc(facts.Ports, r.covers)
	case "exe":
		return facts.Exe != "" && r.pattern.MatchString(path.Base(facts.Exe))
	case "exe path":
		return r.pattern.MatchString(facts.Exe)
	case "cgroup":
		return slices.ContainsFunc(facts.Cgroups, r.pattern.MatchString)
	case "container":
		const short = 12 // as docker ps and crictl print it
		id := facts.Container
		return id != "" && (r.pattern.MatchString(id) || r.pattern.MatchString(id[:min(short, len(id))]))
	}
	return false
}

// covers says whether a port lies in the range of a port rule.
func (r rule) covers(port uint16) bool {
	return r.key == "port" && uint32(port) >= r.low && uint32(port) <= r.high
}

// wants says whether any rule names a port.
func (r Rules) wants(port uint16) bool {
	return slices.ContainsFunc(r.list, func(one rule) bool { return one.covers(port) })
}
