//! Who waits when a channel closes is told, and no value is lost (C23 to C32).

use channels::{RecvError, Sender, channel};

use super::delivery::{Value, receive_all, send_all};
use super::explore::{explore, go, join};

/// Sends until it is refused, and says how many values were sent.
async fn send_until_refused(sender: Sender<Value>, who: u8) -> u8 {
    for which in 0..3 {
        if let Err(refused) = sender.send((who, which)).await {
            assert_eq!(refused.into_inner(), (who, which), "the value comes back");
            return which;
        }
    }
    3
}

fn close_among_senders(capacity: usize) {
    let (sender, receiver) = channel(capacity);
    let senders = [0, 1].map(|who| go(send_until_refused(sender.clone(), who)));
    let closers = [sender.clone(), sender].map(|sender| go(async move { sender.close().await }));
    let receivers = [receiver.clone(), receiver].map(|receiver| go(receive_all(receiver)));
    let sent = join(senders);
    assert_eq!(join(closers).iter().filter(|closed| closed.is_ok()).count(), 1, "one closes it");
    let mut received = join(receivers).concat();
    received.sort_unstable();
    let sent: Vec<Value> =
        [0, 1].into_iter().flat_map(|who| (0..sent[who as usize]).map(move |n| (who, n))).collect();
    assert_eq!(received, sent, "what was sent arrives, what was refused does not");
}

#[test]
fn a_close_among_senders_at_a_rendezvous() {
    explore(|| close_among_senders(0));
}

#[test]
fn a_close_among_senders_with_a_buffer() {
    explore(|| close_among_senders(1));
}

#[test]
fn a_close_wakes_all_who_receive() {
    explore(|| {
        let (sender, receiver) = channel::<Value>(0);
        let receivers = [0, 1].map(|_| {
            let receiver = receiver.clone();
            go(async move { receiver.recv().await })
        });
        let both = go(async move {
            let (_open, never) = channel::<u8>(0);
            channels::select! {
                value = receiver.recv() => value,
                _ = never.recv() => panic!("nobody sends here"),
            }
        });
        let closer = go(async move { sender.close().await.expect("it is open") });
        join([closer]);
        assert_eq!(join(receivers.into_iter().chain([both])), vec![Err(RecvError::Closed); 3]);
    });
}

/// A value that a receive gave back may not be overtaken by the end of the channel (C23).
#[test]
fn nobody_sees_the_end_before_the_last_value() {
    explore(|| {
        let (sender, receiver) = channel(1);
        let sender = go(send_all(sender, 0));
        let hasty = receiver.clone();
        let hasty = go(async move { super::explore::glance(hasty.recv()).and_then(Result::ok) });
        let received = join([go(receive_all(receiver))]).concat();
        join([sender]);
        let hasty = join([hasty]).into_iter().flatten();
        super::delivery::assert_each_once(received.into_iter().chain(hasty).collect(), 1);
    });
}

#[test]
fn senders_whom_nobody_hears_get_their_values_back() {
    explore(|| {
        let (sender, receiver) = channel(1);
        let senders = [0, 1].map(|who| go(send_until_refused(sender.clone(), who)));
        drop(sender);
        let receiver = go(async move { receiver.recv().await.expect("both are there") });
        let sent: u8 = join(senders).iter().sum();
        join([receiver]);
        assert!((1..=3).contains(&sent), "one received, two at most in the buffer: {sent}");
    });
}
