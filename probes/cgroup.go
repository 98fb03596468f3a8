package probes

import (
	"sync"

	"github.com/cilium/ebpf"

	"github.com/clewtrace/clew/probes/discover"
)

// maxCgroups bounds the paths remembered, as the kernel's map does its ids.
const maxCgroups = 1024

// cgroupWatch tells the kernel which cgroups the rules choose, so that what
// starts there is watched from its first instruction on. User space comes a
// millisecond later, and a process may have sent its only request by then.
type cgroupWatch struct {
	ids *ebpf.Map

	mu    sync.Mutex
	known map[string]bool
}

// add enters a process's cgroup. Paths below the hierarchies of version 1 are
// among them, and have no id that counts here.
func (c *cgroupWatch) add(paths []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range paths {
		if c.known[path] {
			return
		}
		id, err := discover.CgroupID(path)
		if err != nil {
			continue
		}
		if len(c.known) >= maxCgroups {
			return // user space finds the processes all the same
		}
		c.known[path] = true
		_ = c.ids.Put(id, uint8(1)) // full: likewise
		return
	}
}
