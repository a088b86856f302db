//! Operations that are dropped half-way lose nothing.

use channels::{Receiver, channel, select};

use super::delivery::{Value, assert_each_once, assert_in_order, receive_all, send_all};
use super::explore::{explore, glance, go, join};

/// Receives all, but gives up every other receive that has to wait.
async fn receive_hastily(receiver: Receiver<Value>) -> Vec<Value> {
    let mut received = Vec::new();
    loop {
        let outcome = match glance(receiver.recv()) {
            Some(outcome) => outcome,
            None => receiver.recv().await,
        };
        match outcome {
            Ok(value) => received.push(value),
            Err(_) => return received,
        }
    }
}

/// One receives: as no two of its receives are under way at a time, it sees the order of the sends.
fn receives_given_up(capacity: usize) {
    let (sender, receiver) = channel(capacity);
    let senders = [0, 1].map(|who| go(send_all(sender.clone(), who)));
    drop(sender);
    let received = join([go(receive_hastily(receiver))]).concat();
    join(senders);
    assert_in_order(&received);
    assert_each_once(received, 2);
}

/// Several receive: a value that one of them gives back may be older than one that another got.
#[test]
fn receives_given_up_among_others_lose_nothing() {
    explore(|| {
        let (sender, receiver) = channel(1);
        let sender = go(send_all(sender, 0));
        let receivers = [go(receive_hastily(receiver.clone())), go(receive_all(receiver))];
        join([sender]);
        assert_each_once(join(receivers).concat(), 1);
    });
}

#[test]
fn receives_given_up_at_a_rendezvous() {
    explore(|| receives_given_up(0));
}

#[test]
fn receives_given_up_before_a_buffer() {
    explore(|| receives_given_up(2));
}

#[test]
fn sends_given_up_arrive_at_most_once() {
    explore(|| {
        let (sender, receiver) = channel(0);
        let hasty = sender.clone();
        let hasty = go(async move {
            let sent = |which: &u8| glance(hasty.send((1, *which))).is_some();
            (0..3).filter(sent).map(|which| (1, which)).collect::<Vec<_>>()
        });
        let patient = go(send_all(sender, 0));
        let received = join([go(receive_all(receiver))]).concat();
        join([patient]);
        assert_in_order(&received);
        let (of_hasty, of_patient): (Vec<_>, Vec<_>) =
            received.into_iter().partition(|(who, _)| *who == 1);
        assert_each_once(of_patient, 1);
        assert!(of_hasty.windows(2).all(|pair| pair[0] != pair[1]), "twice: {of_hasty:?}");
        assert!(join([hasty]).concat().iter().all(|value| of_hasty.contains(value)));
    });
}

#[test]
fn selects_given_up_lose_nothing() {
    explore(|| {
        let (one, ones) = channel(0);
        let (two, twos) = channel(1);
        let senders = [go(send_all(one, 0)), go(send_all(two, 1))];
        let (some_ones, some_twos) = (ones.clone(), twos.clone());
        let hasty = go(async move {
            let mut received = Vec::new();
            for _ in 0..3 {
                let value = glance(async {
                    select! {
                        value = some_ones.recv() => value,
                        value = some_twos.recv() => value,
                    }
                });
                received.extend(value.and_then(Result::ok));
            }
            received
        });
        let receivers = [hasty, go(receive_all(ones)), go(receive_all(twos))];
        join(senders);
        assert_each_once(join(receivers).concat(), 2);
    });
}
