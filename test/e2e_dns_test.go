package test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lookups runs in a network and a mount namespace of its own: dnsmasq knows one
// name; dig and the C library ask for that and for others.
const lookups = `
set -eu
ip link set lo up
echo nameserver 127.0.0.1 > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts \
	--address=/found.test/127.0.0.1 --address=/found.test/::1 --local=/test/ &
trap 'kill $!; wait' EXIT
n=0
until dig +time=1 +tries=1 found.test >/dev/null; do
	n=$((n + 1))
	[ $n -lt 50 ]
	sleep 0.1
done
dig +tries=1 missing.test >/dev/null
dig +tries=1 +tcp missing-by-tcp.test >/dev/null
/usr/bin/python3 -c 'import socket
socket.getaddrinfo("found.test", 80)
try:
	socket.getaddrinfo("missing-by-libc.test", 80)
	raise SystemExit("found what is missing")
except socket.gaierror:
	pass'
`

// Lookups that fail become spans on both sides, over UDP and TCP, also when the two
// questions of the C library leave by one sendmmsg; quick ones that succeed do not.
func TestDNS(t *testing.T) {
	s := newStage(t)
	s.watch()
	script := filepath.Join(s.scene.Dir, "lookups.sh")
	if err := os.WriteFile(script, []byte(lookups), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := s.run("unshare", "--mount", "--net", "sh", script); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	got := map[string]int{}
	for _, span := range s.settle() {
		name := span.Attributes["dns.question.name"]
		got[strings.Join([]string{span.Kind, name, span.Attributes["error.type"]}, " ")]++
	}
	want := map[string]int{}
	for _, side := range []string{"client", "server"} {
		want[side+" missing.test NXDOMAIN"] = 1
		want[side+" missing-by-tcp.test NXDOMAIN"] = 1
		want[side+" missing-by-libc.test NXDOMAIN"] = 2 // for IPv4 and for IPv6
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
