//! `test/chan/doubleselect.go`: of the cases of one `select` exactly one happens (C38). A sender
//! offers each number on four channels at once; if two offers were taken, the number would arrive
//! twice. Every number arrives (C14), and on each of the channels in order (C12).

use crate::go::{go, program, rounds};
use runtime::{Receiver, Sender, channel, select, task};

/// Go runs 100,000.
const NUMBERS_QUICK: usize = 20_000;
const NUMBERS: usize = 100_000;

#[task]
async fn offer(count: usize, outs: [Sender<usize>; 4]) {
    let [first, second, third, fourth] = &outs;
    for n in 0..count {
        select! {
            sent = first.send(n) => sent.unwrap(),
            sent = second.send(n) => sent.unwrap(),
            sent = third.send(n) => sent.unwrap(),
            sent = fourth.send(n) => sent.unwrap(),
        }
    }
    for out in outs {
        out.close().await.unwrap();
    }
}

#[task]
async fn forward(from: Receiver<usize>, to: Sender<usize>, done: Sender<()>) {
    let mut last = None;
    while let Ok(n) = from.recv().await {
        assert!(last < Some(n), "{n} came after {last:?}");
        last = Some(n);
        to.send(n).await.unwrap();
    }
    done.send(()).await.unwrap();
}

#[task]
async fn close_when_done(forwarders: usize, done: Receiver<()>, merged: Sender<usize>) {
    for _ in 0..forwarders {
        done.recv().await.unwrap();
    }
    merged.close().await.unwrap();
}

#[test]
fn of_four_offers_one_is_taken() {
    program(async {
        let count = rounds(NUMBERS_QUICK, NUMBERS);
        let (done, forwarders_done) = channel(0);
        let (merge, merged) = channel(0);
        let outs: [(Sender<usize>, Receiver<usize>); 4] = std::array::from_fn(|_| channel(0));
        for (_, from) in &outs {
            go(forward(from.clone(), merge.clone(), done.clone()));
        }
        go(offer(count, outs.map(|(out, _)| out)));
        go(close_when_done(4, forwarders_done, merge));

        let mut seen = vec![false; count];
        while let Ok(n) = merged.recv().await {
            assert!(!seen[n], "{n} came twice");
            seen[n] = true;
        }
        assert!(seen.iter().all(|seen| *seen), "a number is missing");
    });
}
