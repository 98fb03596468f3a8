package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mounts make the guest look to the agent like a node.
var mounts = []struct{ kind, target string }{
	{"proc", "/proc"},
	{"sysfs", "/sys"},
	{"devtmpfs", "/dev"},
	{"tmpfs", "/tmp"},
	{"tmpfs", "/run"},
	{"cgroup2", "/sys/fs/cgroup"},
	{"bpf", "/sys/fs/bpf"},
	{"securityfs", "/sys/kernel/security"},
	{"debugfs", "/sys/kernel/debug"},
	{"tracefs", "/sys/kernel/tracing"},
}

// reporter prints results on the console. Lines begin with a word of the host's
// choice, so that nothing else that is printed there can pass for one.
type reporter struct {
	nonce string
	total int
}

// report prints one result of a cell.
func (r *reporter) report(c cell, res result) {
	verdict := "FAIL"
	if res.ok {
		verdict = "ok"
	}
	r.total++
	fmt.Printf("\n%s %s %s %s %s\n", r.nonce, verdict, c.series, c.hooks, res.text)
}

// runInit is process 1. Whatever happens, the machine goes down at its end, and
// says how many results it printed before.
func runInit() {
	defer func() {
		time.Sleep(100 * time.Millisecond) // for the serial line
		// -no-reboot makes QEMU exit.
		if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
			fmt.Println("guest: reboot:", err)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			fmt.Println("guest: panic:", p)
		}
	}()
	if err := setUp(); err != nil {
		fmt.Println("guest:", err)
		return
	}
	nonce, series, err := parameters()
	if err != nil {
		fmt.Println("guest:", err)
		return
	}
	out := &reporter{nonce: nonce}
	if err := runSeries(series, out); err != nil {
		fmt.Println("guest:", err)
		return
	}
	fmt.Printf("\n%s done %d\n", nonce, out.total)
}

// runSeries runs every cell of this kernel, one after the other; of "6.12/kprobe"
// that one.
func runSeries(series string, out *reporter) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	series, hooks, chosen := strings.Cut(series, "/")
	version, _, _ := strings.Cut(series, "-") // "6.12-arm64"
	if release := unix.ByteSliceToString(name.Release[:]); !strings.HasPrefix(release, version+".") {
		return fmt.Errorf("this kernel is %s, not of series %s", release, series)
	}
	text, err := os.ReadFile("/etc/matrix.txt")
	if err != nil {
		return err
	}
	cells, err := parseMatrix(string(text))
	if err != nil {
		return err
	}
	for _, c := range cells {
		if c.series == series && (!chosen || c.hooks == hooks) {
			fmt.Printf("\nagent| === Linux %s, CLEW_HOOKS=%s\n", c.series, c.hooks)
			for _, res := range runCell(c) {
				out.report(c, res)
			}
			if c.claims["loads"] {
				for _, res := range append(runOutward(c), nothingLeft()) {
					out.report(c, res)
				}
			}
		}
	}
	return nil
}

// setUp mounts what the agent looks at and brings the loopback interface up.
func setUp() error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		err := unix.Mount(m.kind, m.target, m.kind, 0, "")
		if err != nil && !errors.Is(err, unix.EBUSY) { // the kernel may have mounted /dev itself
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// parameters reads what the host put on the kernel's command line.
func parameters() (nonce, series string, err error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", "", err
	}
	for _, field := range bytes.Fields(line) {
		if value, ok := bytes.CutPrefix(field, []byte("clew.nonce=")); ok {
			nonce = string(value)
		}
		if value, ok := bytes.CutPrefix(field, []byte("clew.series=")); ok {
			series = string(value)
		}
	}
	if nonce == "" || series == "" {
		return "", "", fmt.Errorf("no clew.nonce and clew.series on the command line %q", line)
	}
	return nonce, series, nil
}
