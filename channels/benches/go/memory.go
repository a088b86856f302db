// What a goroutine costs that is parked on a channel of its own.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

var atWork atomic.Int64

// memory parks so many goroutines and wakes them. It returns, a goroutine each: bytes of heap and
// stacks in use while all are parked, those by which the process grew, those still in use when all
// have ended, and the ns of spawning and of waking.
func memory(tasks int) [5]float64 {
	bytesBefore, residentBefore := bytesInUse(), resident()
	channels := make([]chan uint64, tasks)
	begin := time.Now()
	for i := range channels {
		channel := make(chan uint64, 1)
		channels[i] = channel
		go func() {
			atWork.Add(1)
			if <-channel != 7 {
				panic("what was sent arrives")
			}
			atWork.Add(-1)
		}()
	}
	waitFor(tasks)
	spawning := time.Since(begin)
	bytes, resident := bytesInUse()-bytesBefore, resident()-residentBefore
	begin = time.Now()
	go func() {
		for _, channel := range channels {
			channel <- 7
		}
	}()
	waitFor(0)
	waking := time.Since(begin)
	channels = nil
	left := bytesInUse() - bytesBefore
	each := func(total float64) float64 { return total / float64(tasks) }
	return [5]float64{each(bytes), each(resident), each(left),
		each(float64(spawning.Nanoseconds())), each(float64(waking.Nanoseconds()))}
}

func waitFor(tasks int) {
	for atWork.Load() != int64(tasks) {
		runtime.Gosched()
	}
}

func bytesInUse() float64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc + stats.StackInuse)
}

// resident is by Linux's account.
func resident() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		panic(err)
	}
	return float64(pages * os.Getpagesize())
}
