package main

import "fmt"

// hop is one program on the way of a request, and the path, or command, that it
// was asked for.
type hop struct{ service, path string }

// chain is one request that the test drives: the first hop is the client, every
// other one receives the request from the hop before it. Between receiving and
// sending on, the hop's claim must hold.
type chain struct {
	name     string
	claim    string // column of the matrix that speaks for client spans
	evidence string // clew.parent.evidence that such a client span must show
	hops     []hop
}

// result is one thing that was checked.
type result struct {
	ok   bool
	text string
}

// judge holds the spans against what the cell claims. Each span must be there
// exactly once, a claimed parent must be the right one by the right evidence,
// and an unclaimed one must be absent: a wrong parent never passes.
func judge(c cell, chains []chain, spans []span) []result {
	var results []result
	for _, ch := range chains {
		var previous *span
		for i, h := range ch.hops {
			if i > 0 {
				server, r := one(ch, spans, h, "server")
				results = append(results, r)
				results = append(results, linked(c, ch, "local", "local", server, previous)...)
				previous = server
			}
			if i == len(ch.hops)-1 {
				break
			}
			client, r := one(ch, spans, hop{h.service, ch.hops[i+1].path}, "client")
			results = append(results, r)
			if i > 0 {
				results = append(results, linked(c, ch, ch.claim, ch.evidence, client, previous)...)
			}
			previous = client
		}
	}
	return results
}

// one finds the only span of that service, kind and path; nil when there is
// none or more than one.
func one(ch chain, spans []span, h hop, kind string) (*span, result) {
	var found []*span
	for i := range spans {
		s := &spans[i]
		if s.Service == h.service && s.Kind == kind && s.path() == h.path {
			found = append(found, s)
		}
	}
	text := fmt.Sprintf("%s: %d %s span of %s for %s", ch.name, len(found), kind, h.service, h.path)
	if len(found) != 1 {
		return nil, result{false, text}
	}
	return found[0], result{true, text}
}

// linked checks the parent of child against the claim. A span that is missing
// has failed already.
func linked(c cell, ch chain, claim, evidence string, child, parent *span) []result {
	if child == nil || parent == nil {
		return nil
	}
	text := fmt.Sprintf("%s: %s %s span of %s: ", ch.name, claim, child.Kind, child.Service)
	shown := child.Attributes["clew.parent.evidence"]
	switch {
	case child.ParentID == "" && child.TraceID == parent.TraceID:
		return []result{{false, text + "in the trace, but without a parent"}}
	case child.ParentID == "":
		return []result{{!c.claims[claim], text + "no parent"}}
	case child.ParentID != parent.SpanID || child.TraceID != parent.TraceID:
		return []result{{false, text + fmt.Sprintf("WRONG parent %s in trace %s by %v, want %s in %s",
			child.ParentID, child.TraceID, shown, parent.SpanID, parent.TraceID)}}
	case shown != evidence:
		return []result{{false, text + fmt.Sprintf("right parent, but by %v, want %s", shown, evidence)}}
	case child.Start.Before(parent.Start):
		return []result{{false, text + fmt.Sprintf("starts %v before its parent", parent.Start.Sub(child.Start))}}
	case !c.claims[claim]:
		return []result{{false, text + fmt.Sprintf("right parent by %s: better than the table says", evidence)}}
	}
	return []result{{true, text + "right parent by " + evidence}}
}
