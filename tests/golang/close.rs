//! What a close does to those who wait, which Go's `test/closedchan.go` says that it leaves out:
//! senders that wait get their values back, and these are never received (C27, C30); receivers that
//! wait are all woken (C28), whether they wait in an operation or in a `select`; and of two who
//! close at once one is told that the other was first (C29).

use std::pin::pin;

use crate::go::{blocks, go, program, rounds};
use runtime::{Receiver, RecvError, SendError, Sender, channel, select, task};
use serde::{Deserialize, Serialize};

const WAITING: u32 = 10;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Way {
    Operation,
    Select,
}

async fn send(way: Way, to: &Sender<u32>, value: u32) -> Result<(), SendError<u32>> {
    let (_silent_in, silent) = channel::<()>(0);
    match way {
        Way::Operation => to.send(value).await,
        Way::Select => select! {
            _ = silent.recv() => panic!("nobody sends here"),
            sent = to.send(value) => sent,
        },
    }
}

async fn receive(way: Way, from: &Receiver<u32>) -> Result<u32, RecvError> {
    let (_silent_in, silent) = channel::<()>(0);
    match way {
        Way::Operation => from.recv().await,
        Way::Select => select! {
            received = from.recv() => received,
            _ = silent.recv() => panic!("nobody sends here"),
        },
    }
}

/// Tells when it waits, and then that its value came back.
#[task]
async fn wait_to_send(way: Way, to: Sender<u32>, value: u32, waits: Sender<()>, back: Sender<u32>) {
    let mut sending = pin!(send(way, &to, value));
    assert!(blocks(sending.as_mut()).await);
    waits.send(()).await.unwrap();
    assert_eq!(sending.await, Err(SendError::Closed(value)));
    back.send(value).await.unwrap();
}

/// Tells when it waits, and then that the end came.
#[task]
async fn wait_to_receive(way: Way, from: Receiver<u32>, waits: Sender<()>, ended: Sender<()>) {
    let mut receiving = pin!(receive(way, &from));
    assert!(blocks(receiving.as_mut()).await);
    waits.send(()).await.unwrap();
    assert_eq!(receiving.await, Err(RecvError::Closed));
    ended.send(()).await.unwrap();
}

#[test]
fn senders_that_wait_get_their_values_back() {
    program(async {
        for (way, capacity) in
            [(Way::Operation, 0), (Way::Operation, 2), (Way::Select, 0), (Way::Select, 2)]
        {
            let (to, from) = channel(capacity as usize);
            let (waits, waiting) = channel(0);
            let (back_in, back) = channel(0);
            for value in 0..capacity {
                to.send(value).await.unwrap();
            }
            for value in 100..100 + WAITING {
                go(wait_to_send(way, to.clone(), value, waits.clone(), back_in.clone()));
                waiting.recv().await.unwrap();
            }
            to.close().await.unwrap();
            let mut values = Vec::new();
            for _ in 0..WAITING {
                values.push(back.recv().await.unwrap());
            }
            values.sort_unstable();
            assert!(values.into_iter().eq(100..100 + WAITING), "{way:?}, {capacity}");
            for value in 0..capacity {
                assert_eq!(from.recv().await, Ok(value), "what the buffer held is received");
            }
            assert_eq!(from.recv().await, Err(RecvError::Closed), "and nothing else is");
        }
    });
}

#[test]
fn receivers_that_wait_are_all_woken() {
    program(async {
        for (way, capacity) in
            [(Way::Operation, 0), (Way::Operation, 2), (Way::Select, 0), (Way::Select, 2)]
        {
            let (to, from) = channel(capacity);
            let (waits, waiting) = channel(0);
            let (ended_in, ended) = channel(0);
            for _ in 0..WAITING {
                go(wait_to_receive(way, from.clone(), waits.clone(), ended_in.clone()));
                waiting.recv().await.unwrap();
            }
            to.close().await.unwrap();
            for _ in 0..WAITING {
                ended.recv().await.unwrap();
            }
        }
    });
}

/// One `select` that waits on a channel in several cases is woken once.
#[test]
fn a_select_that_waits_twice_on_a_channel_is_woken_by_its_close() {
    program(async {
        let (to, from) = channel::<u32>(0);
        let mut selecting = pin!(async {
            select! {
                received = from.recv() => received.err() == Some(RecvError::Closed),
                sent = to.send(1) => sent == Err(SendError::Closed(1)),
                received = from.recv() => received.err() == Some(RecvError::Closed),
            }
        });
        assert!(blocks(selecting.as_mut()).await);
        to.close().await.unwrap();
        assert!(selecting.await, "either case tells of the close");
    });
}

/// Dropping the last handle of a side is a close as well, where Go's handles have no end (C50).
#[test]
fn the_last_handle_closes_the_channel_for_those_who_wait() {
    program(async {
        let (to, from) = channel::<u32>(0);
        let more = to.clone();
        let mut receiving = pin!(from.recv());
        drop(to);
        assert!(blocks(receiving.as_mut()).await, "a sender is left");
        drop(more);
        assert_eq!(receiving.await, Err(RecvError::Closed));

        let (to, from) = channel(0);
        let more = from.clone();
        let mut sending = pin!(to.send(7));
        drop(from);
        assert!(blocks(sending.as_mut()).await, "a receiver is left");
        drop(more);
        assert_eq!(sending.await, Err(SendError::Closed(7)));
    });
}

#[task]
async fn close(channel: Sender<u32>, first: Sender<bool>) {
    first.send(channel.close().await.is_ok()).await.unwrap();
}

#[test]
fn of_those_who_close_at_once_one_is_first() {
    const TIMES_QUICK: usize = 200;
    const TIMES: usize = 2_000;
    program(async {
        for _ in 0..rounds(TIMES_QUICK, TIMES) {
            let (to, from) = channel(0);
            let (first_in, first) = channel(0);
            for _ in 0..3 {
                go(close(to.clone(), first_in.clone()));
            }
            let mut firsts = 0;
            for _ in 0..3 {
                firsts += u32::from(first.recv().await.unwrap());
            }
            assert_eq!(firsts, 1);
            assert_eq!(from.recv().await, Err(RecvError::Closed));
        }
    });
}
