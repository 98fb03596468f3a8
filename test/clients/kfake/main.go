// Kfake runs the broker of franz-go's tests: Kafka's protocol and its behaviour
// in memory. It prints each request that it is asked as a line,
//
//	produce TOPIC/PARTITION RECORDS
//	fetch TOPIC/PARTITION …
//	NAME
//
// where NAME is any other request's, and fetch lists all that it asks for. Nobody
// may produce to a topic whose name ends with .refused; then there is the name of
// the error behind the number of records.
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/clewtrace/clew/test/clients"
)

// refusal is what producers to some topics get.
var refusal = kerr.TopicAuthorizationFailed

func main() {
	_, port, err := net.SplitHostPort(clients.Address())
	clients.Must("read the address", err)
	number, err := strconv.Atoi(port)
	clients.Must("read the port", err)
	names := strings.Fields(os.Getenv("TOPICS"))
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(number), kfake.SeedTopics(1, names...))
	clients.Must("run a cluster", err)
	topics := make(map[[16]byte]string)
	for _, name := range names {
		topics[cluster.TopicInfo(name).TopicID] = name
	}
	cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: refusal, Count: -1,
		When: func(r kmsg.Request) bool { return strings.Contains(describe(topics, r), refusal.Message) },
	})
	cluster.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		fmt.Println(describe(topics, request))
		return nil, nil, false
	})
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	cluster.Close()
}

// describe says what is asked, in one line. Newer clients call topics by ids.
func describe(topics map[[16]byte]string, request kmsg.Request) string {
	name := strings.ToLower(kmsg.NameForKey(request.Key()))
	var line strings.Builder
	line.WriteString(name)
	switch r := request.(type) {
	case *kmsg.ProduceRequest:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				name := t.Topic + topics[t.TopicID]
				fmt.Fprintf(&line, " %s/%d %d", name, p.Partition, records(p.Records))
				if strings.HasSuffix(name, ".refused") {
					line.WriteString(" " + refusal.Message)
				}
			}
		}
	case *kmsg.FetchRequest:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				fmt.Fprintf(&line, " %s/%d", t.Topic+topics[t.TopicID], p.Partition)
			}
		}
	}
	return line.String()
}

// records counts those of the batches in a partition's part of a request, in the
// format of Kafka 0.11 and newer.
func records(batches []byte) (n int) {
	const size, count, least = 8, 57, 61 // offsets of fields
	for len(batches) >= least {
		n += int(binary.BigEndian.Uint32(batches[count:]))
		length := size + 4 + int(binary.BigEndian.Uint32(batches[size:]))
		if length > len(batches) {
			log.Printf("a batch of %d bytes in %d", length, len(batches))
			break
		}
		batches = batches[length:]
	}
	return n
}
