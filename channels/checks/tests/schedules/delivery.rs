//! Every value arrives once, and in the order of its sender.

use channels::{Receiver, Sender, TryRecvError, TrySendError, channel};
use futures::StreamExt;

use super::explore::{explore, glance, go, join, wait_for};

/// A value: who sent it, and which of theirs it is.
pub(crate) type Value = (u8, u8);

const EACH: u8 = 3;

/// Sends [`EACH`] values, and drops the sender.
pub(crate) async fn send_all(sender: Sender<Value>, who: u8) {
    for which in 0..EACH {
        sender.send((who, which)).await.expect("somebody receives");
    }
}

/// Receives until the channel is closed.
pub(crate) async fn receive_all(receiver: Receiver<Value>) -> Vec<Value> {
    let mut received = Vec::new();
    while let Ok(value) = receiver.recv().await {
        received.push(value);
    }
    received
}

/// Whether the values of each sender grow (C12).
pub(crate) fn assert_in_order(received: &[Value]) {
    for sender in received.iter().map(|(who, _)| *who) {
        let of_one = received.iter().filter(|(who, _)| *who == sender);
        let of_one: Vec<u8> = of_one.map(|(_, which)| *which).collect();
        assert!(of_one.is_sorted(), "out of order: {received:?}");
    }
}

/// Whether each value of these senders is there once (C14).
pub(crate) fn assert_each_once(mut received: Vec<Value>, senders: u8) {
    received.sort_unstable();
    let sent: Vec<Value> =
        (0..senders).flat_map(|who| (0..EACH).map(move |which| (who, which))).collect();
    assert_eq!(received, sent);
}

fn many_to_many(capacity: usize) {
    let (sender, receiver) = channel(capacity);
    let senders = [0, 1].map(|who| go(send_all(sender.clone(), who)));
    drop(sender);
    let receivers = [receiver.clone(), receiver].map(|receiver| go(receive_all(receiver)));
    join(senders);
    let received = join(receivers);
    received.iter().for_each(|received| assert_in_order(received));
    assert_each_once(received.concat(), 2);
}

#[test]
fn many_to_many_at_a_rendezvous() {
    explore(|| many_to_many(0));
}

#[test]
fn many_to_many_with_a_buffer_of_one() {
    explore(|| many_to_many(1));
}

#[test]
fn many_to_many_with_a_buffer_of_two() {
    explore(|| many_to_many(2));
}

/// The k-th receive happens before the end of the (k+C)-th send (C53): a buffer is a semaphore.
#[test]
fn a_buffer_of_two_admits_two() {
    explore(|| {
        let (enter, leave) = channel(2);
        let inside = std::sync::Arc::new(shuttle::sync::atomic::AtomicUsize::new(0));
        let visit = |_| {
            let (enter, leave, inside) = (enter.clone(), leave.clone(), inside.clone());
            go(async move {
                let order = shuttle::sync::atomic::Ordering::SeqCst;
                enter.send(()).await.expect("it is open");
                assert!(inside.fetch_add(1, order) < 2, "three at once");
                shuttle::thread::yield_now();
                inside.fetch_sub(1, order);
                leave.recv().await.expect("it is open");
            })
        };
        join([0, 1, 2, 3].map(visit));
        assert_eq!(wait_for(leave.len()), 0);
    });
}

#[test]
fn what_does_not_wait_is_sent_and_received_once() {
    explore(|| {
        let (sender, receiver) = channel(1);
        let senders = [0, 1].map(|who| {
            let sender = sender.clone();
            go(async move {
                for which in 0..EACH {
                    let mut value = (who, which);
                    while let Err(error) = sender.try_send(value).await {
                        assert!(matches!(error, TrySendError::Full(_)));
                        value = error.into_inner();
                        shuttle::future::yield_now().await;
                    }
                }
            })
        });
        drop(sender);
        let receivers = [receiver.clone(), receiver].map(|receiver| {
            go(async move {
                let mut received = Vec::new();
                loop {
                    match receiver.try_recv().await {
                        Ok(value) => received.push(value),
                        Err(TryRecvError::Empty) => shuttle::future::yield_now().await,
                        Err(_) => return received,
                    }
                }
            })
        });
        join(senders);
        let received = join(receivers);
        received.iter().for_each(|received| assert_in_order(received));
        assert_each_once(received.concat(), 2);
    });
}

#[test]
fn a_stream_that_is_left_keeps_nothing_from_others() {
    explore(|| {
        let (sender, receiver) = channel(1);
        let sender = go(send_all(sender, 0));
        let mut left = receiver.clone();
        let left = go(async move { glance(left.next()).flatten() });
        let rest = go(receiver.collect::<Vec<_>>());
        join([sender]);
        let rest = join([rest]).concat();
        let first = join([left]);
        assert_each_once(first.into_iter().flatten().chain(rest).collect(), 1);
    });
}
