package export

import (
	"slices"
	"time"

	"github.com/clewtrace/clew/context/assemble"
)

// node is a span in its place in the tree.
type node struct {
	span     *assemble.Span
	children []*node
	depth    int
	last     bool // no sibling follows
	orphan   bool // it has a parent, which was not seen
	self     time.Duration
	failing  bool // a span below it, or it itself, failed
	above    *node
}

// forest arranges spans as trees, and returns the roots and all nodes in the
// order in which they are printed. It takes any input: parents that are
// missing, spans that are their own ancestors, identifiers that are not unique.
func forest(spans []*assemble.Span) (roots, order []*node) {
	nodes := make([]*node, len(spans))
	byID := make(map[[8]byte]*node, len(spans))
	for i, s := range spans {
		nodes[i] = &node{span: s}
		if byID[s.SpanID] == nil {
			byID[s.SpanID] = nodes[i]
		}
	}
	byStart := func(a, b *node) int { return a.span.Start.Compare(b.span.Start) }
	slices.SortStableFunc(nodes, byStart)
	for _, n := range nodes {
		parent := byID[n.span.ParentID]
		if n.span.ParentID == ([8]byte{}) || parent == nil || parent == n || under(parent, n) {
			n.orphan = n.span.ParentID != [8]byte{}
			roots = append(roots, n)
			continue
		}
		n.above = parent
		parent.children = append(parent.children, n)
	}
	// The request everything comes from leads, also when an orphan is older.
	slices.SortStableFunc(roots, func(a, b *node) int {
		if a.orphan != b.orphan {
			if a.orphan {
				return 1
			}
			return -1
		}
		return byStart(a, b)
	})
	for i, r := range roots {
		r.last = i == len(roots)-1
		order = visit(order, r, 0)
	}
	for i := len(order) - 1; i >= 0; i-- { // children before parents
		n := order[i]
		n.self = selfTime(n)
		n.failing = n.failing || n.span.Failed
		if n.failing && n.above != nil {
			n.above.failing = true
		}
	}
	return roots, order
}

// under reports whether n is below ancestor.
func under(n, ancestor *node) bool {
	for ; n != nil; n = n.above {
		if n == ancestor {
			return true
		}
	}
	return false
}

func visit(order []*node, n *node, depth int) []*node {
	n.depth = depth
	order = append(order, n)
	for i, child := range n.children {
		child.last = i == len(n.children)-1
		order = visit(order, child, depth+1)
	}
	return order
}

// selfTime is how long a span ran while none of its children did.
func selfTime(n *node) time.Duration {
	covered := time.Duration(0)
	until := n.span.Start
	for _, child := range n.children { // by start
		start, end := child.span.Start, child.span.End
		if start.Before(until) {
			start = until
		}
		if end.After(n.span.End) {
			end = n.span.End
		}
		if end.After(start) {
			covered += end.Sub(start)
			until = end
		}
	}
	return max(0, n.span.End.Sub(n.span.Start)-covered)
}

// offender is the span to look at first: where a failure came from, or else
// where most of the time was spent. A trace of one good span has none.
//
// A failure that went all the way up to the top explains more than one that was
// dealt with on the way. Of several, the deepest is nearest to the cause, and
// the first to fail comes before those that it may have caused.
func offender(order []*node) *node {
	var found *node
	for _, n := range order {
		if !n.span.Failed || slices.ContainsFunc(n.children, func(c *node) bool { return c.failing }) {
			continue
		}
		if found == nil || explainsMore(n, found) {
			found = n
		}
	}
	if found != nil || len(order) < 2 {
		return found
	}
	for _, n := range order {
		if found == nil || n.self > found.self {
			found = n
		}
	}
	return found
}

func explainsMore(a, b *node) bool {
	if reached := reachedTop(a); reached != reachedTop(b) {
		return reached
	}
	if a.depth != b.depth {
		return a.depth > b.depth
	}
	return a.span.End.Before(b.span.End)
}

// reachedTop reports whether every span above a failed one failed as well.
func reachedTop(n *node) bool {
	for n = n.above; n != nil; n = n.above {
		if !n.span.Failed {
			return false
		}
	}
	return true
}
