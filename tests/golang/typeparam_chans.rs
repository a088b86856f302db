//! `test/typeparam/chans.go`: small tools over channels of any type, each ended by a context (C57):
//! read all, merge two, filter, discard (C21, C45); a value that one goroutine at a time may have
//! (C36, C53); and a pair whose sender learns that its receiver is gone, which in Go takes a
//! finalizer, and here is a `Drop` (C50).
//!
//! A task has one type, so each tool is a generic function and a task that calls it. A context is
//! given to a goroutine as the channel that closes when it is done; `main` holds the context
//! itself.

use std::pin::pin;

use crate::go::{blocks, go, program};
use runtime::{Context, Message, Receiver, Sender, TrySendError, WaitGroup, channel, select, task};
use serde::{Deserialize, Serialize};

/// Everything that comes until the end or until the context is done.
async fn read_all<T: Message>(done: &Receiver<()>, from: &Receiver<T>) -> Vec<T> {
    let mut values = Vec::new();
    loop {
        select! {
            _ = done.recv() => return values,
            received = from.recv() => match received {
                Ok(value) => values.push(value),
                Err(_) => return values,
            },
        }
    }
}

/// Sends what comes from both, until both have ended or the context is done.
async fn merge_into<T: Message>(
    done: Receiver<()>,
    left: Receiver<T>,
    right: Receiver<T>,
    to: Sender<T>,
) {
    let (mut left, mut right) = (Some(left), Some(right));
    while left.is_some() || right.is_some() {
        select! {
            _ = done.recv() => break,
            received = left.recv() => match received {
                Ok(value) => to.send(value).await.unwrap(),
                Err(_) => left = None,
            },
            received = right.recv() => match received {
                Ok(value) => to.send(value).await.unwrap(),
                Err(_) => right = None,
            },
        }
    }
    to.close().await.unwrap();
}

/// Sends what comes and is wanted, until the end or until the context is done.
async fn filter_into<T: Message>(
    done: Receiver<()>,
    from: Receiver<T>,
    wanted: impl Fn(&T) -> bool,
    to: Sender<T>,
) {
    loop {
        select! {
            _ = done.recv() => break,
            received = from.recv() => match received {
                Ok(value) if wanted(&value) => to.send(value).await.unwrap(),
                Ok(_) => {}
                Err(_) => break,
            },
        }
    }
    to.close().await.unwrap();
}

/// Takes and drops what comes, until the end or until the context is done.
async fn discard<T: Message>(done: &Receiver<()>, from: &Receiver<T>) {
    drop(read_all(done, from).await);
}

#[task]
async fn send_all(numbers: Vec<u32>, to: Sender<u32>) {
    for n in numbers {
        to.send(n).await.unwrap();
    }
    to.close().await.unwrap();
}

fn sent(numbers: &[u32]) -> Receiver<u32> {
    let (to, from) = channel(0);
    go(send_all(numbers.to_vec(), to));
    from
}

#[task]
async fn merge(done: Receiver<()>, left: Receiver<u32>, right: Receiver<u32>, to: Sender<u32>) {
    merge_into(done, left, right, to).await;
}

#[task]
async fn filter_even(done: Receiver<()>, from: Receiver<u32>, to: Sender<u32>) {
    filter_into(done, from, |n| n % 2 == 0, to).await;
}

#[task]
async fn sink(done: Receiver<()>, from: Receiver<u32>, ended: Sender<()>) {
    discard(&done, &from).await;
    ended.send(()).await.unwrap();
}

#[test]
fn read_all_reads_until_the_close() {
    program(async {
        let context = Context::background();
        let done = context.done();
        assert_eq!(read_all(&done, &sent(&[4, 2, 5])).await, [4, 2, 5]);
    });
}

#[test]
fn read_all_ends_with_its_context() {
    program(async {
        let (context, cancel) = Context::background().with_cancel();
        let (to, from) = channel(3);
        for n in [4, 2, 5] {
            to.send(n).await.unwrap();
        }
        let done = context.done();
        let mut reading = pin!(read_all(&done, &from));
        assert!(blocks(reading.as_mut()).await, "the channel is open and the context is not done");
        cancel.cancel();
        assert_eq!(reading.await, [4, 2, 5]);
    });
}

#[test]
fn merge_sends_what_both_send() {
    program(async {
        let context = Context::background();
        let done = context.done();
        let (to, merged) = channel(0);
        go(merge(done.clone(), sent(&[1, 3, 5]), sent(&[2, 4, 6]), to));
        let mut numbers = read_all(&done, &merged).await;
        let (odd, even): (Vec<_>, Vec<_>) = numbers.iter().partition(|n| **n % 2 == 1);
        assert_eq!((odd, even), (vec![1, 3, 5], vec![2, 4, 6]), "each keeps its order");
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn merge_closes_its_channel_when_the_context_is_done() {
    program(async {
        let (context, cancel) = Context::background().with_cancel();
        let (left_to, left) = channel::<u32>(0);
        let (_right_to, right) = channel(0);
        let (to, merged) = channel(0);
        go(merge(context.done(), left, right, to));
        left_to.send(1).await.unwrap();
        assert_eq!(merged.recv().await, Ok(1));
        cancel.cancel();
        assert!(merged.recv().await.is_err());
    });
}

#[test]
fn filter_sends_what_is_wanted() {
    program(async {
        let context = Context::background();
        let done = context.done();
        let (to, filtered) = channel(0);
        go(filter_even(done.clone(), sent(&[1, 2, 3]), to));
        assert_eq!(read_all(&done, &filtered).await, [2]);
    });
}

#[test]
fn sink_takes_everything() {
    program(async {
        let (to, from) = channel(0);
        let (ended_in, ended) = channel(0);
        let context = Context::background();
        go(sink(context.done(), from, ended_in.clone()));
        for n in 1..=3 {
            to.send(n).await.unwrap();
        }
        to.close().await.unwrap();
        ended.recv().await.unwrap();

        let (context, cancel) = Context::background().with_cancel();
        let (to, from) = channel(0);
        go(sink(context.done(), from, ended_in));
        to.send(1).await.unwrap();
        cancel.cancel();
        ended.recv().await.unwrap();
    });
}

/// A value that one goroutine at a time has: who has it took it out of a channel.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Exclusive<T: Message> {
    put: Sender<T>,
    take: Receiver<T>,
}

impl<T: Message> Exclusive<T> {
    async fn new(value: T) -> Self {
        let (put, take) = channel(1);
        put.send(value).await.unwrap();
        Self { put, take }
    }

    fn share(&self) -> Self {
        Self { put: self.put.clone(), take: self.take.clone() }
    }

    async fn acquire(&self) -> T {
        self.take.recv().await.unwrap()
    }

    async fn try_acquire(&self) -> Option<T> {
        self.take.try_recv().await.ok()
    }

    async fn release(&self, value: T) -> Result<(), TrySendError<T>> {
        self.put.try_send(value).await
    }
}

#[task]
async fn count_up(times: u32, count: Exclusive<u32>, done: Sender<()>) {
    for _ in 0..times {
        let n = count.acquire().await;
        tokio::task::yield_now().await; // others may try meanwhile
        assert!(count.release(n + 1).await.is_ok());
    }
    done.send(()).await.unwrap();
}

#[test]
fn one_at_a_time_has_the_value() {
    program(async {
        let count = Exclusive::new(0).await;
        let (done, counted) = channel(0);
        for _ in 0..2 {
            go(count_up(10, count.share(), done.clone()));
        }
        counted.recv().await.unwrap();
        counted.recv().await.unwrap();
        assert_eq!(count.acquire().await, 20);
    });
}

/// The same with the group of Go's program; it counts goroutines of this process.
#[test]
fn a_group_waits_for_those_who_had_the_value() {
    program(async {
        let count = Exclusive::new(0).await;
        let group = WaitGroup::new();
        group.add(2);
        for _ in 0..2 {
            let (done, counted) = channel(0);
            go(count_up(10, count.share(), done));
            let group = group.clone();
            tokio::spawn(async move {
                counted.recv().await.unwrap();
                group.done();
            });
        }
        group.wait().await;
        assert_eq!(count.acquire().await, 20);
    });
}

#[task]
async fn try_in_vain(text: Exclusive<String>, done: Sender<()>) {
    assert_eq!(text.try_acquire().await, None);
    done.send(()).await.unwrap();
}

#[test]
fn who_does_not_wait_does_not_get_a_value_that_is_taken() {
    program(async {
        let text = Exclusive::new(String::new()).await;
        assert_eq!(text.try_acquire().await.as_deref(), Some(""));
        let (done, tried) = channel(0);
        go(try_in_vain(text.share(), done));
        tried.recv().await.unwrap();
        assert!(text.release("a".to_owned()).await.is_ok());
        let twice = text.release("b".to_owned()).await;
        assert!(matches!(twice, Err(TrySendError::Full(_))), "nobody has acquired it");
        assert_eq!(text.try_acquire().await.as_deref(), Some("a"));
    });
}

/// Sends, and learns when the receiver is gone.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct RangeSender<T: Message> {
    values: Sender<T>,
    gone: Receiver<()>,
}

/// Receives; when it is dropped, `gone` closes.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct RangeReceiver<T: Message> {
    values: Receiver<T>,
    gone: Sender<()>,
}

fn ranger<T: Message>() -> (RangeSender<T>, RangeReceiver<T>) {
    let ((to, from), (gone_in, gone)) = (channel(0), channel(0));
    (RangeSender { values: to, gone }, RangeReceiver { values: from, gone: gone_in })
}

impl<T: Message> RangeSender<T> {
    /// Whether the value was sent.
    async fn send(&self, done: &Receiver<()>, value: T) -> bool {
        select! {
            _ = done.recv() => false,
            sent = self.values.send(value) => sent.is_ok(),
            _ = self.gone.recv() => false,
        }
    }
}

impl<T: Message> RangeReceiver<T> {
    async fn next(&self, done: &Receiver<()>) -> Option<T> {
        select! {
            _ = done.recv() => None,
            received = self.values.recv() => received.ok(),
        }
    }
}

#[task]
async fn take_one(done: Receiver<()>, range: RangeReceiver<u32>) {
    assert_eq!(range.next(&done).await, Some(1));
}

#[task]
async fn send_two(
    done: Receiver<()>,
    range: RangeSender<u32>,
    first: Sender<()>,
    ended: Sender<()>,
) {
    assert!(range.send(&done, 1).await);
    first.close().await.unwrap();
    assert!(!range.send(&done, 2).await, "the receiver is gone");
    ended.close().await.unwrap();
}

#[test]
fn a_sender_learns_that_its_receiver_is_gone() {
    program(async {
        let context = Context::background();
        let done = context.done();
        let (to, from) = ranger();
        let ((first_in, first), (ended_in, ended)) = (channel(0), channel(0));
        go(take_one(done.clone(), from));
        go(send_two(done, to, first_in, ended_in));
        assert!(first.recv().await.is_err());
        assert!(ended.recv().await.is_err());
    });
}

#[test]
fn a_range_ends_with_its_context_or_with_its_sender() {
    program(async {
        let (context, cancel) = Context::background().with_cancel();
        let done = context.done();
        let (to, from) = ranger::<u32>();
        let mut sending = pin!(to.send(&done, 1));
        assert!(blocks(sending.as_mut()).await);
        cancel.cancel();
        assert!(!sending.await);
        assert_eq!(from.next(&done).await, None, "what was not sent does not come");

        let context = Context::background();
        let done = context.done();
        let mut receiving = pin!(from.next(&done));
        assert!(blocks(receiving.as_mut()).await);
        to.values.close().await.unwrap();
        assert_eq!(receiving.await, None);
    });
}
