package discover

import "github.com/clewtrace/clew/probes/discover/proc"

// Listens says whether a process accepts TCP connections. It reads the sockets
// of the process's network namespace, so it is to be asked seldom; a process
// that is gone, or cannot be read in time, counts as one that does not.
func (i *Inspector) Listens(pid uint32) bool {
	ports, ok := proc.Within(i.guard, func() []uint16 {
		p, err := i.fs.Open(pid)
		if err != nil {
			return nil
		}
		defer p.Close()
		ports, err := (&proc.Listeners{}).Ports(p)
		if err != nil {
			return nil
		}
		return ports
	})
	return ok && len(ports) > 0
}
