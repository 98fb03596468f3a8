package protocol

import "time"

// response pairs the responses that a message holds, as a rule one, with the
// oldest requests that wait.
func (s *Conversations) response(v *conversation, m *Message) {
	if before := v.begun(); before != nil {
		// It has ended, or this could not have begun.
		s.void(before, endUnseen)
		s.turned(v, before)
	}
	for data, extra := m.Head, false; ; extra = true {
		c := v.find(m)
		if c == nil {
			s.stray(v)
			return
		}
		how, whole, ok := c.dialect.ending(c.request.Head, data)
		size := uint64(len(data))
		if !ok {
			s.void(c, malformed)
		} else if extra && (whole == 0 || whole > size) {
			s.void(c, endUnseen) // nobody follows it to its end
			ok = false
		}
		if !ok {
			s.turned(v, c)
			s.hiddenAnswers(v, m)
			return
		}
		more := whole > 0 && whole < size
		if more {
			size = whole
		}
		s.answer(v, c, m, data[:size], how, m.Complete || more || extra)
		if !more {
			if whole > 0 && m.Truncated && !m.Rescued {
				// A head that fits is cut only when others follow it.
				s.hiddenAnswers(v, m)
			}
			return
		}
		data = data[whole:]
	}
}

// hiddenAnswers gives up what waits when a message holds responses that can't be
// made out, of which there may be any number.
func (s *Conversations) hiddenAnswers(v *conversation, m *Message) {
	if m.Truncated {
		s.flush(v, unpaired)
	}
	s.distrust(v)
}

// answer gives a call its response.
func (s *Conversations) answer(v *conversation, c *call, m *Message, head []byte, how ending, complete bool) {
	c.ending = how
	if how == endHere && !c.void {
		v.opaque, complete = true, true
	}
	c.setResponse(m, head)
	if complete {
		s.finish(c, m.Last)
		s.turned(v, c)
	}
}

// stray counts a response to a request that was not seen. Unless a lost record
// explains it, others may come.
func (s *Conversations) stray(v *conversation) {
	if v.opaque {
		return
	}
	s.counters.add(stray)
	if !v.settling {
		s.distrust(v)
	}
}

// end takes the end of the response that was announced before.
func (s *Conversations) end(v *conversation, m *Message) {
	c := v.begun()
	if c == nil {
		return // of a response that was counted, or announced in a lost record
	}
	s.finish(c, m.Last)
	s.turned(v, c)
}

// close ends whatever is pending, and the conversation.
func (s *Conversations) close(v *conversation, m *Message) {
	for v.first != nil {
		c := v.first
		switch {
		case !c.answered() && v.pipelines:
			s.void(c, unpaired) // it may have been answered in a way that was not seen
		case !c.answered():
			c.failure = errorClosed
		case c.ending == endFramed:
			c.failure = errorIncomplete
		}
		s.finish(c, m.Last)
		s.release(v, c)
	}
	if v.link != nil {
		v.link.closed(m.Last)
	}
	delete(s.table, m.Connection)
}

// turned takes out a call whose response has ended.
func (s *Conversations) turned(v *conversation, c *call) {
	if v.depth == 1 && v.serial < serialEnough {
		v.serial++
	}
	s.release(v, c)
}

// finish hands an exchange on, once.
func (s *Conversations) finish(c *call, end time.Time) {
	if c.void {
		return
	}
	c.void = true
	r := &c.request
	x := &s.exchange
	*x = Exchange{
		PID: r.PID, TID: r.TID, Role: r.Role,
		Start: r.First, End: end,
		Trace:     r.Trace,
		Endpoints: r.Endpoints,
		Protocol:  c.dialect.name,
	}
	if c.answered() {
		x.FirstByte = c.response.First
	}
	if x.End.Before(x.Start) {
		x.End = x.Start
	}
	if !c.dialect.describe(&s.describe, c, x) {
		s.counters.add(malformed)
		return
	}
	if c.failure == errorTimeout {
		s.counters.add(expired)
	} else {
		s.counters.add(kept)
	}
	s.options.Emit(x)
}

// Expire gives up what waited too long, by the clock that stamps the messages.
// It is to be called every few seconds.
func (s *Conversations) Expire(now time.Time) {
	l := s.options.Limits
	for id, v := range s.table {
		if v.link != nil {
			v.link.expire(now)
			if v.link.depth == 0 && now.Sub(v.active) > l.Stream {
				delete(s.table, id)
			}
			continue
		}
		if v.first == nil {
			// One that lost records must remember how many, or it would be
			// doubted again at its next request.
			if v.lost == 0 && now.Sub(v.active) > l.Idle {
				delete(s.table, id)
			}
			continue
		}
		for c := v.first; c != nil; c = c.next {
			switch {
			case c.void:
			case !c.answered() && now.Sub(c.request.First) > l.Patience:
				if v.pipelines {
					s.void(c, unpaired)
					continue
				}
				c.failure = errorTimeout
				s.finish(c, now) // it stays, void: its response may still come
			case c.answered() && now.Sub(c.response.First) > l.Stream:
				s.void(c, endUnseen)
			}
		}
		if now.Sub(v.active) > l.Stream {
			s.flush(v, endUnseen)
			delete(s.table, id)
		}
	}
}
