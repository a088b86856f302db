// Several senders on one channel: whose values are mixed how is chance, but each one's own order
// is not.
package main

import (
	"fmt"
	"sync"
)

type value struct{ Sender, Number int }

func send(sender, count int, out chan<- value, wg *sync.WaitGroup) {
	for n := 0; n < count; n++ {
		out <- value{sender, n}
	}
	wg.Done()
}

func main() {
	const senders, count = 5, 12
	for _, capacity := range []int{0, 1, 7, senders * count} {
		c := make(chan value, capacity)
		var wg sync.WaitGroup
		wg.Add(senders)
		for sender := 0; sender < senders; sender++ {
			go send(sender, count, c, &wg)
		}
		go func() {
			wg.Wait()
			close(c)
		}()
		var numbers [senders][]int
		total := 0
		for v := range c {
			numbers[v.Sender] = append(numbers[v.Sender], v.Number)
			total++
		}
		fmt.Println("capacity", capacity, "total", total)
		for sender, own := range numbers {
			fmt.Println(sender, own)
		}
	}
	// One after the other: the order of all is known.
	c := make(chan value, senders*2)
	for sender := 0; sender < senders; sender++ {
		var wg sync.WaitGroup
		wg.Add(1)
		go send(sender, 2, c, &wg)
		wg.Wait()
	}
	close(c)
	for v := range c {
		fmt.Println(v.Sender, v.Number)
	}
}
