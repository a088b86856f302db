//! The walk of a message: between tasks of two workers, with the rules of one process.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::{with_processes, with_threads};
use runtime::{Path, Receiver, RecvError, SendError, Sender, channel, current_worker, spawn, task};
use tokio::time::timeout;

#[task]
async fn ping(rounds: u32, out: Sender<u32>, back: Receiver<u32>) -> Option<u64> {
    for n in 0..rounds {
        out.send(n).await.unwrap();
        assert_eq!(back.recv().await, Ok(n + 1));
    }
    current_worker()
}

#[task]
async fn pong(here: Receiver<u32>, back: Sender<u32>) -> Option<u64> {
    while let Ok(n) = here.recv().await {
        back.send(n + 1).await.unwrap();
    }
    current_worker()
}

#[test]
fn two_worker_processes_play_ping_pong() {
    for capacity in [0, 1, 16] {
        with_processes(2, async {
            let (there_in, there) = channel(capacity);
            let (back_in, back) = channel(capacity);
            let one = spawn(ping(200, there_in, back));
            let other = spawn(pong(there, back_in));
            let workers = (one.await.unwrap(), other.await.unwrap());
            assert!(workers.0.is_some() && workers.1.is_some() && workers.0 != workers.1);
        });
    }
}

#[task]
async fn produce(from: u64, count: u64, numbers: Sender<u64>) {
    for n in from..from + count {
        numbers.send(n).await.unwrap();
    }
}

#[task]
async fn consume(numbers: Receiver<u64>) -> Vec<u64> {
    let mut taken = Vec::new();
    loop {
        match numbers.recv().await {
            Ok(n) => taken.push(n),
            Err(end) => {
                assert_eq!(end, RecvError::Closed);
                return taken;
            }
        }
    }
}

/// C04, C12, C14: many senders, many receivers, every value once, and each sender's in order.
#[test]
fn every_message_is_taken_once() {
    for capacity in [0, 3, 64] {
        with_processes(2, async {
            let (numbers_in, numbers) = channel(capacity);
            let producers: Vec<_> =
                (0..4).map(|n| spawn(produce(n * 1000, 250, numbers_in.clone()))).collect();
            let consumers: Vec<_> = (0..4).map(|_| spawn(consume(numbers.clone()))).collect();
            drop((numbers_in, numbers));
            for producer in producers {
                producer.await.unwrap();
            }
            let mut all = BTreeSet::new();
            for consumer in consumers {
                let taken = consumer.await.unwrap();
                for sender in 0..4 {
                    let of_sender = taken.iter().filter(|n| **n / 1000 == sender);
                    assert!(of_sender.is_sorted(), "one sender's values stay in order");
                }
                for n in taken {
                    assert!(all.insert(n), "{n} was taken twice");
                }
            }
            assert_eq!(all.len(), 1000);
        });
    }
}

/// C23, C24, C26, C27: close takes effect at one point.
#[test]
fn close_and_drain_across_workers() {
    with_processes(2, async {
        let (sender, receiver) = channel(3);
        let filling = spawn(produce(0, 3, sender.clone()));
        filling.await.unwrap();
        assert_eq!(sender.path(), Path::Relayed);
        let waiting = sender.clone();
        let blocked = tokio::spawn(async move { waiting.send(99).await });
        tokio::task::yield_now().await;
        sender.close().await.unwrap();
        assert!(sender.close().await.is_err(), "a second close says so");
        assert_eq!(blocked.await.unwrap(), Err(SendError::Closed(99)), "the value comes back");
        assert_eq!(sender.send(100).await, Err(SendError::Closed(100)));
        assert_eq!(spawn(consume(receiver.clone())).await, Ok(vec![0, 1, 2]));
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    });
}

#[task]
async fn hold(receiver: Receiver<u64>, until: Receiver<()>) -> u64 {
    until.recv().await.unwrap_err();
    receiver.recv().await.unwrap()
}

/// C10, C53: a buffer of two holds two, wherever its ends are.
#[test]
fn capacity_is_exact_across_workers() {
    with_threads(1, async {
        let (sender, receiver) = channel(2);
        let (go, until) = channel(0);
        let holder = spawn(hold(receiver, until));
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        let third = timeout(Duration::from_millis(50), sender.send(3)).await;
        assert!(third.is_err(), "a third value does not fit");
        drop(go);
        assert_eq!(holder.await, Ok(1));
        assert!(sender.send(4).await.is_err(), "the only receiver has gone");
    });
}

/// C09: with capacity 0 a send waits for its receiver.
#[test]
fn a_rendezvous_across_workers_waits() {
    with_threads(1, async {
        let (sender, receiver) = channel(0);
        let (go, until) = channel(0);
        let holder = spawn(hold(receiver, until));
        let mut sending = std::pin::pin!(sender.send(5));
        assert!(timeout(Duration::from_millis(50), &mut sending).await.is_err());
        drop(go);
        assert_eq!(sending.await, Ok(()));
        assert_eq!(holder.await, Ok(5));
    });
}

#[task]
async fn echo(here: Receiver<Vec<u8>>, back: Sender<Vec<u8>>) {
    while let Ok(bytes) = here.recv().await {
        back.send(bytes).await.unwrap();
    }
}

/// D9: a receive that is given up loses nothing, and the order stays.
#[test]
fn a_cancelled_receive_loses_nothing() {
    with_threads(1, async {
        let (there, here) = channel(0);
        let (back_in, back) = channel(8);
        let echoing = spawn(echo(here, back_in));
        let sending = async {
            for n in 0..200u8 {
                there.send(vec![n]).await.unwrap();
            }
            drop(there);
        };
        let receiving = async {
            let mut received = Vec::new();
            let mut patience = 0;
            loop {
                // Given up at once, after one poll, after two …: before and after the offer came.
                let polls = patience % 4;
                patience += 1;
                let receive = std::pin::pin!(back.recv());
                match polled_at_most(polls, receive).await {
                    None => {}
                    Some(Ok(bytes)) => received.extend(bytes),
                    Some(Err(_)) => return received,
                }
                tokio::task::yield_now().await;
            }
        };
        let ((), received) = tokio::join!(sending, receiving);
        assert_eq!(received, (0..200).collect::<Vec<u8>>());
        echoing.await.unwrap();
    });
}

/// Polls a future so often, and gives up.
async fn polled_at_most<F: Future + Unpin>(polls: u32, mut future: F) -> Option<F::Output> {
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        std::pin::Pin::new(&mut future).poll(context).map(Some)
    })
    .await
}

#[test]
fn large_messages_go() {
    with_processes(1, async {
        let (there, here) = channel(1);
        let (back_in, back) = channel(1);
        let echoing = spawn(echo(here, back_in));
        let large: Vec<u8> = (0..4 << 20).map(|n: u32| n as u8).collect();
        there.send(large.clone()).await.unwrap();
        assert!(back.recv().await.unwrap() == large);
        drop(there);
        echoing.await.unwrap();
    });
}

#[task]
fn add_up(numbers: Receiver<u64>, sums: Sender<u64>) {
    let mut sum = 0;
    while let Ok(n) = numbers.recv_blocking() {
        sum += n;
        sums.send_blocking(sum).unwrap();
    }
}

#[test]
fn plain_functions_have_blocking_twins() {
    with_processes(1, async {
        let (numbers_in, numbers) = channel(0);
        let (sums_in, sums) = channel(0);
        let adding = spawn(add_up(numbers, sums_in));
        for (n, sum) in [(1, 1), (2, 3), (3, 6)] {
            numbers_in.send(n).await.unwrap();
            assert_eq!(sums.recv().await, Ok(sum));
        }
        drop(numbers_in);
        adding.await.unwrap();
        assert_eq!(sums.recv().await, Err(RecvError::Closed));
    });
}
