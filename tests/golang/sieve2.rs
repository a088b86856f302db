//! `test/chan/sieve2.go`: the sieve of Eratosthenes with feedback: the multiples of the primes
//! found so far, each series from a goroutine of its own, are merged by a heap into the composites,
//! which are taken out of the candidates (C07, C10). What is found goes back through a goroutine
//! that holds any number of values, and offers one only while it has one (C21).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::go::{go, program};
use runtime::{Receiver, Sender, channel, select, task};

/// Those below 100.
pub(crate) const PRIMES: [u32; 25] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
];

/// `first`, and every `step` after it.
#[task]
async fn series(first: u32, step: u32, out: Sender<u32>) {
    let mut n = first;
    while out.send(n).await.is_ok() {
        n += step;
    }
}

fn odd_numbers() -> Receiver<u32> {
    let (out, numbers) = channel(50);
    go(series(5, 2, out));
    numbers
}

fn odd_multiples(prime: u32) -> Receiver<u32> {
    let (out, numbers) = channel(10);
    go(series(prime * prime, 2 * prime, out));
    numbers
}

/// Takes values as they come and gives them on as they are taken, however many are between.
#[task]
async fn hold(from: Receiver<u32>, to: Sender<u32>) {
    let mut held = VecDeque::new();
    loop {
        let offered = (!held.is_empty()).then_some(&to);
        select! {
            received = from.recv() => match received {
                Ok(n) => held.push_back(n),
                Err(_) => return,
            },
            sent = offered.send(held.front().copied().unwrap_or_default()) => {
                if sent.is_err() {
                    return;
                }
                held.pop_front();
            }
        }
    }
}

/// The multiples of all primes so far, smallest first.
#[derive(Default)]
struct Multiples {
    series: Vec<Receiver<u32>>,
    /// The next of each series, and which it is.
    next: BinaryHeap<Reverse<(u32, usize)>>,
}

impl Multiples {
    async fn add(&mut self, series: Receiver<u32>) {
        let next = series.recv().await.unwrap();
        self.next.push(Reverse((next, self.series.len())));
        self.series.push(series);
    }

    fn least(&self) -> Option<u32> {
        self.next.peek().map(|Reverse((least, _))| *least)
    }

    async fn pop(&mut self) -> u32 {
        let Reverse((least, at)) = self.next.pop().unwrap();
        self.next.push(Reverse((self.series[at].recv().await.unwrap(), at)));
        least
    }
}

/// Sends the composites that the primes have, each once, in order. The square of a prime comes
/// after everything that smaller primes have below it.
#[task]
async fn merge(primes: Receiver<u32>, composites: Sender<u32>) {
    let mut multiples = Multiples::default();
    while let Ok(prime) = primes.recv().await {
        let series = odd_multiples(prime);
        let square = series.recv().await.unwrap();
        while multiples.least().is_some_and(|least| least <= square) {
            let least = multiples.pop().await;
            let repeated = multiples.least() == Some(least) || least == square;
            if !repeated && composites.send(least).await.is_err() {
                return;
            }
        }
        if composites.send(square).await.is_err() {
            return;
        }
        multiples.add(series).await;
    }
}

/// Gives out the candidates that are not composite.
#[task]
async fn sift(composites: Receiver<u32>, primes: Sender<u32>, out: Sender<u32>) {
    // Merging takes a prime only when its square is near, so primes pile up on the way back.
    let (back, held) = channel(10);
    go(hold(held, primes));
    let candidates = odd_numbers();
    let mut candidate = candidates.recv().await.unwrap();
    while let Ok(composite) = composites.recv().await {
        while candidate < composite {
            if back.send(candidate).await.is_err() || out.send(candidate).await.is_err() {
                return;
            }
            candidate = candidates.recv().await.unwrap();
        }
        if candidate == composite {
            candidate = candidates.recv().await.unwrap();
        }
    }
}

async fn sieve() -> Receiver<u32> {
    let (out, found) = channel(10);
    out.send(2).await.unwrap();
    out.send(3).await.unwrap();
    let (primes_in, primes) = channel(10);
    primes_in.send(3).await.unwrap();
    let (composites_in, composites) = channel(50);
    go(merge(primes, composites_in));
    go(sift(composites, primes_in, out));
    found
}

#[test]
fn a_sieve_with_feedback_finds_the_primes() {
    program(async {
        let primes = sieve().await;
        for prime in PRIMES {
            assert_eq!(primes.recv().await, Ok(prime));
        }
    });
}
