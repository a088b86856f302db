// The numbers that only 2, 3 and 5 divide, in order: each feeds three multipliers, whose streams
// are merged.
package main

import "fmt"

func multiply(factor int, in <-chan int, out chan<- int) {
	for n := range in {
		out <- factor * n
	}
}

func main() {
	factors := []int{2, 3, 5}
	var ins, outs []chan int
	for _, factor := range factors {
		in, out := make(chan int, 100), make(chan int, 100)
		go multiply(factor, in, out)
		ins, outs = append(ins, in), append(outs, out)
	}
	heads := make([]int, len(factors))
	least := 1
	for i := 0; i < 60; i++ {
		fmt.Println(least)
		for _, in := range ins {
			in <- least
		}
		for k := range heads {
			if heads[k] <= least {
				heads[k] = <-outs[k]
			}
		}
		least = heads[0]
		for _, head := range heads {
			if head < least {
				least = head
			}
		}
	}
	for k, factor := range factors {
		fmt.Println(factor, heads[k], len(outs[k])+len(ins[k]) > 0)
	}
}
