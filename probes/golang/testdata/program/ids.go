package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

const idsKind = "ids"

// While it is traced, the goroutine that starts the others keeps to one thread.
func init() {
	if len(os.Args) > 1 && os.Args[1] == idsKind {
		runtime.LockOSThread()
	}
}

// ids starts goroutines, reads standard input as a server reads the head of a
// request, and starts more of them. It says on a line each: its own id, the ids
// of those started before the read, of those after. On other processors, and
// during the read, others keep starting goroutines.
func ids() {
	stop := make(chan struct{})
	for n := runtime.GOMAXPROCS(0); n > 1; n-- {
		go churn(stop)
	}
	before := []int{startOne(stop)}
	// To the middle of a batch, so that some of its ids are left.
	for len(before) < 20 || before[len(before)-1]%16 != 8 {
		before = append(before, startOne(stop))
	}
	_, err := syscall.Read(0, make([]byte, 1))
	check(err)
	var after []int
	for len(after) < 200 {
		after = append(after, startOne(stop))
	}
	close(stop)
	fmt.Println(id())
	for _, list := range [][]int{before, after} {
		fmt.Println(string(bytes.Trim([]byte(fmt.Sprint(list)), "[]")))
	}
}

// startOne returns the id of a new goroutine, which stays.
func startOne(stop chan struct{}) int {
	started := make(chan int)
	go func() {
		started <- id()
		<-stop
	}()
	return <-started
}

func churn(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			done := make(chan struct{})
			go close(done)
			<-done
		}
	}
}

func id() int {
	stack := make([]byte, 64)
	fields := bytes.Fields(stack[:runtime.Stack(stack, false)])
	id, err := strconv.Atoi(string(fields[1]))
	check(err)
	return id
}
