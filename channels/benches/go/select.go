// Selects, in the patterns of the benches. The channels of a select are written out: Go selects over
// a slice of channels by reflection only, which is slower.
package main

// capacityReady: so many selects leave every channel ready, whichever they choose.
const capacityReady = 128

// choose receives from one of 2, 4, 8 or 16 channels.
func choose[T value](c []chan T) (index int, value T, open bool) {
	switch len(c) {
	case 2:
		return choose2(c)
	case 4:
		return choose4(c)
	case 8:
		return choose8(c)
	case 16:
		return choose16(c)
	}
	panic("a select over 2, 4, 8 or 16 channels")
}

func choose2[T value](c []chan T) (index int, value T, open bool) {
	select {
	case value, open = <-c[0]:
		index = 0
	case value, open = <-c[1]:
		index = 1
	}
	return
}

func choose4[T value](c []chan T) (index int, value T, open bool) {
	select {
	case value, open = <-c[0]:
		index = 0
	case value, open = <-c[1]:
		index = 1
	case value, open = <-c[2]:
		index = 2
	case value, open = <-c[3]:
		index = 3
	}
	return
}

func choose8[T value](c []chan T) (index int, value T, open bool) {
	select {
	case value, open = <-c[0]:
		index = 0
	case value, open = <-c[1]:
		index = 1
	case value, open = <-c[2]:
		index = 2
	case value, open = <-c[3]:
		index = 3
	case value, open = <-c[4]:
		index = 4
	case value, open = <-c[5]:
		index = 5
	case value, open = <-c[6]:
		index = 6
	case value, open = <-c[7]:
		index = 7
	}
	return
}

func choose16[T value](c []chan T) (index int, value T, open bool) {
	select {
	case value, open = <-c[0]:
		index = 0
	case value, open = <-c[1]:
		index = 1
	case value, open = <-c[2]:
		index = 2
	case value, open = <-c[3]:
		index = 3
	case value, open = <-c[4]:
		index = 4
	case value, open = <-c[5]:
		index = 5
	case value, open = <-c[6]:
		index = 6
	case value, open = <-c[7]:
		index = 7
	case value, open = <-c[8]:
		index = 8
	case value, open = <-c[9]:
		index = 9
	case value, open = <-c[10]:
		index = 10
	case value, open = <-c[11]:
		index = 11
	case value, open = <-c[12]:
		index = 12
	case value, open = <-c[13]:
		index = 13
	case value, open = <-c[14]:
		index = 14
	case value, open = <-c[15]:
		index = 15
	}
	return
}

func makeAll[T value](channels, capacity int) []chan T {
	all := make([]chan T, channels)
	for i := range all {
		all[i] = make(chan T, capacity)
	}
	return all
}

func selectReady[T value](channels, capacity, messages int) {
	done := make(chan struct{})
	go func() {
		all := makeAll[T](channels, capacity)
		missing := make([]int, channels)
		for i := range missing {
			missing[i] = capacityReady
		}
		for left := messages; left > 0; left -= capacityReady {
			for i := range all {
				for ; missing[i] > 0; missing[i]-- {
					var value T
					all[i] <- value
				}
			}
			for i := 0; i < capacityReady && i < left; i++ {
				index, _, _ := choose(all)
				missing[index]++
			}
		}
		close(done)
	}()
	<-done
}

func selectPingPong[T value](channels, capacity, roundTrips int) {
	pings, pong, done := makeAll[T](channels, capacity), make(chan T, capacity), make(chan struct{})
	go func() {
		for {
			_, value, open := choose(pings)
			if !open {
				return
			}
			pong <- value
		}
	}()
	go func() {
		for i := 0; i < roundTrips; i++ {
			var value T
			pings[i%channels] <- value
			<-pong
		}
		close(pings[0])
		close(done)
	}()
	<-done
}

// selectMixed: two receives and two sends on channels that are half full.
func selectMixed[T value](capacity, messages int) {
	const batch = capacityReady / 2
	done := make(chan struct{})
	go func() {
		var value T
		var counts [4]int
		all := makeAll[T](4, capacity)
		for _, channel := range all {
			for i := 0; i < batch; i++ {
				channel <- value
			}
		}
		for i := 1; i <= messages; i++ {
			select {
			case value = <-all[0]:
				counts[0]++
			case value = <-all[1]:
				counts[1]++
			case all[2] <- value:
				counts[2]++
			case all[3] <- value:
				counts[3]++
			}
			if i%batch > 0 {
				continue
			}
			for at, channel := range all {
				for ; counts[at] > 0; counts[at]-- {
					if at < 2 {
						channel <- value
					} else {
						value = <-channel
					}
				}
			}
		}
		close(done)
	}()
	<-done
}
