//! Of several cases exactly one happens (C33 to C42).

use channels::{Receiver, Sender, channel, select};

use super::delivery::{Value, assert_each_once, assert_in_order, send_all};
use super::explore::{explore, go, handed_over, join};

/// Receives from two channels until both are closed.
async fn receive_both(one: Receiver<Value>, two: Receiver<Value>) -> Vec<Value> {
    let (mut one, mut two) = (Some(one), Some(two));
    let mut received = Vec::new();
    while one.is_some() || two.is_some() {
        select! {
            value = one.recv() => match value {
                Ok(value) => received.push(value),
                Err(_) => one = None,
            },
            value = two.recv() => match value {
                Ok(value) => received.push(value),
                Err(_) => two = None,
            },
        }
    }
    received
}

fn two_channels(capacity: usize) {
    let (one, ones) = channel(capacity);
    let (two, twos) = channel(capacity);
    let senders = [go(send_all(one, 0)), go(send_all(two, 1))];
    let receivers =
        [go(receive_both(ones.clone(), twos.clone())), go(receive_both(twos.clone(), ones))];
    drop(twos);
    join(senders);
    let received = join(receivers);
    received.iter().for_each(|received| assert_in_order(received));
    assert_each_once(received.concat(), 2);
}

#[test]
fn two_channels_at_a_rendezvous() {
    explore(|| two_channels(0));
}

#[test]
fn two_channels_with_buffers() {
    explore(|| two_channels(1));
}

/// Sends on one or receives from the other, and says what was sent and received.
async fn cross(there: Sender<u8>, back: Receiver<u8>, value: u8) -> (Option<u8>, Option<u8>) {
    select! {
        sent = there.send(value) => {
            sent.expect("the other side waits");
            (Some(value), None)
        }
        value = back.recv() => (None, Some(value.expect("the other side waits"))),
    }
}

/// Two selects that send on `a` or receive from `b` meet two that do the reverse: each has one
/// partner, whatever the order.
#[test]
fn crossing_selects_meet_in_pairs() {
    explore(|| {
        let (to_a, from_a) = channel(0);
        let (to_b, from_b) = channel(0);
        let forth = [1, 2].map(|value| go(cross(to_a.clone(), from_b.clone(), value)));
        let back = [3, 4].map(|value| go(cross(to_b.clone(), from_a.clone(), value)));
        let (sent, received): (Vec<_>, Vec<_>) =
            join(forth.into_iter().chain(back)).into_iter().unzip();
        let (mut sent, mut received): (Vec<u8>, Vec<u8>) =
            (sent.into_iter().flatten().collect(), received.into_iter().flatten().collect());
        sent.sort_unstable();
        received.sort_unstable();
        assert_eq!((sent.len(), &sent), (2, &received));
    });
}

/// A select never meets itself, though it sends and receives on one channel (C39).
#[test]
fn selects_that_send_and_receive_on_one_channel_meet_each_other() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let both = [1, 2].map(|value| go(cross(sender.clone(), receiver.clone(), value)));
        let outcomes = join(both);
        let sent: Vec<u8> = outcomes.iter().filter_map(|(sent, _)| *sent).collect();
        let received: Vec<u8> = outcomes.iter().filter_map(|(_, received)| *received).collect();
        assert_eq!((sent.len(), &sent), (1, &received));
        assert!(outcomes.iter().all(|(sent, received)| sent.is_some() != received.is_some()));
    });
}

#[test]
fn one_channel_in_two_cases_gives_each_value_once() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let senders = [0, 1].map(|who| go(send_all(sender.clone(), who)));
        drop(sender);
        let receivers = [
            receive_both(receiver.clone(), receiver.clone()),
            receive_both(receiver.clone(), receiver),
        ];
        let receivers = receivers.map(go);
        join(senders);
        let received = join(receivers);
        received.iter().for_each(|received| assert_in_order(received));
        assert_each_once(received.concat(), 2);
    });
}

/// Two senders offer one value on two channels each; the value that did not go stays.
#[test]
fn a_value_offered_on_two_channels_goes_once() {
    explore(|| {
        let (one, ones) = channel(0);
        let (two, twos) = channel(1);
        let senders = [0, 1].map(|who| {
            let (one, two) = (one.clone(), two.clone());
            go(async move {
                for which in 0..3 {
                    select! {
                        sent = one.send((who, which)) => sent.expect("somebody receives"),
                        sent = two.send((who, which)) => sent.expect("somebody receives"),
                    }
                }
            })
        });
        drop((one, two));
        let receivers = [ones, twos].map(|receiver| go(super::delivery::receive_all(receiver)));
        join(senders);
        let received = join(receivers);
        received.iter().for_each(|received| assert_in_order(received));
        assert_each_once(received.concat(), 2);
    });
}

/// A select that moves to another task between two polls wakes that one.
#[test]
fn a_select_that_is_handed_over_wakes_its_new_task() {
    explore(|| {
        let (one, ones) = channel(0);
        let (two, twos) = channel::<u8>(0);
        let waits = go(handed_over(async move {
            select! {
                value = ones.recv() => value,
                value = twos.recv() => value,
            }
        }));
        let sends = go(async move { one.send(7).await.expect("it is received") });
        assert_eq!(join([waits]), [Ok(7)]);
        join([sends]);
        drop(two);
    });
}

/// So do a send and a receive.
#[test]
fn operations_that_are_handed_over_wake_their_new_tasks() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let sends = go(async move { handed_over(sender.send(7)).await.expect("it is received") });
        let receives = go(async move { handed_over(receiver.recv()).await });
        assert_eq!(join([receives]), [Ok(7)]);
        join([sends]);
    });
}

/// At every moment one of two channels is ready, so the default never runs (C37; Go's
/// `TestNonblockSelectRace` and `TestNonblockSelectRace2`).
fn never_default(make_ready: fn(&Sender<u8>)) {
    let (one, ones) = channel(1);
    let (two, twos) = channel(1);
    let spare = (ones.clone(), twos.clone());
    let looks = go(async move {
        one.send(1).await.expect("there is room");
        let looks = go(async move {
            select! {
                _ = ones.recv() => true,
                _ = twos.recv() => true,
                default => false,
            }
        });
        make_ready(&two);
        select! {
            _ = spare.0.recv() => {}
            default => {}
        }
        join([looks])
    });
    assert_eq!(join([looks]), [[true]], "the default ran");
}

#[test]
fn the_default_does_not_run_while_one_of_two_has_a_value() {
    explore(|| never_default(|two| super::explore::wait_for(two.send(2)).expect("there is room")));
}

#[test]
fn the_default_does_not_run_while_one_of_two_is_closed() {
    explore(|| never_default(|two| super::explore::wait_for(two.close()).expect("it is open")));
}
