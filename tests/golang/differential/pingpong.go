// Two players and one ball, which counts how often it was hit.
package main

import "fmt"

type ball struct {
	Hits   int
	Struck []string
}

func play(name string, table <-chan ball, other chan<- ball, over chan<- ball) {
	for b := range table {
		b.Hits++
		b.Struck = append(b.Struck, name)
		fmt.Println(name, b.Hits)
		if b.Hits == 20 {
			over <- b
			return
		}
		other <- b
	}
}

func main() {
	left, right := make(chan ball), make(chan ball)
	over := make(chan ball)
	go play("ping", left, right, over)
	go play("pong", right, left, over)
	left <- ball{}
	b := <-over
	fmt.Println(b.Hits, b.Struck)
}
