// Command raw sends requests as bytes, by every system call and in every piece
// that the plan says; see package integrity, and there Bursts for the words.
//
//	raw HOST:PORT SEED CLIENT COUNT CONNECTIONS [WORD...]
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/clewtrace/clew/test/integrity"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 6 {
		log.Fatal("usage: raw HOST:PORT SEED CLIENT COUNT CONNECTIONS [WORD...]")
	}
	address, err := netip.ParseAddrPort(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	count, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	connections, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	pool := integrity.Pool(os.Args[2])
	bursts := integrity.Bursts(os.Args[2], os.Args[3], count, pool, os.Args[6:]...)
	if err := integrity.Await(); err != nil {
		log.Fatal(err)
	}
	teller := integrity.NewTeller(os.Stdout)
	var crew sync.WaitGroup
	for i := range connections {
		crew.Go(func() {
			p := &player{address: address, teller: teller}
			turn, door := 0, 0
			for _, b := range bursts {
				if b.Door == 0 || b.Door != door { // what is for one door is for one player
					turn++
				}
				if door = b.Door; turn%connections == i {
					p.play(b)
				}
			}
			p.hangUp()
		})
	}
	crew.Wait()
}

// player plays bursts on one connection at a time.
type player struct {
	address netip.AddrPort
	teller  *integrity.Teller
	wire    *wire
	reader  *bufio.Reader
}

func (p *player) hangUp() {
	if p.wire != nil {
		p.wire.close()
		p.wire = nil
	}
}

// play sends a burst and reads its answers, and tells of each request.
func (p *player) play(b integrity.Burst) {
	if b.Fresh {
		p.hangUp()
	}
	err := p.send(b)
	for _, r := range b.Requests {
		outcome := integrity.Outcome{ID: r.ID, Sent: r.Want.Body}
		if err == nil {
			var over bool
			outcome, over, err = p.receive(b, r)
			if over {
				p.hangUp()
			}
		}
		if err != nil {
			outcome.Error = fmt.Sprintf("%s, %s, %d cuts: %v", b.Tactic, b.Receive, len(b.Cuts), err)
			p.hangUp()
		}
		p.teller.Tell(outcome)
	}
	if b.Fresh {
		p.hangUp()
	}
}

func (p *player) send(b integrity.Burst) error {
	if p.wire == nil {
		address := p.address
		if b.Door > 0 {
			address = integrity.Door(address.Port(), b.Door)
		}
		wire, err := dial(address, b.Tactic == "small")
		if err != nil {
			return err
		}
		p.wire, p.reader = wire, bufio.NewReader(wire)
	}
	p.wire.receive = b.Receive
	last := b.Requests[len(b.Requests)-1]
	all := b.Bytes()
	all = all[:len(all)-b.Tunnel]
	if err := p.wire.send(b, all); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if last.HalfWay {
		return p.wire.shutdown()
	}
	return nil
}

// receive reads the answer to a request. It says whether the connection is over.
func (p *player) receive(b integrity.Burst, r integrity.Raw) (outcome integrity.Outcome, over bool, err error) {
	outcome = integrity.Outcome{ID: r.ID, Sent: r.Want.Body}
	if p.wire == nil {
		return outcome, true, errors.New("the connection ended before this answer")
	}
	if r.Method == "BINARY" {
		got := make([]byte, len(r.Want.Body))
		if _, err = io.ReadFull(p.reader, got); err == nil && string(got) != r.Want.Body {
			err = fmt.Errorf("the server has %s", got)
		}
		outcome.Got = ""
		return outcome, true, err
	}
	var head integrity.Head
	status := 100
	for status == 100 {
		if head, err = integrity.ReadHead(p.reader); err != nil {
			return outcome, true, fmt.Errorf("read an answer: %w", err)
		}
		_, code, _ := head.First()
		if status, err = strconv.Atoi(code); err != nil {
			return outcome, true, fmt.Errorf("read a status: %w", err)
		}
	}
	if id := head.Value("X-Id"); id != r.ID {
		return outcome, true, fmt.Errorf("got the answer of %q", id)
	}
	if outcome.Status = status; b.Tunnel > 0 {
		outcome.Got = integrity.Digest(nil)
		return outcome, true, p.wire.send(b, r.Body)
	}
	var got integrity.Body
	over = head.Has("Connection", "close")
	length := head.Value("Content-Length")
	switch reply := (integrity.Reply{Status: status}); {
	case reply.Bodiless(r.Method):
		got, err = integrity.Length(p.reader, 0)
	case head.Has("Transfer-Encoding", "chunked"):
		got, err = integrity.Chunked(p.reader)
	case length != "":
		var n int64
		if n, err = strconv.ParseInt(strings.TrimSpace(length), 10, 64); err == nil {
			got, err = integrity.Length(p.reader, n)
		}
	default:
		got, err = integrity.Length(p.reader, -1)
	}
	outcome.Got = got.SHA
	return outcome, over, err
}
