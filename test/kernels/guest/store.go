package main

import (
	"bufio"
	"fmt"
	"net"
)

// The one command of the store, as Redis clients send it, and its answer.
const (
	command = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"
	answer  = "+OK\r\n"
)

// store answers each command on address, one connection after the other. It
// stands for Redis, which needs more of a system than there is here.
func store(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		c, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		for buffer := make([]byte, len(command)); ; {
			if n, err := c.Read(buffer); err != nil || n != len(command) {
				break
			}
			if _, err := c.Write([]byte(answer)); err != nil {
				break
			}
		}
		c.Close()
	}
}

// set sends the command and reads its answer.
func set(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(command)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || line != answer {
		return fmt.Errorf("the store answers %q: %w", line, err)
	}
	return nil
}
