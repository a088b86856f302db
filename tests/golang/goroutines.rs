//! `test/chan/goroutines.go`: very many goroutines in one chain, each joined to the next by a
//! rendezvous; one value ripples through all of them, and they end (C04, C09, C46).

use crate::go::{go, program, rounds};
use runtime::{Receiver, Sender, channel, task};

/// As many as Go's.
const LINKS: usize = 10_000;

#[task]
async fn pass_on(left: Sender<u32>, right: Receiver<u32>) {
    left.send(right.recv().await.unwrap()).await.unwrap();
}

#[task]
async fn start(last: Sender<u32>) {
    last.send(1).await.unwrap();
}

#[test]
fn a_value_ripples_through_a_chain_of_goroutines() {
    program(async {
        let (mut left, leftmost) = channel(0);
        for _ in 0..rounds(LINKS, LINKS) {
            let (next, right) = channel(0);
            go(pass_on(left, right));
            left = next;
        }
        go(start(left));
        assert_eq!(leftmost.recv().await, Ok(1));
    });
}
