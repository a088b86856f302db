// Go's channels, in the patterns of the benches: a line `pattern capacity type messages` on
// standard input is run once and answered with `pattern capacity type ns cpu`, both a message; the
// line `memory tasks` with `memory` and what a parked goroutine costs.
//
//	echo '4P1C 128 u64 1000000' | go run *.go
//
// Values are zero; that all of them arrive is checked by counting.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

type block [1024]byte

type value interface{ uint64 | block }

func main() {
	runtime.GOMAXPROCS(2)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var pattern, kind string
		var capacity, messages, tasks int
		if n, _ := fmt.Sscanf(lines.Text(), "memory %d", &tasks); n == 1 {
			costs := memory(tasks)
			fmt.Println("memory", costs[0], costs[1], costs[2], costs[3], costs[4])
			continue
		}
		_, err := fmt.Sscan(lines.Text(), &pattern, &capacity, &kind, &messages)
		if err != nil {
			refuse(lines.Text())
		}
		wall, cpu := time.Now(), cpuTime()
		switch kind {
		case "u64":
			lap[uint64](pattern, capacity, messages)
		case "1KiB":
			lap[block](pattern, capacity, messages)
		default:
			refuse(lines.Text())
		}
		took, used := time.Since(wall), cpuTime()-cpu
		each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(messages) }
		fmt.Println(pattern, capacity, kind, each(took), each(used))
	}
}

func refuse(line string) {
	fmt.Fprintf(os.Stderr, "not `pattern capacity type messages`: %q\n", line)
	os.Exit(2)
}

// cpuTime is what the whole process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func lap[T value](pattern string, capacity, messages int) {
	var senders, receivers, channels int
	if n, _ := fmt.Sscanf(pattern, "%dP%dC", &senders, &receivers); n == 2 {
		stream[T](capacity, senders, receivers, messages)
	} else if pattern == "ping-pong" {
		pingPong[T](capacity, messages)
	} else if pattern == "select-mixed-4" {
		selectMixed[T](capacity, messages)
	} else if n, _ := fmt.Sscanf(pattern, "select-ping-pong-%d", &channels); n == 1 {
		selectPingPong[T](channels, capacity, messages)
	} else if n, _ := fmt.Sscanf(pattern, "select-%d", &channels); n == 1 {
		selectReady[T](channels, capacity, messages)
	} else {
		refuse(pattern)
	}
}

func stream[T value](capacity, senders, receivers, messages int) {
	channel := make(chan T, capacity)
	sent, counts := make(chan struct{}), make(chan int)
	for i := 0; i < receivers; i++ {
		go func() {
			count := 0
			for range channel {
				count++
			}
			counts <- count
		}()
	}
	for i := 0; i < senders; i++ {
		go func() {
			for i := 0; i < messages/senders; i++ {
				var value T
				channel <- value
			}
			sent <- struct{}{}
		}()
	}
	for i := 0; i < senders; i++ {
		<-sent
	}
	close(channel)
	received := 0
	for i := 0; i < receivers; i++ {
		received += <-counts
	}
	if received != messages/senders*senders {
		panic("all arrive, once")
	}
}

func pingPong[T value](capacity, roundTrips int) {
	ping, pong, done := make(chan T, capacity), make(chan T, capacity), make(chan struct{})
	go func() {
		for value := range ping {
			pong <- value
		}
	}()
	go func() {
		for i := 0; i < roundTrips; i++ {
			var value T
			ping <- value
			<-pong
		}
		close(ping)
		close(done)
	}()
	<-done
}
