//! `test/chan/sieve1.go`: the prime sieve as a chain that grows: each filter is a goroutine that
//! takes the multiples of one prime out of the numbers that pass (C04, C09, C46).

use crate::go::{go, program};
use crate::sieve2::PRIMES;
use runtime::{Receiver, Sender, channel, task};

#[task]
async fn count(numbers: Sender<u32>) {
    let mut n = 2;
    while numbers.send(n).await.is_ok() {
        n += 1;
    }
}

#[task]
async fn filter(prime: u32, from: Receiver<u32>, to: Sender<u32>) {
    while let Ok(n) = from.recv().await {
        if n % prime != 0 && to.send(n).await.is_err() {
            return;
        }
    }
}

#[task]
async fn sieve(primes: Sender<u32>) {
    let (counted, mut numbers) = channel(0);
    go(count(counted));
    while let Ok(prime) = numbers.recv().await {
        if primes.send(prime).await.is_err() {
            return;
        }
        let (filtered, rest) = channel(0);
        go(filter(prime, numbers, filtered));
        numbers = rest;
    }
}

#[test]
fn a_chain_of_filters_finds_the_primes() {
    program(async {
        let (found, primes) = channel(0);
        go(sieve(found));
        for prime in PRIMES {
            assert_eq!(primes.recv().await, Ok(prime));
        }
    });
}
