// What select does with channels that are closed, or nil, or neither.
package main

import "fmt"

func send(c chan int, n int) (word string) {
	defer func() {
		if recover() != nil {
			word = "refused"
		}
	}()
	select {
	case c <- n:
		return "sent"
	default:
		return "full"
	}
}

func receive(c chan int) string {
	select {
	case n, ok := <-c:
		if !ok {
			return "closed"
		}
		return fmt.Sprint("got ", n)
	default:
		return "empty"
	}
}

func closing(c chan int) (word string) {
	defer func() {
		if recover() != nil {
			word = "refused"
		}
	}()
	close(c)
	return "done"
}

func merge(a, b chan int) {
	for a != nil || b != nil {
		select {
		case n, ok := <-a:
			if !ok {
				fmt.Println("a ends")
				a = nil
			} else {
				fmt.Println("a", n)
			}
		case n, ok := <-b:
			if !ok {
				fmt.Println("b ends")
				b = nil
			} else {
				fmt.Println("b", n)
			}
		}
	}
}

func main() {
	for capacity := 0; capacity < 4; capacity++ {
		c := make(chan int, capacity)
		fmt.Println("capacity", capacity)
		fmt.Println(receive(c))
		for n := 0; n < 3; n++ {
			fmt.Println(send(c, n))
		}
		fmt.Println(closing(c))
		fmt.Println(send(c, 3))
		for n := 0; n < 4; n++ {
			fmt.Println(receive(c))
		}
		fmt.Println(closing(c))
		fmt.Println(send(c, 4), receive(c))
	}
	fmt.Println(send(nil, 1), receive(nil))
	a, b := make(chan int, 3), make(chan int, 3)
	for n := 0; n < 3; n++ {
		b <- n
	}
	close(b)
	merge(nil, b)
	a <- 7
	close(a)
	merge(a, nil)
	merge(nil, nil)
	fmt.Println("end")
}
