// The first primes, through a chain of filters that grows by one for each of them.
package main

import "fmt"

func count(out chan<- int) {
	for n := 2; ; n++ {
		out <- n
	}
}

func without(prime int, in <-chan int, out chan<- int) {
	for n := range in {
		if n%prime != 0 {
			out <- n
		}
	}
}

func main() {
	numbers := make(chan int)
	go count(numbers)
	for i := 0; i < 30; i++ {
		prime := <-numbers
		fmt.Println(prime)
		rest := make(chan int)
		go without(prime, numbers, rest)
		numbers = rest
	}
}
