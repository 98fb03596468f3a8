package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/probes"
)

// finding is one thing that the doctor looked at.
type finding struct {
	name     string
	ok       bool
	required bool // without it nothing can be traced
	detail   string
	fix      string // what somebody can do, when not ok
}

// doctor prints what this node can do and returns the exit code: 1 when
// tracing cannot work.
func doctor(w io.Writer) int {
	findings := examine()
	width, works := 0, true
	for _, f := range findings {
		width = max(width, len(f.name))
		works = works && (f.ok || !f.required)
	}
	fmt.Fprintf(w, "clew %s\n\n", version)
	for _, f := range findings {
		word := "yes"
		if !f.ok {
			word = "no"
		}
		fmt.Fprintf(w, "%-3s  %-*s  %s\n", word, width, f.name, f.detail)
		if !f.ok && f.fix != "" {
			fmt.Fprintf(w, "%-3s  %-*s  fix: %s\n", "", width, "", f.fix)
		}
	}
	if !works {
		fmt.Fprintln(w, "\nClew cannot trace here, for the reasons above.")
		return exitEnvironment
	}
	fmt.Fprintln(w, "\nClew can trace here.")
	return exitOK
}

// examine looks at everything, whatever the privileges: what cannot be looked
// at is said to be so.
func examine() []finding {
	findings := []finding{kernel(), btf(), pidNamespace(), lockdown(), cgroups()}
	held, err := effectiveCapabilities()
	missing := 0
	for _, c := range capabilities {
		f := c.find(held, err)
		if !f.ok && f.required {
			missing++
		}
		findings = append(findings, f)
	}
	if missing > 0 {
		return append(findings, finding{name: "hooks",
			detail: "not tried: that takes the capabilities above", fix: "run clew doctor as root"})
	}
	return append(findings, hooks(probes.Survey())...)
}

// hooks judges what the survey of the kernel side found: one family of hooks is
// enough, and events of processes are needed besides.
func hooks(features []probes.Feature) []finding {
	const prefix, processEvents = "hooks: ", "hooks: process events"
	findings := make([]finding, 0, len(features)+1)
	family := false
	for _, f := range features {
		findings = append(findings, finding{name: f.Name, ok: f.OK, detail: f.Detail, fix: f.Fix,
			required: f.Name == processEvents})
		family = family || f.OK && strings.HasPrefix(f.Name, prefix) && f.Name != processEvents
	}
	if !family {
		findings = append(findings, finding{name: "a family of hooks", required: true,
			detail: "none attaches", fix: "see the reasons of the three families"})
	}
	return findings
}

// environment says in one error why nothing can be traced here, or nil. It
// looks at the few things that can be known without loading a program.
func environment() error {
	held, err := effectiveCapabilities()
	findings := []finding{kernel(), btf()}
	for _, c := range capabilities {
		findings = append(findings, c.find(held, err))
	}
	var missing []string
	for _, f := range findings {
		if f.required && !f.ok {
			missing = append(missing, fmt.Sprintf("%s: %s; %s", f.name, f.detail, f.fix))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("this node lacks what tracing needs (clew doctor says more):\n  %s", strings.Join(missing, "\n  "))
}

func kernel() finding {
	f := finding{name: "kernel", required: true, fix: "Linux 5.15 or newer on amd64 or arm64 is needed"}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		f.detail = "uname: " + err.Error()
		return f
	}
	release := unix.ByteSliceToString(name.Release[:])
	f.detail = "Linux " + release + ", " + runtime.GOARCH
	f.ok = atLeast(release, 5, 15)
	return f
}

// atLeast compares a kernel release such as 6.1.0-44-cloud-amd64. Vendor
// kernels carry backports, but BTF and the ring buffer are looked at besides.
func atLeast(release string, major, minor int) bool {
	var have [2]int
	for i, part := range strings.SplitN(release, ".", 3) {
		if i == len(have) {
			break
		}
		digits := strings.IndexFunc(part+" ", func(r rune) bool { return r < '0' || r > '9' })
		have[i], _ = strconv.Atoi(part[:digits]) // "" is 0
	}
	return have[0] > major || have[0] == major && have[1] >= minor
}

const btfPath = "/sys/kernel/btf/vmlinux"

func btf() finding {
	f := finding{name: "BTF", ok: true, required: true, detail: btfPath,
		fix: "take a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions do, or mount /sys"}
	file, err := os.Open(btfPath)
	if err != nil {
		f.ok, f.detail = false, err.Error()
		return f
	}
	_ = file.Close() // nothing was written
	return f
}

// initialPIDNamespace is the inode that every kernel gives its first one.
const initialPIDNamespace = "pid:[4026531836]"

func pidNamespace() finding {
	f := finding{name: "host pid namespace", required: true,
		fix: "start the container in the host's pid namespace: hostPID: true, or --pid=host"}
	link, err := os.Readlink("/proc/self/ns/pid")
	switch {
	case err != nil:
		f.detail = err.Error()
	case link != initialPIDNamespace:
		f.detail = "the kernel names processes by numbers that this namespace does not know"
	default:
		f.ok, f.detail = true, "processes have the numbers that the kernel gives them"
	}
	return f
}

func lockdown() finding {
	f := finding{name: "lockdown", ok: true, required: true}
	text, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		// Mounting securityfs to see is more than a doctor may do.
		f.detail = "unknown, only confidentiality would matter: " + err.Error()
		return f
	}
	_, mode, _ := strings.Cut(string(text), "[")
	mode, _, _ = strings.Cut(mode, "]")
	f.detail = mode
	if mode == "confidentiality" {
		f.ok, f.detail = false, "confidentiality: BPF may not read kernel memory"
		f.fix = "boot with lockdown=integrity or none"
	}
	return f
}

func cgroups() finding {
	f := finding{name: "cgroups", ok: true}
	switch {
	case exists("/sys/fs/cgroup/cgroup.controllers"):
		f.detail = "version 2"
	case exists("/sys/fs/cgroup/unified/cgroup.controllers"):
		f.detail = "versions 1 and 2 together"
	case exists("/sys/fs/cgroup/memory"):
		f.detail = "version 1"
	default:
		f.ok, f.detail = false, "none mounted at /sys/fs/cgroup: container ids still come from /proc"
	}
	return f
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
