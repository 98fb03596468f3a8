// Command server records the requests that arrive; see package integrity.
//
//	server ADDRESS SEED RECORDS
//
// On the loopback interface it has its doors too.
package main

import (
	"log"
	"net"
	"os"

	"github.com/clewtrace/clew/test/integrity"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: server ADDRESS SEED RECORDS")
	}
	records, err := os.Create(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	server := integrity.NewServer(os.Args[2], records)
	main, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if address := main.Addr().(*net.TCPAddr); address.IP.IsLoopback() {
		for door := range integrity.Doors {
			listener, err := net.Listen("tcp", integrity.Door(uint16(address.Port), door+1).String())
			if err != nil {
				log.Fatal(err)
			}
			go serve(server, listener)
		}
	}
	serve(server, main)
}

func serve(server *integrity.Server, listener net.Listener) {
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
