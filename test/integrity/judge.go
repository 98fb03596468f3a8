package integrity

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Want is what a request must be when it arrives.
type Want struct {
	ID, Method, Target string
	Custom             string      // digest of the headers of the plan; see Custom
	Trace              [][2]string // trace context of the program's own: names as sent, values
	Body               string      // SHA-256 of the body, decoded
	Head, Raw          string      // SHA-256 of the head and of the raw body; "" if only the program knows

	Bare bool // the header must not be written, whatever else is there
	Due  bool // the header should be written
}

// Wants are what the requests of a plan must be.
func Wants(plan []Request, pool []byte) []Want {
	wants := make([]Want, len(plan))
	for i, q := range plan {
		w := Want{ID: q.ID, Method: q.Method, Target: q.Target, Custom: digestHeaders(q.Headers), Body: Digest(q.Body.Of(pool))}
		for _, header := range q.Headers {
			if isTrace(header[0]) {
				w.Trace = append(w.Trace, header)
			}
		}
		w.Due = len(w.Trace) == 0
		wants[i] = w
	}
	return wants
}

func isTrace(name string) bool {
	return strings.EqualFold(name, "traceparent") || strings.EqualFold(name, "tracestate")
}

// Verdict is the comparison of one run of a client.
type Verdict struct {
	Requests int
	With     int // that carry the header of the agent
	Due      int // that should carry it
	DueWith  int // of these, that do
	Own      int // that carry trace context of the program's own

	Without     []string // ids of those due that do not
	Differences []string // between what was sent and what arrived, both ways
	Hung        []string // requests given up after their deadline, or without any outcome
	Errors      []string // that the client reports
}

// Clean says whether nothing at all is wrong.
func (v Verdict) Clean() bool { return len(v.Differences)+len(v.Hung)+len(v.Errors) == 0 }

// Share is the part of the requests that should carry the header and do.
func (v Verdict) Share() float64 { return float64(v.DueWith) / float64(max(v.Due, 1)) }

// Run is what is known of one run of a client.
type Run struct {
	Wants    []Want
	Outcomes []Outcome
	Records  []Record

	// Baseline is the same run without the agent, nil if this is it.
	Baseline []Record

	// Anywhere says that the header may stand at any place of the head, since a
	// proxy moved it.
	Anywhere bool
}

// Judge compares what a client says it sent and received, what the server says
// it received and sent, what the plan says, and the run without the agent.
func Judge(run Run) Verdict {
	v := Verdict{Requests: len(run.Wants)}
	outcomes := index(run.Outcomes, func(o Outcome) string { return o.ID })
	records := index(run.Records, func(r Record) string { return r.ID })
	baseline := index(run.Baseline, func(r Record) string { return r.ID })
	for _, want := range run.Wants {
		j := judgement{Verdict: &v, want: want, anywhere: run.Anywhere}
		said, arrived := outcomes[want.ID], records[want.ID]
		delete(outcomes, want.ID)
		delete(records, want.ID)
		if !j.once(said, arrived) {
			continue
		}
		j.outcome(said[0], arrived[0])
		j.arrival(arrived[0])
		if run.Baseline == nil {
			j.ownTrace(arrived[0])
		} else if base := baseline[want.ID]; len(base) == 1 {
			j.compare(arrived[0], base[0])
		} else {
			j.differ("recorded %d times without the agent", len(base))
		}
	}
	for id, stray := range records {
		v.Differences = append(v.Differences, fmt.Sprintf("%s: nobody sent this, %d times: %q %s", id, len(stray), stray[0].Text, stray[0].Error))
	}
	for id := range outcomes {
		v.Differences = append(v.Differences, id+": an outcome of no request")
	}
	return v
}

func index[T any](all []T, id func(T) string) map[string][]T {
	by := make(map[string][]T)
	for _, one := range all {
		by[id(one)] = append(by[id(one)], one)
	}
	return by
}

// judgement is about one request.
type judgement struct {
	*Verdict
	want     Want
	anywhere bool
}

func (j judgement) differ(format string, args ...any) {
	j.Differences = append(j.Differences, j.want.ID+": "+fmt.Sprintf(format, args...))
}

// once says whether there is one outcome and one record, without an error.
func (j judgement) once(said []Outcome, arrived []Record) bool {
	switch {
	case len(said) == 0:
		j.Hung = append(j.Hung, j.want.ID+": the client says nothing of it"+errorsOf(arrived))
	case len(said) > 1:
		j.differ("the client tells of it %d times", len(said))
	case timedOut.MatchString(said[0].Error):
		j.Hung = append(j.Hung, j.want.ID+": "+said[0].Error+errorsOf(arrived))
	case said[0].Error != "":
		j.Errors = append(j.Errors, j.want.ID+": "+said[0].Error+errorsOf(arrived))
	case len(arrived) != 1:
		j.differ("arrived %d times%s", len(arrived), errorsOf(arrived))
	case arrived[0].Error != "":
		j.differ("arrived broken%s", errorsOf(arrived))
	default:
		return true
	}
	return false
}

// timedOut knows the words of the clients' libraries for a deadline.
var timedOut = regexp.MustCompile(`(?i)time.?out|timed out|deadline|UND_ERR_\w+_TIMEOUT|EAGAIN|temporarily unavailable`)

func errorsOf(arrived []Record) string {
	var b strings.Builder
	for _, r := range arrived {
		fmt.Fprintf(&b, "; the server has %d bytes of body of %q %s", r.Body.Size, clip(r.Text), r.Error)
	}
	return b.String()
}

// outcome compares both ends.
func (j judgement) outcome(said Outcome, arrived Record) {
	if said.Sent != arrived.Body.SHA {
		j.differ("body: sent %s, arrived %s, %d bytes", said.Sent, arrived.Body.SHA, arrived.Body.Size)
	}
	if said.Got != arrived.Sent || said.Status != arrived.Status {
		j.differ("answer: sent %d %s, received %d %s", arrived.Status, arrived.Sent, said.Status, said.Got)
	}
}

// arrival compares with the plan.
func (j judgement) arrival(r Record) {
	if r.Method != j.want.Method || r.Target != j.want.Target {
		j.differ("request line: %s %s, planned %s %s", r.Method, r.Target, j.want.Method, j.want.Target)
	}
	if r.Custom != j.want.Custom {
		j.differ("its headers are not those of the plan: %q", r.Text)
	}
	if r.Body.SHA != j.want.Body {
		j.differ("body: planned %s, arrived %s", j.want.Body, r.Body.SHA)
	}
	if j.want.Head != "" && r.Head != j.want.Head {
		j.differ("head: not the bytes planned: %q", r.Text)
	}
	if j.want.Raw != "" && r.Body.Raw != j.want.Raw {
		j.differ("raw body: planned %s, arrived %s", j.want.Raw, r.Body.Raw)
	}
}

// ownTrace expects, without the agent, the program's own trace context and no
// other.
func (j judgement) ownTrace(r Record) {
	var got, planned []string
	for _, line := range r.Trace {
		name, value, _ := strings.Cut(line.Text, ":")
		got = append(got, strings.ToLower(name)+":"+strings.TrimSpace(value))
	}
	for _, header := range j.want.Trace {
		planned = append(planned, strings.ToLower(header[0])+":"+header[1])
	}
	slices.Sort(got)
	slices.Sort(planned)
	if !slices.Equal(got, planned) {
		j.differ("trace context without an agent: %q, planned %q", got, planned)
	}
}

// written is the one header that the agent writes.
var written = regexp.MustCompile(`^traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\r\n$`)

// compare allows for one difference from the same request without the agent.
func (j judgement) compare(r, base Record) {
	if r.Head != base.Head {
		j.differ("head: %q, without the agent %q", r.Text, base.Text)
	}
	if r.Target != base.Target || r.Sent != base.Sent || r.Status != base.Status {
		j.differ("target or answer differ from the run without the agent")
	}
	if j.want.Due {
		j.Due++
	}
	if has(base.Trace, "traceparent") || j.want.Bare {
		if len(base.Trace) > 0 {
			j.Own++
		}
		if !slices.Equal(r.Trace, base.Trace) {
			j.differ("trace context that is not ours to touch: %v, without the agent %v", r.Trace, base.Trace)
		}
		return
	}
	left := slices.DeleteFunc(slices.Clone(r.Trace), func(line TraceLine) bool {
		return written.MatchString(line.Text) && (line.Index == 1 || j.anywhere)
	})
	added := len(r.Trace) - len(left)
	if added > 1 {
		j.differ("%d headers added: %v", added, r.Trace)
	}
	if !slices.EqualFunc(left, base.Trace, func(a, b TraceLine) bool { return a.Text == b.Text && (j.anywhere || a.Index == b.Index+added) }) {
		j.differ("trace context: %v, without the agent %v", r.Trace, base.Trace)
	}
	if added > 0 {
		j.With++
	}
	switch {
	case added > 0 && j.want.Due:
		j.DueWith++
	case j.want.Due:
		j.Without = append(j.Without, j.want.ID)
	}
}

func has(lines []TraceLine, name string) bool {
	return slices.ContainsFunc(lines, func(line TraceLine) bool {
		return len(line.Text) > len(name) && strings.EqualFold(line.Text[:len(name)], name)
	})
}
