package export

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/context/assemble"
)

// Select Graphic Rendition codes of ECMA-48, the sixteen colours every terminal
// has in a form its owner can read.
const (
	styleNone  = ""
	styleBold  = "1"
	styleDim   = "2"
	styleError = "1;31"
	styleMark  = "1;33"
)

// serviceStyles tell services apart. Red and yellow are left for trouble.
var serviceStyles = [...]string{"36", "32", "35", "34", "96", "92", "95", "94"}

// outcomeKeys hold the outcome of a span in a word, most telling first.
var outcomeKeys = [...]attribute.Key{
	semconv.HTTPResponseStatusCodeKey,
	semconv.RPCResponseStatusCodeKey,
	semconv.DBResponseStatusCodeKey,
	semconv.ErrorTypeKey,
}

const (
	defaultWidth  = 110
	leastWidth    = 50
	leastLabel    = 20
	leastBar      = 8
	mostOutcome   = 12 // columns of the outcome
	durationWidth = 7  // "-99.9ms", "16m40s"
)

// renderer draws traces for people.
type renderer struct {
	width int
	color bool
}

// sheet is a trace being drawn: what its rows have in common.
type sheet struct {
	renderer
	out                  *bytes.Buffer
	start                time.Time
	total                time.Duration
	label, bar, outcomes int // columns
	guilty               *node
}

// render draws one trace as a block that ends in an empty line.
func (r renderer) render(out *bytes.Buffer, t *trace) {
	roots, order := forest(t.spans)
	if len(order) == 0 {
		return
	}
	s := &sheet{renderer: r, out: out, guilty: offender(order)}
	s.width = max(leastWidth, s.width)
	s.measure(order)
	s.header(t, roots[0])
	for _, n := range order {
		s.row(n)
	}
	s.verdict()
	out.WriteByte('\n')
}

// measure fixes the span of time and the columns that all rows share.
func (s *sheet) measure(order []*node) {
	s.start = order[0].span.Start
	end := order[0].span.End
	for _, n := range order {
		if n.span.Start.Before(s.start) {
			s.start = n.span.Start
		}
		if n.span.End.After(end) {
			end = n.span.End
		}
		s.outcomes = max(s.outcomes, min(mostOutcome, columns(outcome(n.span))))
	}
	s.total = end.Sub(s.start)
	// Mark, gaps, and what stands at the right are fixed; label and bar share
	// the rest, the label getting no more than it needs.
	shared := s.width - 2 - 2 - 1 - durationWidth - 2 - s.outcomes
	most := max(leastLabel, min(shared*11/20, shared-leastBar))
	for _, n := range order {
		need := 0
		for _, part := range s.labelParts(n, most) {
			need += columns(part.text)
		}
		s.label = max(s.label, need)
	}
	s.label = max(leastLabel, min(s.label, most))
	s.bar = max(leastBar, shared-s.label)
}

func (s *sheet) header(t *trace, root *node) {
	services := make(map[string]bool)
	failed := 0
	for _, span := range t.spans {
		services[span.Process.Service] = true
		if span.Failed {
			failed++
		}
	}
	title := printable(root.span.Process.Service) + " " + printable(root.span.Name)
	facts := fmt.Sprintf("  %s  %s, %s", shortDuration(s.total),
		plural(len(t.spans), "span"), plural(len(services), "service"))
	trouble := ""
	if failed > 0 {
		trouble = fmt.Sprintf("  %d failed", failed)
	}
	note := ""
	switch {
	case t.late:
		note = "  late, belongs to a trace above"
	case t.incomplete:
		note = "  unfinished"
	}
	id := "trace " + hex.EncodeToString(t.id[:])
	clock := s.start.Format("15:04:05.000")

	free := s.width - columns(facts) - columns(trouble) - columns(note)
	oneLine := columns(title)+2+columns(clock)+2+columns(id) <= free
	title = clip(title, free)
	s.paint(styleBold, title)
	s.paint(styleNone, facts)
	s.paint(styleError, trouble)
	s.paint(styleMark, note)
	if oneLine {
		s.out.WriteString("  ")
	} else {
		s.out.WriteString("\n")
	}
	s.paint(styleDim, clock+"  "+id)
	s.out.WriteByte('\n')
}

func (s *sheet) row(n *node) {
	style := styleNone
	if n.span.Failed {
		style = styleError
	}
	if n == s.guilty {
		s.paint(s.guiltyStyle(), "▶ ")
	} else {
		s.out.WriteString("  ")
	}
	left := s.label
	for _, part := range s.labelParts(n, s.label) {
		shown := clip(part.text, left)
		s.paint(part.style, shown)
		left -= columns(shown)
	}
	s.out.WriteString(strings.Repeat(" ", left+2))
	barStyle := serviceStyle(n.span.Process.Service)
	if n == s.guilty || n.span.Failed {
		barStyle = s.guiltyStyle()
	}
	s.paint(barStyle, fit(s.drawBar(n.span), s.bar))
	duration := shortDuration(n.span.End.Sub(n.span.Start))
	s.out.WriteString(" " + strings.Repeat(" ", max(0, durationWidth-columns(duration))) + duration)
	if o := clip(outcome(n.span), mostOutcome); o != "" {
		s.out.WriteString("  ")
		s.paint(style, o)
	}
	s.out.WriteByte('\n')
}

// part is text in one style.
type part struct{ text, style string }

// labelParts is what stands left of the bar: tree lines, service, name.
func (s *sheet) labelParts(n *node, most int) []part {
	lines := treeLines(n)
	if columns(lines) > most/2 { // a very deep call: the name matters more
		lines = fmt.Sprintf("⋯ %d deep ", n.depth)
	}
	name := printable(n.span.Name)
	nameStyle := styleNone
	if n == s.guilty {
		nameStyle = styleBold
	}
	if n.span.Kind.Outgoing() {
		name = "→ " + name
		if peer := peerOf(n.span); peer != "" {
			name += " " + printable(peer)
		}
	}
	return []part{
		{lines, styleDim},
		{printable(n.span.Process.Service) + " ", serviceStyle(n.span.Process.Service)},
		{name, nameStyle},
	}
}

// treeLines draws the branch that leads to a node.
func treeLines(n *node) string {
	if n.above == nil {
		if n.orphan {
			return "⋯ "
		}
		return ""
	}
	line := "├ "
	if n.last {
		line = "╰ "
	}
	for above := n.above; above.above != nil; above = above.above {
		if above.last {
			line = "  " + line
		} else {
			line = "│ " + line
		}
	}
	if top := n.above; top != nil {
		for top.above != nil {
			top = top.above
		}
		if top.orphan {
			line = "  " + line
		}
	}
	return line
}

// eighths are blocks of one to seven eighths of a column.
var eighths = [...]string{"▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// drawBar places a span in the time of its trace: solid until the first byte of
// the response, shaded while the rest of the response went over.
func (s *sheet) drawBar(span *assemble.Span) string {
	if s.total <= 0 {
		return eighths[0]
	}
	at := func(t time.Time, units int) int {
		return int(float64(t.Sub(s.start)) / float64(s.total) * float64(units))
	}
	from := min(at(span.Start, s.bar), s.bar-1)
	to := max(at(span.End, 8*s.bar), 8*from+1)
	bar := strings.Repeat(" ", from)
	full := to/8 - from
	solid := full
	if !span.FirstByte.IsZero() {
		solid = max(0, min(full, at(span.FirstByte, s.bar)+1-from))
	}
	bar += strings.Repeat("█", solid) + strings.Repeat("▒", full-solid)
	if rest := to % 8; rest > 0 && solid == full {
		bar += eighths[rest-1]
	}
	return bar
}

// verdict says in words what the mark means.
func (s *sheet) verdict() {
	if s.guilty == nil {
		return
	}
	span := s.guilty.span
	who := printable(span.Process.Service) + " "
	if span.Kind.Outgoing() {
		who += "→ "
	}
	who += printable(span.Name)
	if peer := peerOf(span); peer != "" && span.Kind.Outgoing() {
		who += " " + printable(peer)
	}
	line := ""
	if span.Failed {
		line = "failure came from: " + who
		if o := outcome(span); o != "" {
			line += ", " + o
		}
		if m := printable(span.Message); m != "" && m != outcome(span) {
			line += ", " + m
		}
	} else {
		line = fmt.Sprintf("most time: %s, %s of its own", who, shortDuration(s.guilty.self))
		if s.total > 0 {
			line += fmt.Sprintf(" (%.0f %%)", 100*float64(s.guilty.self)/float64(s.total))
		}
	}
	s.paint(s.guiltyStyle(), clip("▶ "+line, s.width))
	s.out.WriteByte('\n')
}

func (s *sheet) guiltyStyle() string {
	if s.guilty != nil && s.guilty.span.Failed {
		return styleError
	}
	return styleMark
}

func (s *sheet) paint(style, text string) {
	if !s.color || style == styleNone || text == "" {
		s.out.WriteString(text)
		return
	}
	s.out.WriteString("\x1b[" + style + "m" + text + "\x1b[0m")
}

func serviceStyle(service string) string {
	h := fnv.New32a()
	h.Write([]byte(service))
	return serviceStyles[h.Sum32()%uint32(len(serviceStyles))]
}

// outcome is the result of a span in a word, such as a status code.
func outcome(s *assemble.Span) string {
	for _, key := range outcomeKeys {
		if v, ok := lookup(s.Attributes, key); ok {
			return printable(v.String())
		}
	}
	if s.Failed {
		return "error"
	}
	return ""
}

// peerOf is the host and port that a client span called.
func peerOf(s *assemble.Span) string {
	address, ok := lookup(s.Attributes, semconv.ServerAddressKey)
	if !ok {
		return ""
	}
	peer := address.String()
	if port, ok := lookup(s.Attributes, semconv.ServerPortKey); ok {
		peer += ":" + port.String()
	}
	return peer
}

func lookup(attributes []attribute.KeyValue, key attribute.Key) (attribute.Value, bool) {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value, true
		}
	}
	return attribute.Value{}, false
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
