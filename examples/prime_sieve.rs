//! Go's prime sieve (test/chan/sieve1.go): a chain of filters, one task each, joined by rendezvous
//! channels. The channels' handles travel in the arguments of the tasks, and are made by tasks too.

use runtime::{Receiver, Sender, channel, spawn, task};

const PRIMES: usize = 25;

/// 2, 3, 4, … for as long as somebody listens.
#[task]
async fn generate(numbers: Sender<u64>) {
    for n in 2.. {
        if numbers.send(n).await.is_err() {
            break;
        }
    }
}

/// Passes on what `prime` does not divide.
#[task]
async fn filter(prime: u64, from: Receiver<u64>, to: Sender<u64>) {
    while let Ok(n) = from.recv().await {
        if n % prime != 0 && to.send(n).await.is_err() {
            break;
        }
    }
}

/// Each prime that comes out gets a filter of its own.
#[task]
async fn sieve(primes: Sender<u64>) {
    let (numbers_in, mut numbers) = channel(0);
    drop(spawn(generate(numbers_in)));
    while let Ok(prime) = numbers.recv().await {
        if primes.send(prime).await.is_err() {
            break;
        }
        let (to, filtered) = channel(0);
        drop(spawn(filter(prime, numbers, to)));
        numbers = filtered;
    }
}

#[runtime::main]
async fn main() -> anyhow::Result<()> {
    let (primes_in, primes) = channel(0);
    drop(spawn(sieve(primes_in)));
    for _ in 0..PRIMES {
        print!("{} ", primes.recv().await?);
    }
    println!();
    Ok(()) // main returns, and the tasks that still run end with it
}
