package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/test/integrity"
	"github.com/clewtrace/clew/test/rig"
)

// sender is a client of the test of integrity.
type sender struct {
	name   string
	needs  string // executable
	traits integrity.Traits
	raw    bool     // it makes bursts; otherwise it is given a plan
	ways   []string // to send, of a raw client; all if there are none
	slow   int      // it makes one request where others make so many
	doors  bool     // it needs a server with doors
	gated  bool     // it waits at a gate until the agent knows it: it is too quick
	floor  float64  // the least share of its requests that must carry the header

	command  func(j *job) (rig.Command, error)
	outcomes func(j *job) ([]integrity.Outcome, error) // nil reads what it printed

	// proxy is what it sends through, which then is the program whose requests
	// carry the header; the client itself is not watched unless chained is set.
	proxy   func(j *job) (rig.Command, error)
	chained bool
}

// job is one run of a client.
type job struct {
	*sender
	*senderRig
	id      string // of its requests: a prefix
	count   int
	dir     string
	address string // where it sends to
	printed string // file of its standard output

	listen string // of its proxy
}

// connections that a client uses at a time.
const integrityConnections = "4"

func (j *job) url() string  { return "http://" + j.address }
func (j *job) plan() string { return filepath.Join(j.dir, "plan") }

// source is a file of the directory integrity.
func (j *job) source(path ...string) string {
	return filepath.Join(append([]string{j.sources}, path...)...)
}

// interpreted is a client in a script that takes URL, plan, pool and connections.
func interpreted(path string, args ...string) func(*job) (rig.Command, error) {
	return func(j *job) (rig.Command, error) {
		all := []string{j.source(args[0])}
		all = append(append(all, args[1:]...), j.url(), j.plan(), j.pool(), integrityConnections)
		return rig.Command{Path: path, Args: all}, nil
	}
}

func javaSender(j *job) (rig.Command, error) {
	return rig.Command{Path: "java", Args: []string{
		"-cp", filepath.Join(j.built, "java"), "Client", j.url(), j.plan(), j.pool(), integrityConnections,
	}}, nil
}

func goSender(j *job) (rig.Command, error) {
	args := []string{j.url(), j.seed, j.id, strconv.Itoa(j.count), integrityConnections}
	return rig.Command{Path: filepath.Join(j.built, "goclient"), Args: append(args, j.traits.Words()...)}, nil
}

func rawSender(j *job) (rig.Command, error) {
	args := []string{j.address, j.seed, j.id, strconv.Itoa(j.count), integrityConnections}
	return rig.Command{Path: filepath.Join(j.built, "raw"), Args: append(args, j.ways...)}, nil
}

func nginxProxy(buffering string) func(*job) (rig.Command, error) {
	return func(j *job) (rig.Command, error) {
		// nginx asks FIONREAD whether there is more when an answer has filled a
		// buffer. Where that is wrong on sockets that carry headers, which is why
		// headers are forced there, answers must fit.
		size := "64k"
		if j.agent != nil && strings.Contains(j.agent.Errors(), "self-test fail") {
			size = "6m"
		}
		config, err := j.fill("nginx.conf", "BUFFERING", buffering, "BUFFER", size)
		return rig.Command{Path: "nginx", Args: []string{"-e", filepath.Join(j.dir, "error.log"), "-c", config}}, err
	}
}

func haproxyProxy(j *job) (rig.Command, error) {
	config, err := j.fill("haproxy.cfg")
	return rig.Command{Path: "haproxy", Args: []string{"-db", "-f", config}}, err
}

// fill writes the configuration of a proxy.
func (j *job) fill(name string, words ...string) (string, error) {
	text, err := os.ReadFile(j.source("proxies", name))
	if err != nil {
		return "", fmt.Errorf("configure a proxy: %w", err)
	}
	words = append(words, "DIRECTORY", j.dir, "LISTEN", j.listen, "SERVER", j.server)
	path := filepath.Join(j.dir, name)
	// The comment at the top speaks of the words in capitals.
	_, body, _ := strings.Cut(string(text), "\n")
	return path, os.WriteFile(path, []byte(strings.NewReplacer(words...).Replace(body)), 0o644)
}

const python = "/usr/bin/python3" // of the distribution, for whose packages the tests ask

// senders are all clients. What keeps requests from carrying the header, in the
// clients with a floor below 1: requests that follow an answer which closed the
// connection are sent on a new one, which is a member as soon as it is there; but
// heads that a library writes in pieces go without.
func senders() []*sender {
	late := integrity.Traits{Late: true}
	// nginx that does not wait for a body tells its length as it happens to know
	// it at that moment, unless it was told.
	through := integrity.Traits{Late: true, NoChunks: true}
	return []*sender{
		{name: "curl", needs: "curl", floor: 0.9, command: curlSender, outcomes: curlOutcomes},
		{name: "curls", needs: "curl", slow: 4, floor: 0.9, command: curlsSender, outcomes: curlOutcomes},
		{name: "requests", needs: python, floor: 0.9, command: interpreted(python, "python/client.py", "requests")},
		{name: "httpclient", needs: python, floor: 0.9, command: interpreted(python, "python/client.py", "http.client")},
		{name: "aiohttp", needs: python, floor: 0.9, command: interpreted(python, "python/client.py", "aiohttp"), traits: late},
		{name: "node", needs: "node", floor: 0.9, command: interpreted("node", "node/client.js", "http")},
		{name: "undici", needs: "node", floor: 0.9, command: interpreted("node", "node/client.js", "undici"), traits: integrity.Traits{NoExpect: true}},
		{name: "go", gated: true, floor: 0.9, command: goSender},
		{name: "java", needs: "java", floor: 0.9, command: javaSender},
		{name: "ruby", needs: "ruby", floor: 0.9, command: interpreted("ruby", "ruby/client.rb")},
		{name: "php", needs: "php", floor: 0.9, command: interpreted("php", "php/client.php")},
		{name: "raw", raw: true, gated: true, floor: 0.5, command: rawSender, ways: []string{"whole", "writev", "parts", "more", "<read", "<readv", "<poll"}},
		{name: "calls", raw: true, gated: true, command: rawSender},
		{name: "pieces", raw: true, slow: 4, gated: true, command: rawSender, ways: []string{"split", "bytes", "lines", "small"}},
		{name: "zerocopy", raw: true, slow: 4, gated: true, command: rawSender, ways: []string{"zerocopy", "whole"}},
		{name: "odd", raw: true, gated: true, doors: true, command: rawSender, ways: []string{integrity.Odd}},
		{name: "nginx", needs: "nginx", floor: 0.9, command: goSender, traits: late, proxy: nginxProxy("on")},
		{name: "nginx-through", needs: "nginx", floor: 0.9, command: goSender, traits: through, proxy: nginxProxy("off")},
		{name: "haproxy", needs: "haproxy", floor: 0.9, command: goSender, traits: late, proxy: haproxyProxy},
		{name: "go-nginx", needs: "nginx", floor: 0.9, command: goSender, traits: through, proxy: nginxProxy("off"), chained: true, gated: true},
	}
}

// build makes the programs of all clients.
func (b *senderRig) build() error {
	for _, name := range []string{"server", "goclient", "raw"} {
		if err := rig.GoBuild(filepath.Join(b.sources, name), filepath.Join(b.built, name), "."); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath("javac"); err == nil {
		compile := exec.Command("javac", "-d", filepath.Join(b.built, "java"), filepath.Join(b.sources, "java", "Client.java"))
		if output, err := compile.CombinedOutput(); err != nil {
			return fmt.Errorf("compile the java client: %w\n%s", err, output)
		}
	}
	if _, err := os.Stat(filepath.Join(b.sources, "node", "node_modules", "undici")); errors.Is(err, os.ErrNotExist) {
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		install.Dir = filepath.Join(b.sources, "node")
		if output, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("install undici: %w\n%s", err, output)
		}
	}
	return nil
}

// curlConfig writes what curl is to do for a request.
func (j *job) curlConfig(w *strings.Builder, q integrity.Request) error {
	quote := func(name, value string) {
		fmt.Fprintf(w, "%s = \"%s\"\n", name, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
	}
	w.WriteString("silent\ngloboff\npath-as-is\nmax-time = 60\nexpect100-timeout = 60\n")
	quote("noproxy", "*")
	quote("url", j.url()+q.Target)
	quote("output", filepath.Join(j.dir, q.ID+".got"))
	quote("write-out", q.ID+`\t%{http_code}\t%{exitcode}\t%{errormsg}\n`)
	if q.Method == "HEAD" {
		w.WriteString("head\n")
	} else {
		quote("request", q.Method)
	}
	for _, header := range q.Headers {
		quote("header", header[0]+": "+header[1])
	}
	if q.Close {
		quote("header", "Connection: close")
	}
	if q.Expect {
		quote("header", "Expect: 100-continue")
	} else {
		quote("header", "Expect:")
	}
	if q.Framing == integrity.None {
		return nil
	}
	if q.Framing == integrity.Chunks {
		quote("header", "Transfer-Encoding: chunked")
	}
	body := filepath.Join(j.dir, q.ID+".body")
	quote("data-binary", "@"+body)
	return os.WriteFile(body, q.Body.Of(j.bytes), 0o644)
}

// curlSender is one curl that makes all requests.
func curlSender(j *job) (rig.Command, error) {
	config := filepath.Join(j.dir, "curl.config")
	return rig.Command{Path: "curl", Args: []string{"-K", config}}, j.curlConfigs(func(int) string { return config })
}

// curlsSender is a curl for each request.
func curlsSender(j *job) (rig.Command, error) {
	script := "ls *.config | xargs -P " + integrityConnections + " -n 1 curl -K"
	return rig.Command{Path: "sh", Args: []string{"-c", script}, Dir: j.dir}, j.curlConfigs(func(i int) string {
		return filepath.Join(j.dir, fmt.Sprintf("%06d.config", i))
	})
}

// curlConfigs writes the configuration of each request to the file that is named
// for its number.
func (j *job) curlConfigs(file func(int) string) error {
	configs := make(map[string]*strings.Builder)
	for i, q := range integrity.Plan(j.seed, j.id, j.count, j.traits) {
		name := file(i)
		if w := configs[name]; w != nil {
			w.WriteString("next\n")
		} else {
			configs[name] = new(strings.Builder)
		}
		if err := j.curlConfig(configs[name], q); err != nil {
			return fmt.Errorf("configure curl: %w", err)
		}
	}
	for name, config := range configs {
		if err := os.WriteFile(name, []byte(config.String()), 0o644); err != nil {
			return fmt.Errorf("configure curl: %w", err)
		}
	}
	return nil
}

// curlOutcomes reads what curl printed and received.
func curlOutcomes(j *job) ([]integrity.Outcome, error) {
	text, err := os.ReadFile(j.printed)
	if err != nil {
		return nil, fmt.Errorf("read what curl printed: %w", err)
	}
	plan := make(map[string]integrity.Request)
	for _, q := range integrity.Plan(j.seed, j.id, j.count, j.traits) {
		plan[q.ID] = q
	}
	var outcomes []integrity.Outcome
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(columns) != 4 {
			return nil, fmt.Errorf("read what curl printed: %q", line)
		}
		q := plan[columns[0]]
		o := integrity.Outcome{ID: q.ID, Sent: integrity.Digest(q.Body.Of(j.bytes))}
		if o.Status, err = strconv.Atoi(columns[1]); err != nil {
			return nil, fmt.Errorf("read a status: %w", err)
		}
		if columns[2] != "0" {
			o.Error = "curl ends with " + columns[2] + ": " + columns[3]
		}
		got, err := os.ReadFile(filepath.Join(j.dir, q.ID+".got"))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // there is no file without a body
			return nil, fmt.Errorf("read what curl received: %w", err)
		}
		if q.Method == "HEAD" { // those are the headers
			got = nil
		}
		o.Got = integrity.Digest(got)
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}
