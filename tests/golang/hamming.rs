//! `test/235.go`: the numbers with no prime factors but 2, 3 and 5, in order. Each number found
//! goes to three goroutines that multiply it, and the least of what they have next is the next one
//! (C07, C10, C12). Go's program has their first hundred written down; here they are also computed
//! by trial.

use crate::go::{go, program};
use runtime::{Receiver, Sender, channel, task};

const FACTORS: [u64; 3] = [2, 3, 5];
const NUMBERS: usize = 100;
const CAPACITY: usize = 100;

#[task]
async fn multiply(factor: u64, from: Receiver<u64>, to: Sender<u64>) {
    while let Ok(n) = from.recv().await {
        if to.send(factor * n).await.is_err() {
            return;
        }
    }
}

fn multiplier(factor: u64) -> (Sender<u64>, Receiver<u64>) {
    let (to, numbers) = channel(CAPACITY);
    let (products, from) = channel(CAPACITY);
    go(multiply(factor, numbers, products));
    (to, from)
}

fn by_trial() -> impl Iterator<Item = u64> {
    let left_of = |n, factor| {
        let mut left = n;
        while left % factor == 0 {
            left /= factor;
        }
        left
    };
    (2..).filter(move |n| FACTORS.into_iter().fold(*n, left_of) == 1)
}

#[test]
fn three_multipliers_find_the_numbers_of_hamming() {
    program(async {
        let multipliers = FACTORS.map(multiplier);
        let mut found = 1;
        let mut next = [1; 3];
        for expected in by_trial().take(NUMBERS) {
            for (to, _) in &multipliers {
                to.send(found).await.unwrap();
            }
            for ((_, from), next) in multipliers.iter().zip(&mut next) {
                if *next == found {
                    *next = from.recv().await.unwrap();
                }
            }
            found = next.into_iter().min().unwrap();
            assert_eq!(found, expected);
        }
        assert_eq!(found, 1600);
    });
}
