package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// python is Debian's, which sees Debian's modules whatever else is installed.
const python = "/usr/bin/python3"

// RabbitMQ is a running RabbitMQ with a virtual host /.
type RabbitMQ struct {
	*rig.Process
	Address            string // host:port
	Username, Password string

	firehose *rig.Process // prints what the server says that it does
	dir      string
	marks    int
}

// rabbitmqConfig has a user of our own, so that there is a password to look for.
const rabbitmqConfig = `
default_user = rig
default_pass = %s
loopback_users.rig = false
log.console = true
log.console.level = warning
log.file = false
`

// rabbitmqTrace makes the server tell what it does: see firehose.py.
const rabbitmqTrace = `[{rabbit, [{trace_vhosts, [<<"/">>]}]}].`

// StartRabbitMQ runs RabbitMQ and waits until it answers, which takes some 15
// seconds.
func StartRabbitMQ(ctx context.Context, s *rig.Scene, c Config) (*RabbitMQ, error) {
	dir, err := directory(s, "rabbit", "rabbitmq")
	if err != nil {
		return nil, err
	}
	r := &RabbitMQ{Username: "rig", Password: "hush-rabbit", dir: dir}
	var ports [3]int
	for i := range ports {
		if ports[i], r.Address, err = localhost(); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"rabbitmq.conf": fmt.Sprintf(rabbitmqConfig, r.Password), "advanced.config": rabbitmqTrace, "plugins": "[].",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configure RabbitMQ: %w", err)
		}
	}
	// The server would start one that outlives it.
	if err := startEPMD(ctx, s, dir, ports[0]); err != nil {
		return nil, err
	}
	c.Env = append(c.Env, "RUNNING_UNDER_SYSTEMD=yes", // no shell around it
		"HOME="+dir, "RABBITMQ_NODENAME=rig@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(ports[2]), "RABBITMQ_DIST_PORT="+strconv.Itoa(ports[1]),
		"ERL_EPMD_PORT="+strconv.Itoa(ports[0]), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"), "RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(dir, "advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none", // idle schedulers spin otherwise
	)
	if r.Process, err = start(s, c, as("rabbitmq", rig.Command{
		Name: "rabbitmq", Path: "/usr/lib/rabbitmq/bin/rabbitmq-server", Dir: dir,
	})); err != nil {
		return nil, err
	}
	if err := rig.Listening(ctx, r.Process, "tcp", r.Address); err != nil {
		return nil, err
	}
	return r, r.listen(ctx, s)
}

// startEPMD runs the port mapper that Erlang wants, on a port of ours.
func startEPMD(ctx context.Context, s *rig.Scene, dir string, port int) error {
	epmd, err := s.StartOutside(as("rabbitmq", rig.Command{
		Name: "epmd", Path: "epmd", Dir: dir, Args: []string{"-port", strconv.Itoa(port), "-address", "127.0.0.1"},
	}))
	if err != nil {
		return err
	}
	return rig.Listening(ctx, epmd, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// listen begins to hear what the server does.
func (r *RabbitMQ) listen(ctx context.Context, s *rig.Scene) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	r.firehose, err = s.StartOutside(rig.Command{
		Name: "firehose", Path: python,
		Args: []string{filepath.Join(root, "test", "servers", "firehose.py"), r.url()},
	})
	if err != nil {
		return err
	}
	return rig.Until(ctx, "RabbitMQ's firehose", func(context.Context) error {
		if r.firehose.Output() == "" {
			return errors.New(r.firehose.Errors())
		}
		return nil
	})
}

func (r *RabbitMQ) url() string {
	return fmt.Sprintf("amqp://%s:%s@%s/%%2F", r.Username, r.Password, r.Address)
}

// Statements are all messages that came in and went out since the start, in the
// order in which the server says so, with the texts
//
//	publish EXCHANGE:KEY
//	deliver EXCHANGE:KEY:QUEUE
//
// without what is not there. What is refused does not appear (see Errors), and
// neither do methods without a message.
func (r *RabbitMQ) Statements() ([]Statement, error) {
	r.marks++
	mark := fmt.Sprintf("publish mark-%d\n", r.marks)
	if err := prepare(rig.Command{
		Name: "a mark", Path: python, Dir: r.dir, Args: []string{"-c", publishMark, r.url(), fmt.Sprintf("mark-%d", r.marks)},
	}); err != nil {
		return nil, err
	}
	var statements []Statement
	return statements, rig.Until(context.Background(), "RabbitMQ's record", func(context.Context) error {
		text, _, found := strings.Cut(r.firehose.Output(), mark)
		if !found {
			return errors.New("the mark is not there yet")
		}
		statements = nil
		for line := range strings.Lines(text) {
			what := strings.TrimSpace(line)
			if strings.Contains(what, " ") && !strings.HasPrefix(what, "publish mark-") {
				statements = append(statements, Statement{Text: what})
			}
		}
		return nil
	})
}

// Errors is how often the server has closed a channel with each reply code since
// the start, by its log.
func (r *RabbitMQ) Errors() (map[string]int, error) {
	codes := map[string]string{"not_found": "404", "precondition_failed": "406", "access_refused": "403"}
	counts := make(map[string]int)
	for line := range strings.Lines(r.Process.Output()) {
		_, reason, ok := strings.Cut(line, " caused a channel exception ")
		if !ok {
			continue
		}
		reason, _, _ = strings.Cut(reason, ":")
		if codes[reason] == "" {
			return nil, fmt.Errorf("read RabbitMQ's log: no code is known for %q", reason)
		}
		counts[codes[reason]]++
	}
	return counts, nil
}

// publishMark publishes a message that no queue takes, with the routing key that
// it is given.
const publishMark = `import pika, sys
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
connection.channel().basic_publish("", sys.argv[2], b"")
connection.close()`
