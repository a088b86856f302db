//! How long a message takes: two tasks in two worker processes play ping-pong over rendezvous
//! channels, and a buffered stream runs one way.

use std::time::Duration;

use runtime::{Receiver, Sender, channel, current_worker, spawn, task};
use tokio::time::Instant;

const ROUNDS: u32 = 2_000;

/// Sends, waits for the answer; tells how long it took.
#[task]
async fn ping(out: Sender<u32>, back: Receiver<u32>) -> (Option<u64>, Duration) {
    let started = Instant::now();
    for n in 0..ROUNDS {
        if out.send(n).await.is_err() || back.recv().await != Ok(n) {
            break;
        }
    }
    (current_worker(), started.elapsed())
}

/// Sends back what comes.
#[task]
async fn pong(from: Receiver<u32>, back: Sender<u32>) -> Option<u64> {
    while let Ok(n) = from.recv().await {
        if back.send(n).await.is_err() {
            break;
        }
    }
    current_worker()
}

#[runtime::main(workers = 2, place = "apart")]
async fn main() -> anyhow::Result<()> {
    let (there, from) = channel(0);
    let (answer, back) = channel(0);
    let (pinging, ponging) = (spawn(ping(there, back)), spawn(pong(from, answer)));
    let ((one, time), other) = (pinging.await?, ponging.await?);
    let name = |worker: Option<u64>| worker.map_or_else(|| "?".to_owned(), |n| n.to_string());
    println!("workers {} and {}: {:?} a round trip", name(one), name(other), time / ROUNDS);
    Ok(())
}
