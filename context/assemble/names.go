package assemble

import (
	"strings"
	"time"

	"github.com/clewtrace/clew/probes/protocol"
)

const (
	// nameLife is how long a name may go unused before a new one can take its
	// place in a service that has its fill.
	nameLife = time.Hour
	// nameSweep is how often a full service looks for such names.
	nameSweep = time.Minute
	// evictionSample is how many entries of a full table are compared to find
	// one that was not used for long. Maps are walked from a random place.
	evictionSample = 8
)

// names bounds the span names of each service, and keeps them so that spans
// share their strings.
type names struct {
	services map[string]*service
	targets  int // a service
	limit    int // of services
}

type service struct {
	names map[nameKey]*name
	used  time.Time
	swept time.Time
}

type nameKey struct{ operation, target string }

type name struct {
	full, target string
	used         time.Time
}

// get returns the name for an exchange of a service, or nil and why the target
// can't be part of it.
func (n *names) get(serviceName string, x *protocol.Exchange) (*name, outcome) {
	s := n.services[serviceName]
	if s == nil {
		s = n.open(serviceName)
	}
	s.used = x.End
	key := nameKey{x.Operation, x.Target}
	if found := s.names[key]; found != nil {
		found.used = x.End
		return found, kept
	}
	if x.Tentative {
		return nil, targetUnproved
	}
	if len(s.names) >= n.targets && !s.sweep(x.End) {
		return nil, targetDropped
	}
	// The texts of the exchange are cut from larger ones, which must not stay.
	key = nameKey{strings.Clone(x.Operation), strings.Clone(x.Target)}
	made := &name{full: key.operation + " " + key.target, target: key.target, used: x.End}
	s.names[key] = made
	return made, kept
}

// sweep removes names long unused and reports whether there is room.
func (s *service) sweep(now time.Time) bool {
	if now.Sub(s.swept) < nameSweep {
		return false
	}
	s.swept = now
	before := len(s.names)
	for key, name := range s.names {
		if now.Sub(name.used) > nameLife {
			delete(s.names, key)
		}
	}
	return len(s.names) < before
}

func (n *names) open(serviceName string) *service {
	if len(n.services) >= n.limit {
		var oldest string
		var used time.Time
		i := 0
		for key, s := range n.services {
			if i == 0 || s.used.Before(used) {
				oldest, used = key, s.used
			}
			if i++; i == evictionSample {
				break
			}
		}
		delete(n.services, oldest)
	}
	s := &service{names: map[nameKey]*name{}}
	n.services[serviceName] = s
	return s
}
