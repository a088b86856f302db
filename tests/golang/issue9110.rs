//! `test/fixedbugs/issue9110.go`: a `select` with the same channel in several cases leaves nothing
//! behind, neither when the channel closes nor when another case happens (C39, C43). Go's program
//! counts objects in use around closes; here, with everything on one thread, the count is exact.

use std::pin::pin;

use crate::allocation::{is_exact, live};
use crate::go::{blocks, go, program_on_one_thread};
use futures::join;
use runtime::{Receiver, Sender, channel, select, task};

const ROUNDS: usize = 20;
const WARM_UP: usize = 10;
const WAITING: usize = 10;
/// As many as Go allows.
const GROWTH_BLOCKS_MAX: isize = 20;

#[task]
async fn wait_three_times(from: Receiver<u32>, waits: Sender<()>, ended: Sender<()>) {
    let mut selecting = pin!(async {
        select! {
            received = from.recv() => received,
            received = from.recv() => received,
            received = from.recv() => received,
        }
    });
    assert!(blocks(selecting.as_mut()).await);
    waits.send(()).await.unwrap();
    assert!(selecting.await.is_err());
    ended.send(()).await.unwrap();
}

#[test]
fn a_close_leaves_nothing_of_those_who_waited() {
    program_on_one_thread(async {
        let (waits, waiting) = channel(0);
        let (ended_in, ended) = channel(0);
        let mut before = live();
        for round in 0..ROUNDS {
            if round == WARM_UP {
                before = live();
            }
            let (to, from) = channel(0);
            for _ in 0..WAITING {
                go(wait_three_times(from.clone(), waits.clone(), ended_in.clone()));
                waiting.recv().await.unwrap();
            }
            to.close().await.unwrap();
            for _ in 0..WAITING {
                ended.recv().await.unwrap();
            }
            tokio::task::yield_now().await; // the last of them ends
        }
        let growth = live().blocks - before.blocks;
        assert!(growth <= GROWTH_BLOCKS_MAX || !is_exact(), "{growth} blocks are left");
    });
}

/// The channel stays open, and the `select` goes on by another.
#[test]
fn cases_that_lost_leave_nothing_in_a_channel_that_stays() {
    program_on_one_thread(async {
        let (stays_in, stays) = channel::<u32>(0);
        let (other_in, other) = channel(0);
        let mut before = live();
        for round in 0..WARM_UP * ROUNDS {
            if round == WARM_UP {
                before = live();
            }
            let mut selecting = pin!(async {
                select! {
                    received = stays.recv() => panic!("received {received:?}"),
                    received = stays.recv() => panic!("received {received:?}"),
                    _ = stays_in.send(1) => panic!("sent to itself"),
                    received = other.recv() => received.unwrap(),
                }
            });
            assert!(blocks(selecting.as_mut()).await);
            assert_eq!(join!(other_in.send(round), selecting), (Ok(()), round));
        }
        let growth = live().blocks - before.blocks;
        assert!(growth <= GROWTH_BLOCKS_MAX || !is_exact(), "{growth} blocks are left");
    });
}

/// The `select` is given up while it waits.
#[test]
fn a_select_that_is_given_up_leaves_nothing() {
    program_on_one_thread(async {
        let (to, from) = channel::<u32>(0);
        let mut before = live();
        for round in 0..WARM_UP * ROUNDS {
            if round == WARM_UP {
                before = live();
            }
            let mut selecting = pin!(async {
                select! {
                    received = from.recv() => panic!("received {received:?}"),
                    received = from.recv() => panic!("received {received:?}"),
                    _ = to.send(1) => panic!("sent to itself"),
                }
            });
            assert!(blocks(selecting.as_mut()).await);
        }
        let growth = live().blocks - before.blocks;
        assert!(growth <= GROWTH_BLOCKS_MAX || !is_exact(), "{growth} blocks are left");
        let mut receiving = pin!(from.recv());
        assert!(blocks(receiving.as_mut()).await, "no send was left behind");
    });
}
