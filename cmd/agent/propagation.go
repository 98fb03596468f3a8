package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/probes"
	"github.com/clewtrace/clew/probes/discover"
)

// setPropagation reads the value of CLEW_PROPAGATION:
//
//	RUNGS [; RULES -> RUNGS]...
//
// RUNGS is local, headers and tcp, separated by commas, or none. In the first
// ones a ! after headers or tcp forces the rung. RULES are those of CLEW_TARGETS,
// whose patterns can hold no semicolon here. Positions in errors are characters
// of the whole value, from 1.
func setPropagation(c *config, value string) error {
	var (
		wrong      problems
		exceptions []probes.Exception
		first, at  = true, 0
	)
	for part := range strings.SplitSeq(value, ";") {
		if first {
			rungs, forced, err := parseRungs(part, at, true)
			wrong.add("", err)
			c.propagation.Rungs, c.propagation.Forced = rungs, forced
		} else {
			exception, err := parseException(part, at)
			exceptions = append(exceptions, exception)
			wrong.add(fmt.Sprintf("exception %d: ", len(exceptions)), err)
		}
		first, at = false, at+len(part)+1
	}
	c.propagation.Exceptions = exceptions
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// begin is the position, from 1, where a text begins that stands at character at
// of a value, counted from 0, blanks left out.
func begin(text string, at int) int {
	word := strings.TrimSpace(text)
	if word == "" {
		return at + 1
	}
	return at + strings.Index(text, word) + 1
}

// parseException reads RULES -> RUNGS, which stands at character at of the value,
// counted from 0.
func parseException(text string, at int) (probes.Exception, error) {
	if strings.TrimSpace(text) == "" {
		return probes.Exception{}, fmt.Errorf("at character %d: it is empty", begin(text, at))
	}
	// The last one, since a pattern may hold this, and rungs do not.
	arrow := strings.LastIndex(text, "->")
	if arrow < 0 {
		return probes.Exception{}, fmt.Errorf("at character %d: want RULES -> RUNGS", begin(text, at))
	}
	var rulesErr error
	var rules discover.Rules
	if strings.TrimSpace(text[:arrow]) == "" {
		rulesErr = fmt.Errorf("at character %d: it names no process; what stands before the first ; is for all others", begin(text, at))
	} else {
		// Blanks before a rule mean nothing, and put the positions right.
		rules, rulesErr = discover.ParseRules(strings.Repeat(" ", at) + text[:arrow])
	}
	after := arrow + len("->")
	rungs, _, err := parseRungs(text[after:], at+after, false)
	return probes.Exception{Rules: rules, Rungs: rungs}, errors.Join(rulesErr, err)
}

// parseRungs reads RUNGS, which stand at character at of the value, counted from
// 0, and returns all of them and those forced.
func parseRungs(text string, at int, mayForce bool) (all, forced probes.Rungs, err error) {
	var wrong []error
	start, named, none := begin(text, at), 0, false
	for element := range strings.SplitSeq(text, ",") {
		name := strings.TrimSpace(element)
		position := begin(element, at)
		at += len(element) + 1
		if name == "" {
			continue
		}
		named++
		if name == "none" {
			none = true
			continue
		}
		rung, force, err := parseRung(name, mayForce)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("at character %d: %w", position, err))
			continue
		}
		all |= rung
		if force {
			forced |= rung
		}
	}
	switch {
	case named == 0:
		wrong = append(wrong, fmt.Errorf("at character %d: no rung is named; none stands for no rung", start))
	case none && named > 1:
		wrong = append(wrong, fmt.Errorf("at character %d: none stands alone", start))
	}
	return all, forced, errors.Join(wrong...)
}

// parseRung reads one rung, with ! behind it if it is forced.
func parseRung(text string, mayForce bool) (rung probes.Rungs, force bool, err error) {
	name, force := strings.CutSuffix(text, "!")
	rung, ok := probes.ParseRung(strings.TrimSpace(name))
	switch {
	case name == "tls":
		err = errors.New("tls is not supported by this version, which sees no requests under TLS")
	case !ok:
		err = fmt.Errorf("%q is not one of local, headers, tcp, none", text)
	case force && rung == probes.RungLocal:
		err = errors.New("local cannot be forced: it has its hook, or has not")
	case force && !mayForce:
		err = fmt.Errorf("%q: an exception cannot force a rung; that is done before the first ;", text)
	}
	return rung, force, err
}

// privatePeers are the addresses that no router of the internet forwards, as
// private, link-local and carrier networks use them (RFC 1918, 3927, 6598, 4193,
// 4291). Loopback is not among them: what stays on this host needs no option.
var privatePeers = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
}

// maxPeers is the room in the kernel's table of peers.
const maxPeers = 1024

// setPeers reads the value of CLEW_TCP_OPTION_PEERS: prefixes and addresses, or
// none.
func setPeers(c *config, value string) error {
	var peers []netip.Prefix
	var wrong []error
	texts := list(value)
	for _, text := range texts {
		if text == "none" {
			continue
		}
		peer, err := parsePeer(text)
		if err != nil {
			wrong = append(wrong, err)
		} else if !slices.Contains(peers, peer) {
			peers = append(peers, peer)
		}
	}
	switch {
	case len(texts) == 0:
		wrong = append(wrong, errors.New("no host is named; none stands for nobody"))
	case len(texts) > 1 && slices.Contains(texts, "none"):
		wrong = append(wrong, errors.New("none stands alone"))
	case len(peers) > maxPeers:
		wrong = append(wrong, fmt.Errorf("%d ranges are more than %d", len(peers), maxPeers))
	}
	if len(wrong) == 0 {
		c.propagation.Peers = peers
	}
	return errors.Join(wrong...)
}

// parsePeer reads a prefix or an address, without the bits that do not count. IPv4
// in the form of IPv6 (::ffff:10.0.0.1) is IPv4.
func parsePeer(text string) (netip.Prefix, error) {
	peer, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%q is not an address, or a range such as 10.0.0.0/8", text)
		}
		if address.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q: an address with a zone is not supported", text)
		}
		peer = netip.PrefixFrom(address, address.BitLen())
	}
	const mapped = 96 // bits before the IPv4 address
	if peer.Addr().Is4In6() && peer.Bits() >= mapped {
		peer = netip.PrefixFrom(peer.Addr().Unmap(), peer.Bits()-mapped)
	}
	return peer.Masked(), nil
}

// setPropagators reads the value of OTEL_PROPAGATORS.
func setPropagators(c *config, value string) error {
	const known = "tracecontext, b3, b3multi, baggage, none"
	var formats traceparent.Propagator
	var wrong []error
	names := list(value)
	for _, name := range names {
		switch name {
		case "tracecontext":
			formats |= traceparent.TraceContext
		case "b3":
			formats |= traceparent.B3
		case "b3multi":
			formats |= traceparent.B3Multi
		case "baggage", "none": // the programs themselves pass baggage on
		case "jaeger", "xray", "ottrace":
			wrong = append(wrong, fmt.Errorf("%s is not supported by this version; supported are %s", name, known))
		default:
			wrong = append(wrong, fmt.Errorf("%q is not one of %s", name, known))
		}
	}
	switch {
	case len(names) == 0:
		wrong = append(wrong, errors.New("no format is named; none stands for no format"))
	case len(names) > 1 && slices.Contains(names, "none"):
		wrong = append(wrong, errors.New("none stands alone"))
	}
	if len(wrong) == 0 {
		c.propagation.Formats = formats
	}
	return errors.Join(wrong...)
}

// settlePropagation takes out the rungs that another variable makes useless. A
// rung that is forced is wanted for sure: then it is an error.
func settlePropagation(c *config) error {
	var wrong []error
	if !c.propagation.Formats.Has(traceparent.TraceContext) {
		wrong = append(wrong, leaveOut(c, probes.RungHeaders, "OTEL_PROPAGATORS does not name tracecontext, which is what it writes"))
	}
	if len(c.propagation.Peers) == 0 {
		wrong = append(wrong, leaveOut(c, probes.RungTCP, "CLEW_TCP_OPTION_PEERS is none"))
	}
	return errors.Join(wrong...)
}

func leaveOut(c *config, rung probes.Rungs, reason string) error {
	p := &c.propagation
	if p.Forced.Has(rung) {
		return fmt.Errorf("CLEW_PROPAGATION: %s! is not possible: %s", rung, reason)
	}
	used := p.Rungs.Has(rung)
	p.Rungs &^= rung
	for i := range p.Exceptions {
		used = used || p.Exceptions[i].Rungs.Has(rung)
		p.Exceptions[i].Rungs &^= rung
	}
	if used {
		c.remarks = append(c.remarks, fmt.Sprintf("propagation by %s is left out: %s", rung, reason))
	}
	return nil
}
