package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/clewtrace/clew/test/integrity"
	"github.com/clewtrace/clew/test/rig"
)

// TestIntegrityInBadWeather is TestIntegrity between two hosts, with an agent
// each, whose packets get lost, late, out of order and double.
func TestIntegrityInBadWeather(t *testing.T) {
	scene := openScene(t)
	hosts, err := scene.Hosts(2)
	if err != nil {
		t.Fatal(err)
	}
	weather := connectLines(t, hosts)
	b, err := newSenderRig(t.Context(), scene.Dir, "weather", hosts[0], hosts[1], "192.168.77.2:8080")
	if err != nil {
		t.Fatal(err)
	}
	c := newComparison(t, b, hosts[0], integrityRequests(t)/4) // it takes more time
	c.baseline()
	far := c.watch(scene, "CLEW_TARGETS="+hosts[1].Target())
	near := c.watch(scene, "CLEW_TARGETS="+hosts[0].Target())
	before := c.metrics(t, far)
	c.compare(near, true)
	t.Logf("of the packets, %d passed, %d were lost, %d late, %d double", weather.Passed.Load(), weather.Lost.Load(), weather.Late.Load(), weather.Twice.Load())
	t.Logf("the agent at the other end counts: %s", explain(before, c.metrics(t, far)))
	if weather.Lost.Load() == 0 || weather.Late.Load() == 0 {
		t.Error("the weather was fine")
	}
	if err := far.Stop(); err != nil {
		t.Errorf("%v\n%s", err, tail(far.Errors(), 8<<10))
	}
}

// connectLines gives each host a line to the other: 192.168.77.1 and .2.
func connectLines(t *testing.T, hosts []*rig.Host) *integrity.Weather {
	t.Helper()
	lines := make([]*os.File, len(hosts))
	for i, host := range hosts {
		err := host.Within(func() (err error) {
			if lines[i], err = integrity.OpenLine("line0"); err != nil {
				return err
			}
			ip := exec.Command("ip", "-batch", "-")
			ip.Stdin = bytes.NewReader(fmt.Appendf(nil, "address add 192.168.77.%d/24 dev line0\nlink set line0 up\n", i+1))
			if output, err := ip.CombinedOutput(); err != nil {
				return fmt.Errorf("configure a line: %w\n%s", err, output)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	weather := new(integrity.Weather)
	for i, line := range lines {
		go weather.Blow(line, lines[1-i], integrity.Random("weather", line.Name()+fmt.Sprint(i)))
		t.Cleanup(func() { line.Close() })
	}
	return weather
}
