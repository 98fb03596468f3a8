package main

import (
	"golang.org/x/sys/unix"
)

// capability is one privilege that the agent uses, and what for.
type capability struct {
	name     string
	bit      int
	instead  int // a wider capability that includes it; -1 for none
	required bool
	purpose  string
	without  string // what is lost without an optional one
}

// unnamed is what is lost of processes that cannot be looked into.
const unnamed = "processes of other users may be missed or go without a name"

// capabilities is everything the agent uses; deploy/daemonset.yaml asks for
// these and no others.
var capabilities = []capability{
	{"CAP_BPF", unix.CAP_BPF, unix.CAP_SYS_ADMIN, true, "load BPF programs and maps", ""},
	{"CAP_PERFMON", unix.CAP_PERFMON, unix.CAP_SYS_ADMIN, true, "attach them to kernel hooks and read what programs send", ""},
	{"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE, -1, false, "look into processes of other users: executable, environment, memory maps", unnamed},
	{"CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH, -1, false, "open what only its owner may read: environment, open files, executable", unnamed},
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, -1, false, "headers and tcp propagation: attach to the sockets of cgroups", "traces end at the border of this node"},
}

// absent returns those of the optional capabilities that the agent lacks and that
// its configuration has use for.
func absent(c config) []capability {
	held, err := effectiveCapabilities()
	var lacking []capability
	for _, one := range capabilities {
		idle := one.bit == unix.CAP_NET_ADMIN && !c.propagation.Outward()
		if !one.required && !idle && !one.find(held, err).ok {
			lacking = append(lacking, one)
		}
	}
	return lacking
}

// find says whether the agent holds the capability.
func (c capability) find(held uint64, err error) finding {
	f := finding{name: c.name, required: c.required, detail: c.purpose,
		fix: "run as root, or give the container " + c.name}
	if err != nil {
		f.detail = "capget: " + err.Error()
		return f
	}
	f.ok = held&(1<<c.bit) != 0 || c.instead >= 0 && held&(1<<c.instead) != 0
	return f
}

// effectiveCapabilities returns the capabilities in force, one a bit.
func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // version 3 fills two
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, err
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32, nil
}
