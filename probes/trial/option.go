package trial

// optionChecks are those of trial TCP. An option leaves the stream as it is, so
// every head must arrive untouched; what it may spoil is the cutting of the
// stream into segments. Whether the option arrived is seen in the kernel only,
// by Setting.Check.
var optionChecks = []check{
	{"requests", (*bench).manyRequests},
	{"bodies", (*bench).manyBodies},
	{"connections", (*bench).manyConnections},
	{"half-close", func(b *bench) error { return b.onAny(func(p *pair) error { return p.halfClose(untouched) }) }},
}

// onAny carries out a check on a new connection.
func (b *bench) onAny(check func(p *pair) error) error {
	p, err := b.connect()
	if err != nil {
		return err
	}
	defer p.close()
	return check(p)
}

// manyRequests keeps one connection busy.
func (b *bench) manyRequests() error {
	return b.onAny(func(p *pair) error { return p.brisk(50, acknowledged, get("requests"), untouched) })
}

// manyBodies sends large bodies: segments that leave no room for the option do
// not get through at once, but by a retransmission.
func (b *bench) manyBodies() error {
	body := noise(bodySize)
	return b.onAny(func(p *pair) error {
		_, err := p.exchange(post("bodies", body), untouched)
		if err != nil {
			return err
		}
		return p.brisk(5, retransmitted, post("bodies", body[:bodySize/10]), untouched)
	})
}

// manyConnections sends one request each on new connections.
func (b *bench) manyConnections() error {
	for range 10 {
		err := b.onAny(func(p *pair) error {
			if _, err := p.exchange(get("connections"), untouched); err != nil {
				return err
			}
			return p.finish()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
