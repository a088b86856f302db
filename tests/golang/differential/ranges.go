// Loops over channels that are closed before, while and after the loop begins.
package main

import "fmt"

func letters(from, to rune, out chan<- rune, closes bool) {
	for letter := from; letter <= to; letter++ {
		out <- letter
	}
	if closes {
		close(out)
	}
}

func all(c <-chan rune) (text string) {
	for letter := range c {
		text += string(letter)
	}
	return text
}

func first(c <-chan rune) rune {
	for letter := range c {
		return letter
	}
	return '-'
}

func main() {
	for _, capacity := range []int{0, 1, 26} {
		c := make(chan rune, capacity)
		go letters('a', 'z', c, true)
		fmt.Println(all(c))
		fmt.Printf("%q\n", all(c))
		fmt.Println(string(first(c)))
	}
	c := make(chan rune, 26)
	letters('m', 'r', c, true)
	fmt.Println(string(first(c)), string(first(c)))
	fmt.Println(all(c), len(c))

	c = make(chan rune)
	go letters('a', 'e', c, false)
	for n := 0; n < 5; n++ {
		fmt.Println(string(first(c)))
	}
	go letters('v', 'z', c, true)
	fmt.Println(all(c))
}
