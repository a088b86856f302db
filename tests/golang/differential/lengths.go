// How long a channel is, and how long it may get, after each operation.
package main

import "fmt"

func main() {
	for capacity := 0; capacity <= 5; capacity++ {
		c := make(chan string, capacity)
		fmt.Println(len(c), cap(c))
		for n := 0; n < capacity; n++ {
			c <- fmt.Sprint("value ", n)
			fmt.Println(len(c), cap(c))
		}
		select {
		case c <- "one too many":
			fmt.Println("sent")
		default:
			fmt.Println("full", len(c), cap(c))
		}
		if capacity > 2 {
			fmt.Println(<-c, len(c), cap(c))
			c <- "again"
			fmt.Println(len(c), cap(c))
		}
		close(c)
		fmt.Println(len(c), cap(c))
		for value := range c {
			fmt.Println(value, len(c), cap(c))
		}
		fmt.Println(len(c), cap(c))
	}
}
