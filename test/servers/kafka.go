package servers

import (
	"context"
	"fmt"
	"strings"

	"github.com/clewtrace/clew/test/rig"
)

// Kafka is a running broker that speaks Kafka: see test/clients/kfake.
type Kafka struct {
	*rig.Process
	Address string // host:port
}

// StartKafka runs the broker, built before, with topics of one partition each,
// and waits until it answers.
func StartKafka(ctx context.Context, s *rig.Scene, c Config, binary string, topics ...string) (*Kafka, error) {
	_, address, err := localhost()
	if err != nil {
		return nil, err
	}
	k := &Kafka{Address: address}
	c.Env = append(c.Env, "ADDRESS="+address, "TOPICS="+strings.Join(topics, " "))
	if k.Process, err = start(s, c, rig.Command{Name: "kfake", Path: binary}); err != nil {
		return nil, err
	}
	return k, rig.Listening(ctx, k.Process, "tcp", k.Address)
}

// Statements are all requests since the start, in the order in which the broker
// took them, with the texts
//
//	produce TOPIC/PARTITION RECORDS
//	fetch TOPIC/PARTITION …
//	NAME
func (k *Kafka) Statements() ([]Statement, error) {
	var statements []Statement
	for line := range strings.Lines(k.Process.Output()) {
		text := strings.TrimSuffix(line, "\n")
		if len(text) == len(line) {
			return nil, fmt.Errorf("read the broker's record: %q has no end", line)
		}
		s := Statement{Text: text}
		if at := strings.LastIndexByte(text, ' '); at > 0 && strings.Trim(text[at+1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "" {
			s.Text, s.Error = text[:at], text[at+1:]
		}
		statements = append(statements, s)
	}
	return statements, nil
}
