//! Channels under every order of two or three threads in which threads that could go on are made to
//! wait at most three times. Run it with `RUSTFLAGS="--cfg loom" cargo test --test orders`. What
//! takes more threads is in `tests/schedules`; the claim by itself in
//! `channels/src/claim/models.rs`.

#![cfg(loom)]

use std::future::Future;
use std::pin::pin;

use channels::{RecvError, channel, select};
use futures::FutureExt;
use loom::future::block_on;
use loom::model::Builder;
use loom::thread;

/// How often a thread that could go on is made to wait: most bugs need two.
const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// Polls a future once with a waker that is of no use, then waits for it.
async fn handed_over<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().now_or_never() {
        Some(output) => output,
        None => future.await,
    }
}

#[test]
fn a_send_meets_a_receive() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let thread = thread::spawn(move || block_on(sender.send(7)));
        assert_eq!(block_on(handed_over(receiver.recv())), Ok(7));
        assert_eq!(thread.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_value_for_a_receive_that_was_given_up_goes_to_the_next() {
    explore(|| {
        let (sender, receiver) = channel(1);
        let thread = thread::spawn(move || {
            block_on(sender.send(1)).expect("it is open");
            block_on(sender.send(2)).expect("it is open");
        });
        let first = receiver.recv().now_or_never();
        let first = first.unwrap_or_else(|| block_on(receiver.recv()));
        assert_eq!(first, Ok(1));
        assert_eq!(block_on(receiver.recv()), Ok(2));
        thread.join().unwrap();
        assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
    });
}

#[test]
fn a_send_that_was_given_up_happened_or_did_not() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let thread = thread::spawn(move || {
            let sent = sender.send(1).now_or_never();
            drop(sender);
            sent.is_some()
        });
        let received = block_on(receiver.recv());
        let is_sent = thread.join().unwrap();
        assert!(received == Ok(1) || !is_sent, "it was sent and is lost");
    });
}

#[test]
fn of_two_cases_one_happens_and_the_other_value_stays() {
    explore(|| {
        let (one, ones) = channel(1);
        let (two, twos) = channel(1);
        let sends = [(one.clone(), 1), (two.clone(), 2)];
        let threads = sends.map(|(sender, value)| {
            thread::spawn(move || block_on(sender.send(value)).expect("it is open"))
        });
        let received = block_on(async {
            select! {
                value = ones.recv() => value,
                value = twos.recv() => value,
            }
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let left = [&ones, &twos].map(|receiver| receiver.recv().now_or_never());
        match received {
            Ok(1) => assert_eq!(left, [None, Some(Ok(2))]),
            Ok(2) => assert_eq!(left, [Some(Ok(1)), None]),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_select_that_is_handed_over_wakes_its_new_task() {
    explore(|| {
        let (one, ones) = channel(0);
        let (_two, twos) = channel::<u8>(0);
        let thread = thread::spawn(move || block_on(one.send(7)));
        let received = block_on(handed_over(async {
            select! {
                value = ones.recv() => value,
                value = twos.recv() => value,
            }
        }));
        assert_eq!(received, Ok(7));
        assert_eq!(thread.join().unwrap(), Ok(()));
    });
}

#[test]
fn crossing_selects_meet() {
    explore(|| {
        let (to_a, from_a) = channel(0);
        let (to_b, from_b) = channel(0);
        let thread = thread::spawn(move || {
            block_on(async {
                select! {
                    sent = to_b.send(2) => sent.map(|()| None).expect("the other waits"),
                    value = from_a.recv() => Some(value.expect("the other waits")),
                }
            })
        });
        let here = block_on(async {
            select! {
                sent = to_a.send(1) => sent.map(|()| None).expect("the other waits"),
                value = from_b.recv() => Some(value.expect("the other waits")),
            }
        });
        let there = thread.join().unwrap();
        assert!(matches!((here, there), (Some(2), None) | (None, Some(1))), "{here:?} {there:?}");
    });
}

#[test]
fn a_close_wakes_whoever_receives() {
    explore(|| {
        let (sender, receiver) = channel::<u8>(0);
        let thread = thread::spawn(move || drop(sender));
        assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
        thread.join().unwrap();
    });
}

#[test]
fn a_close_refuses_whoever_sends_or_comes_after() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let thread = thread::spawn(move || drop(receiver));
        assert_eq!(block_on(sender.send(1)).unwrap_err().into_inner(), 1);
        thread.join().unwrap();
    });
}
