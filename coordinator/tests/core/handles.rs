//! Handles go with what they were in.

use channels::wire::Place;

use super::*;

pub(super) fn carrying(channel: ChannelId, side: Side) -> Parcel {
    let passages = vec![Passage { channel, side, capacity: 1 }];
    Parcel { codec: 1, payload: vec![0].into(), passages }
}

/// C07: a handle that is passed on a hundred thousand times leaves nothing in the books.
#[test]
fn passing_a_handle_on_leaves_the_books_as_they_were() {
    let mut bench = Bench::new(1);
    let (carrier, carried) = (bench.channel(1), bench.channel(1));
    let pass = |bench: &mut Bench, operation: u64| {
        bench.send(CLIENT, carrier, 2 * operation, carrying(carried, Side::Send));
        bench.receive(CLIENT, carrier, 2 * operation + 1);
        bench.accept(CLIENT, carrier, 2 * operation + 1);
        bench.frame(CLIENT, Frame::Detach { channel: carried, side: Side::Send, arrivals: 1 });
        bench.take();
    };
    (1..100).for_each(|operation| pass(&mut bench, operation));
    let before = format!("{:?}", bench.core).len();
    (100..100_000).for_each(|operation| pass(&mut bench, operation));
    let after = format!("{:?}", bench.core).len();
    assert!(after < before + 100, "{before} before, {after} after");
    bench.detach(CLIENT, carried);
    bench.detach(CLIENT, carrier);
    assert_eq!(bench.core.channels(), 0);
}

/// A handle inside a value counts while the value is anywhere, and no longer.
#[test]
fn a_handle_in_a_message_is_counted_until_it_is_dropped() {
    let mut bench = Bench::new(1);
    let (carried, carrier) = (bench.channel(1), bench.channel(1));
    bench.send(CLIENT, carrier, 1, carrying(carried, Side::Send));
    bench.frame(CLIENT, Frame::Detach { channel: carried, side: Side::Send, arrivals: 1 });
    bench.receive(CLIENT, carried, 2);
    assert_eq!(bench.sent(CLIENT), [sent(1)], "its only sender is in a buffer: it is open");
    bench.frame(CLIENT, Frame::Detach { channel: carrier, side: Side::Receive, arrivals: 1 });
    assert!(matches!(bench.sent(CLIENT)[..], [Frame::Ended { end: End::Closed, .. }]));
}

#[test]
fn channels_without_handles_are_forgotten() {
    let mut bench = Bench::new(1);
    for _ in 0..1000 {
        let (carried, carrier) = (bench.channel(1), bench.channel(1));
        bench.send(CLIENT, carrier, 1, carrying(carried, Side::Send));
        [carried, carrier].into_iter().for_each(|channel| bench.detach(CLIENT, channel));
    }
    assert_eq!(bench.core.channels(), 0);
}

/// D8: a handle in a value that a dead worker had not got rid of vanished with it.
#[test]
fn a_handle_in_a_send_of_a_dead_worker_is_lost() {
    let (mut bench, worker, carrier, _) = with_worker(0, 0);
    let carried = ChannelId(4711);
    let export = Frame::Export { channel: carried, capacity: 1, senders: 1, receivers: 1 };
    bench.frame(worker, export);
    bench.send(worker, carrier, 1, carrying(carried, Side::Receive));
    bench.receive(CLIENT, carrier, 1);
    bench.accept(CLIENT, carrier, 1);
    bench.send(worker, carrier, 2, carrying(carried, Side::Send));
    bench.detach(worker, carried);
    bench.receive(CLIENT, carried, 2);
    bench.take();
    bench.die(worker);
    let ended = bench.sent(CLIENT);
    assert!(matches!(ended[..], [Frame::Ended { end: End::Lost(_), .. }]), "{ended:?}");
}

/// A channel in its own buffer keeps itself, but not beyond the client for which it was made.
#[test]
fn a_channel_in_itself_is_forgotten_with_the_next_client() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(1);
    bench.send(CLIENT, channel, 1, carrying(channel, Side::Receive));
    bench.frame(CLIENT, Frame::Goodbye {});
    assert_eq!(bench.core.channels(), 1);
    bench.connect(SessionId(2), Role::Client { workers_max: 0, place: Place::Auto });
    assert_eq!(bench.core.channels(), 0);
    bench.frame(SessionId(2), Frame::Export { channel, capacity: 1, senders: 1, receivers: 1 });
    assert_eq!(bench.core.channels(), 1);
}
