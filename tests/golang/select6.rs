//! `test/chan/select6.go` (Go's issue 2075): a case that lost leaves the line of its channel as it
//! was (C38). The `select` waits last in the line of a channel on which another receiver waits; it
//! goes on by another channel, and comes back to the line: every receiver there must still be
//! woken.

use std::pin::pin;

use crate::go::{blocks, go, program, rounds};
use futures::join;
use runtime::{Receiver, Sender, channel, select, task};

/// Go's program runs once; who waits first is left to its scheduler.
const REPETITIONS_QUICK: usize = 200;
const REPETITIONS: usize = 2_000;

#[task]
async fn take_one(from: Receiver<bool>) {
    from.recv().await.unwrap();
}

#[task]
async fn put_one(to: Sender<bool>) {
    to.send(true).await.unwrap();
}

/// Waits on both, goes on by the second, and then takes one of the first.
#[task]
async fn lose_and_come_back(first: Receiver<bool>, second: Receiver<bool>, lost: Sender<bool>) {
    select! {
        _ = first.recv() => panic!("nobody sent on the first"),
        _ = second.recv() => lost.send(true).await.unwrap(),
    }
    first.recv().await.unwrap();
}

#[test]
fn receivers_beside_a_case_that_lost_are_woken() {
    program(async {
        for _ in 0..rounds(REPETITIONS_QUICK, REPETITIONS) {
            let (first_in, first) = channel(0);
            let (second_in, second) = channel(0);
            let (lost_in, lost) = channel(0);
            go(take_one(first.clone()));
            go(lose_and_come_back(first, second, lost_in));
            go(put_one(second_in));
            lost.recv().await.unwrap();
            first_in.send(true).await.unwrap();
            first_in.send(true).await.unwrap();
        }
    });
}

/// The same with the order in the line given: one receiver waits before the `select`, and others
/// join the line after the `select` has left it.
#[test]
fn a_case_that_lost_in_the_middle_of_a_line_leaves_it_whole() {
    program(async {
        let (first_in, first) = channel(0);
        let (second_in, second) = channel::<u32>(0);
        let mut before = pin!(first.recv());
        assert!(blocks(before.as_mut()).await);
        let mut selecting = pin!(async {
            select! {
                n = first.recv() => panic!("the first gave {n:?}"),
                n = second.recv() => n.unwrap(),
            }
        });
        assert!(blocks(selecting.as_mut()).await);
        let mut between = pin!(first.recv());
        assert!(blocks(between.as_mut()).await);

        assert_eq!(join!(second_in.send(2), selecting), (Ok(()), 2));
        let mut after = pin!(first.recv());
        assert!(blocks(after.as_mut()).await);
        let sends = async {
            for n in 10..13 {
                first_in.send(n).await.unwrap();
            }
        };
        let received = join!(sends, before, between, after);
        assert_eq!(received, ((), Ok(10), Ok(11), Ok(12)));
        let mut nobody = pin!(first_in.send(13));
        assert!(blocks(nobody.as_mut()).await, "the line is empty again");
    });
}

/// The same for sends.
#[test]
fn a_send_case_that_lost_leaves_the_line_whole() {
    program(async {
        let (first_in, first) = channel(0);
        let (second_in, second) = channel(0);
        let mut before = pin!(first_in.send(10));
        assert!(blocks(before.as_mut()).await);
        let mut selecting = pin!(async {
            select! {
                _ = first_in.send(666) => panic!("the first took the value"),
                sent = second_in.send(2) => sent.unwrap(),
            }
        });
        assert!(blocks(selecting.as_mut()).await);
        let mut after = pin!(first_in.send(11));
        assert!(blocks(after.as_mut()).await);

        assert_eq!(join!(second.recv(), selecting), (Ok(2), ()));
        let receives = async { (first.recv().await, first.recv().await) };
        let sent = join!(receives, before, after);
        assert_eq!(sent, ((Ok(10), Ok(11)), Ok(()), Ok(())));
        let mut nothing = pin!(first.recv());
        assert!(blocks(nothing.as_mut()).await, "what lost is not there");
    });
}
