//! What one channel does, at every capacity: the checks of `TestChan` in Go's runtime.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::{StreamExt, join};
use runtime::{Call, Receiver, RecvError, Sender, TryRecvError, TrySendError, channel, task};

use crate::go::{blocks, go, program, rounds};

/// Gives a goroutine a new channel of each capacity, and waits for its word.
async fn at_each_capacity(test: impl Fn(Sender<u64>, Receiver<u64>, Sender<()>) -> Call<()>) {
    for capacity in 0..rounds(20, 200) {
        let (numbers_in, numbers) = channel(capacity);
        let (done_in, done) = channel(0);
        go(test(numbers_in, numbers, done_in));
        assert_eq!(done.recv().await, Ok(()), "capacity {capacity}");
    }
}

/// C11: two receives wait, a third one that may not wait says so, and two sends end the wait.
#[task]
async fn take_from_an_empty_one(numbers_in: Sender<u64>, numbers: Receiver<u64>, done: Sender<()>) {
    let mut one = pin!(numbers.recv());
    assert!(blocks(one.as_mut()).await);
    let mut other = pin!(numbers.recv());
    assert!(blocks(other.as_mut()).await);
    for _ in 0..2 {
        assert_eq!(numbers.try_recv().await, Err(TryRecvError::Empty));
    }
    let sends = async { (numbers_in.send(1).await, numbers_in.send(2).await) };
    let (sent, first, second) = join!(sends, one, other);
    assert_eq!((sent, first, second), ((Ok(()), Ok(())), Ok(1), Ok(2)));
    done.send(()).await.unwrap();
}

#[test]
fn a_receive_from_an_empty_channel_blocks() {
    program(at_each_capacity(take_from_an_empty_one));
}

/// C10: room for `capacity` values, and for no other until one is taken.
#[task]
async fn send_to_a_full_one(numbers_in: Sender<u64>, numbers: Receiver<u64>, done: Sender<()>) {
    let capacity = numbers_in.capacity() as u64;
    for n in 0..capacity {
        numbers_in.send(n).await.unwrap();
    }
    let mut one_more = pin!(numbers_in.send(capacity));
    assert!(blocks(one_more.as_mut()).await);
    for _ in 0..2 {
        assert_eq!(numbers_in.try_send(99).await, Err(TrySendError::Full(99)));
    }
    assert_eq!(join!(numbers.recv(), one_more), (Ok(0), Ok(())));
    for n in 1..=capacity {
        assert_eq!(numbers.try_recv().await, Ok(n), "what could not be sent is not there");
    }
    assert_eq!(numbers.try_recv().await, Err(TryRecvError::Empty));
    done.send(()).await.unwrap();
}

#[test]
fn a_send_to_a_full_channel_blocks() {
    program(at_each_capacity(send_to_a_full_one));
}

/// C23-C25: what was sent is received, and then the end, as often as one asks.
#[task]
async fn drain_a_closed_one(numbers_in: Sender<u64>, numbers: Receiver<u64>, done: Sender<()>) {
    let capacity = numbers_in.capacity() as u64;
    for n in 0..capacity {
        numbers_in.send(n).await.unwrap();
    }
    numbers_in.close().await.unwrap();
    for n in 0..capacity {
        assert_eq!(numbers.recv().await, Ok(n));
    }
    for _ in 0..3 {
        assert_eq!(numbers.recv().await, Err(RecvError::Closed));
        assert_eq!(numbers.try_recv().await, Err(TryRecvError::Closed));
        assert_eq!(numbers.clone().next().await, None);
    }
    done.send(()).await.unwrap();
}

#[test]
fn a_closed_channel_is_drained_and_then_ends_for_ever() {
    program(at_each_capacity(drain_a_closed_one));
}

#[task]
async fn wait_for_the_end(numbers: Receiver<u64>, waiting: Sender<()>, end: Sender<bool>) {
    let mut receive = pin!(numbers.recv());
    assert!(blocks(receive.as_mut()).await);
    waiting.send(()).await.unwrap();
    end.send(receive.await == Err(RecvError::Closed)).await.unwrap();
}

/// C28: close wakes all who wait.
#[test]
fn close_ends_receives_that_wait() {
    program(async {
        const RECEIVERS: usize = 3;
        for capacity in 0..rounds(20, 200) {
            let (numbers_in, numbers) = channel(capacity);
            let (waiting_in, waiting) = channel(0);
            let (end_in, end) = channel(0);
            for _ in 0..RECEIVERS {
                go(wait_for_the_end(numbers.clone(), waiting_in.clone(), end_in.clone()));
            }
            for _ in 0..RECEIVERS {
                waiting.recv().await.unwrap();
            }
            numbers_in.close().await.unwrap();
            for _ in 0..RECEIVERS {
                assert_eq!(end.recv().await, Ok(true), "capacity {capacity}");
            }
        }
    });
}

#[task]
async fn count(to: u64, numbers: Sender<u64>) {
    for n in 0..to {
        numbers.send(n).await.unwrap();
    }
}

/// C12: the values of one sender in its order, whether one asks for values or walks the stream.
#[test]
fn a_hundred_values_keep_their_order() {
    program(async {
        for capacity in 0..rounds(20, 200) {
            let (numbers_in, numbers) = channel(capacity);
            go(count(100, numbers_in.clone()));
            for n in 0..100 {
                assert_eq!(numbers.recv().await, Ok(n), "capacity {capacity}");
            }
            go(count(100, numbers_in.clone()));
            let stream: Vec<u64> = numbers.clone().take(100).collect().await;
            assert!(stream.into_iter().eq(0..100), "capacity {capacity}");
            assert_eq!(numbers.try_recv().await, Err(TryRecvError::Empty));
        }
    });
}

#[task]
async fn tally(values: u64, numbers: Receiver<u64>, tallies: Sender<BTreeMap<u64, u32>>) {
    let mut times = BTreeMap::new();
    for _ in 0..values {
        *times.entry(numbers.recv().await.unwrap()).or_default() += 1;
    }
    tallies.send(times).await.unwrap();
}

/// C14: four senders of the same values, four receivers: each value is received four times.
#[test]
fn four_senders_and_four_receivers_lose_and_double_nothing() {
    program(async {
        const PAIRS: u32 = 4;
        let values = rounds(100, 1000) as u64;
        for capacity in 0..rounds(20, 200) {
            let (numbers_in, numbers) = channel(capacity);
            let (tallies_in, tallies) = channel(0);
            for _ in 0..PAIRS {
                go(count(values, numbers_in.clone()));
                go(tally(values, numbers.clone(), tallies_in.clone()));
            }
            let mut total = BTreeMap::<u64, u32>::new();
            for _ in 0..PAIRS {
                for (value, times) in tallies.recv().await.unwrap() {
                    *total.entry(value).or_default() += times;
                }
            }
            assert!(total.keys().copied().eq(0..values), "capacity {capacity}: {total:?}");
            assert!(total.values().all(|times| *times == PAIRS), "capacity {capacity}: {total:?}");
        }
    });
}

/// C01, C08: `len` tells what is buffered, and `capacity` how much may be, on either end.
#[task]
async fn fill_and_empty(numbers_in: Sender<u64>, numbers: Receiver<u64>, done: Sender<()>) {
    let capacity = numbers.capacity();
    assert_eq!(numbers_in.capacity(), capacity);
    for n in 0..capacity {
        assert_eq!((numbers_in.len().await, numbers.len().await), (n, n));
        assert_eq!(numbers.is_empty().await, n == 0);
        numbers_in.send(n as u64).await.unwrap();
    }
    for n in (0..capacity).rev() {
        assert!(!numbers_in.is_empty().await);
        numbers.recv().await.unwrap();
        assert_eq!((numbers_in.len().await, numbers.len().await), (n, n));
    }
    numbers_in.close().await.unwrap();
    assert_eq!((numbers_in.len().await, numbers.len().await), (0, 0));
    assert_eq!((numbers_in.capacity(), numbers.capacity()), (capacity, capacity));
    done.send(()).await.unwrap();
}

#[test]
fn len_and_capacity_are_exact_while_nobody_else_is_there() {
    program(at_each_capacity(fill_and_empty));
}
