// Coefficients of power series: a series is a channel of fractions, without end.
package main

import "fmt"

type fraction struct{ Num, Den int64 }

func reduced(num, den int64) fraction {
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	if a < 0 {
		a = -a
	}
	return fraction{num / a, den / a}
}

func (f fraction) plus(g fraction) fraction {
	return reduced(f.Num*g.Den+g.Num*f.Den, f.Den*g.Den)
}

func (f fraction) times(g fraction) fraction { return reduced(f.Num*g.Num, f.Den*g.Den) }

type series chan fraction

func ones(out series) {
	for {
		out <- fraction{1, 1}
	}
}

func add(a, b, out series) {
	for {
		out <- (<-a).plus(<-b)
	}
}

func multiply(a, b, out series) {
	var of, by []fraction
	for {
		of, by = append(of, <-a), append(by, <-b)
		sum := fraction{0, 1}
		for i := range of {
			sum = sum.plus(of[i].times(by[len(by)-1-i]))
		}
		out <- sum
	}
}

func integrate(constant fraction, in, out series) {
	out <- constant
	for n := int64(1); ; n++ {
		out <- (<-in).times(fraction{1, n})
	}
}

func negate(in, out series) {
	for {
		out <- (<-in).times(fraction{-1, 1})
	}
}

func split(in, one, other series) {
	for {
		f := <-in
		one <- f
		other <- f
	}
}

// exponential is 1 plus its own integral.
func exponential() series {
	whole, out, back := make(series), make(series), make(series)
	go integrate(fraction{1, 1}, back, whole)
	go split(whole, out, back)
	return out
}

// sine is the integral of cosine, which is 1 less the integral of sine.
func sine() series {
	whole, out, back := make(series), make(series), make(series)
	minus, cosine := make(series), make(series)
	go negate(back, minus)
	go integrate(fraction{1, 1}, minus, cosine)
	go integrate(fraction{0, 1}, cosine, whole)
	go split(whole, out, back)
	return out
}

func show(name string, s series) {
	fmt.Print(name, ":")
	for n := 0; n < 9; n++ {
		f := <-s
		if f.Den == 1 {
			fmt.Print(" ", f.Num)
		} else {
			fmt.Print(" ", f.Num, "/", f.Den)
		}
	}
	fmt.Println()
}

func main() {
	one := func() series {
		out := make(series)
		go ones(out)
		return out
	}
	show("1/(1-x)", one())
	square, sum, both := make(series), make(series), make(series)
	go multiply(one(), one(), square)
	show("1/(1-x)^2", square)
	show("exp", exponential())
	show("sin", sine())
	go multiply(exponential(), exponential(), both)
	show("exp^2", both)
	go add(exponential(), sine(), sum)
	show("exp + sin", sum)
}
