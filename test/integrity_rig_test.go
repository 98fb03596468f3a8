package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/test/integrity"
	"github.com/clewtrace/clew/test/rig"
)

// senderRig is where the clients of the test of integrity work: their programs, the
// pool of bodies, and the server that records.
type senderRig struct {
	sources string // directory of the clients
	built   string // directory of what is built
	seed    string
	bytes   []byte // of the pool
	server  string // host:port
	records string // file

	read    int64   // how much of the records has been read
	place   station // of the clients
	control *http.Client
	ports   map[string]int // of the proxies, which are in some requests' heads

	agent *rig.Agent // nil without one
}

// station is where programs are started: a scene or a host.
type station interface {
	Start(rig.Command) (*rig.Process, error)
}

func (b *senderRig) pool() string { return filepath.Join(b.built, "pool") }

// newSenderRig builds everything in a directory and starts the server.
func newSenderRig(ctx context.Context, dir, seed string, clients, servers station, address string) (*senderRig, error) {
	root, err := rig.Root()
	if err != nil {
		return nil, err
	}
	b := &senderRig{
		sources: filepath.Join(root, "test", "integrity"), built: dir, seed: seed, bytes: integrity.Pool(seed),
		server: address, records: filepath.Join(dir, "records"), place: clients,
		ports:   make(map[string]int),
		control: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if err := errors.Join(b.build(), os.WriteFile(b.pool(), b.bytes, 0o644)); err != nil {
		return nil, err
	}
	server, err := servers.Start(rig.Command{
		Name: "server", Path: filepath.Join(dir, "server"), Args: []string{address, seed, b.records},
	})
	if err != nil {
		return nil, err
	}
	if host, ok := clients.(*rig.Host); ok {
		b.control.Transport = &http.Transport{DisableKeepAlives: true, DialContext: host.DialContext}
		return b, host.Listening(ctx, server, address)
	}
	return b, rig.Listening(ctx, server, "tcp", address)
}

// run has a client make its requests and returns all that is known of them. What
// a run leaves behind it removes.
func (b *senderRig) run(ctx context.Context, s *sender, outside station, id string, count int) (run integrity.Run, err error) {
	j := &job{sender: s, senderRig: b, id: id, count: count, address: b.server}
	if j.dir, err = os.MkdirTemp(b.built, s.name+"-"); err != nil {
		return run, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(j.dir)
	where := b.place
	if s.proxy != nil {
		proxy, err := b.startProxy(ctx, j)
		if err != nil {
			return run, err
		}
		// Only asked to end does nginx take its workers along.
		defer func() { err = errors.Join(err, proxy.Stop()) }()
		if !s.chained {
			where = outside
		}
	}
	if run.Wants, err = j.wants(); err != nil {
		return run, err
	}
	command, err := s.command(j)
	if err != nil {
		return run, err
	}
	command.Name, j.printed = s.name, filepath.Join(j.dir, "printed")
	if command.Stdout, err = os.Create(j.printed); err != nil {
		return run, fmt.Errorf("make a file: %w", err)
	}
	defer command.Stdout.Close()
	process, err := b.start(ctx, j, where, command)
	if err != nil {
		return run, err
	}
	stuck := attend(process, j.printed)
	if run.Outcomes, err = j.tell(); err != nil {
		return run, fmt.Errorf("%w\n%s", err, tail(process.Errors(), 2000))
	}
	if stuck {
		process.Kill()
	} else if err := process.Wait(); err != nil && s.outcomes == nil { // curl's status is that of a request
		return run, err
	}
	run.Anywhere = s.chained
	run.Records, err = b.arrived(ctx)
	return run, err
}

// start starts a client, and lets it through its gate when the agent watches it.
func (b *senderRig) start(ctx context.Context, j *job, where station, command rig.Command) (*rig.Process, error) {
	if !j.gated || b.agent == nil {
		return where.Start(command)
	}
	gate := filepath.Join(j.dir, "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		return nil, fmt.Errorf("make a gate: %w", err)
	}
	command.Env = append(command.Env, "GATE="+gate)
	process, err := b.watched(ctx, where, command)
	if err != nil {
		return nil, err
	}
	return process, rig.Until(ctx, j.name+" at its gate", func(context.Context) error {
		file, err := os.OpenFile(gate, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open a gate: %w", err)
		}
		return file.Close()
	})
}

// watched starts a program and waits until the agent, if there is one, knows it.
func (b *senderRig) watched(ctx context.Context, where station, command rig.Command) (*rig.Process, error) {
	if b.agent == nil {
		return where.Start(command)
	}
	const watched = `clew_probes_seen_total{reason="process"}`
	before, err := b.agent.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	process, err := where.Start(command)
	if err != nil {
		return nil, err
	}
	return process, rig.Until(ctx, "the agent to know "+command.Name, func(ctx context.Context) error {
		now, err := b.agent.Metrics(ctx)
		if err == nil && now[watched] <= before[watched] {
			err = errors.New("it does not")
		}
		return err
	})
}

func (j *job) tell() ([]integrity.Outcome, error) {
	if j.outcomes != nil {
		return j.outcomes(j)
	}
	return integrity.ReadOutcomes(j.printed)
}

// wants computes what is to arrive, and writes the plan.
func (j *job) wants() ([]integrity.Want, error) {
	if !j.raw {
		plan := integrity.Plan(j.seed, j.id, j.count, j.traits)
		return integrity.Wants(plan, j.bytes), integrity.WritePlan(j.plan(), plan)
	}
	var wants []integrity.Want
	for _, burst := range integrity.Bursts(j.seed, j.id, j.count, j.bytes, j.ways...) {
		for _, r := range burst.Requests {
			wants = append(wants, r.Want)
		}
	}
	return wants, nil
}

// startProxy starts the client's proxy where the clients are.
func (b *senderRig) startProxy(ctx context.Context, j *job) (*rig.Process, error) {
	host, _, err := net.SplitHostPort(b.server)
	if err != nil {
		return nil, err
	}
	if b.ports[j.name] == 0 {
		if b.ports[j.name], err = rig.FreePort(); err != nil {
			return nil, err
		}
	}
	j.listen = net.JoinHostPort(host, fmt.Sprint(b.ports[j.name]))
	j.address = j.listen
	command, err := j.proxy(j)
	if err != nil {
		return nil, err
	}
	command.Name = command.Path
	process, err := b.watched(ctx, b.place, command)
	if err != nil {
		return nil, err
	}
	return process, rig.Listening(ctx, process, "tcp", j.listen)
}

// patience is how long a client may be silent: longer than the deadline that it
// has for a request itself.
const patience = 100 * time.Second

// attend waits until a client has ended, and says whether it was stuck.
func attend(p *rig.Process, printed string) (stuck bool) {
	last, since := int64(-1), time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.Done():
			return false
		case <-tick.C:
		}
		if info, err := os.Stat(printed); err == nil && info.Size() != last {
			last, since = info.Size(), time.Now()
		}
		if time.Since(since) > patience {
			return true
		}
	}
}

// arrived waits until the server has no request in work, and reads the records
// that are new.
func (b *senderRig) arrived(ctx context.Context) ([]integrity.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.server+"/idle", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	answer, err := b.control.Do(request)
	if err != nil {
		return nil, fmt.Errorf("wait until the server is idle: %w", err)
	}
	answer.Body.Close()
	file, err := os.Open(b.records)
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(b.read, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	var records []integrity.Record
	decoder := json.NewDecoder(file)
	for {
		var r integrity.Record
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the records: %w", err)
		}
		records = append(records, r)
	}
	b.read += decoder.InputOffset()
	return records, nil
}

// explain is what of the agent's counts has changed and tells of the header or
// the option.
func explain(before, after map[string]float64) string {
	var words []string
	for name, value := range after {
		if grown := value - before[name]; grown != 0 && (strings.Contains(name, `"inject`) || strings.Contains(name, `"option`)) {
			_, reason, _ := strings.Cut(name, `"`)
			words = append(words, fmt.Sprintf("%s +%v", strings.TrimSuffix(reason, `"}`), grown))
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
