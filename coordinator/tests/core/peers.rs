//! What a peer that has the secret may try. Whatever it is, others neither see it nor lose by it.

use super::*;

/// The link of a session was ended, for a reason that holds these words.
#[track_caller]
pub(super) fn assert_closed(bench: &mut Bench, whose: SessionId, words: &str) {
    let commands = bench.take();
    let closed = |command: &Command| {
        matches!(command, Command::Close { session, reason }
            if *session == whose && reason.contains(words))
    };
    assert!(commands.iter().any(closed), "{commands:?}");
}

/// Names of operations are the peer's own. An answer that names a send must not take, nor give
/// back, what was offered to a receive that has the same place among the receives.
#[test]
fn an_answer_that_names_a_send_is_none() {
    let operation = OperationId(7);
    for decline in [false, true] {
        let (mut bench, worker, channel, _) = with_worker(0, 0);
        bench.receive(CLIENT, channel, 1);
        bench.send(worker, channel, 7, value(5));
        assert_eq!(bench.sent(CLIENT), [offer(channel, 1, 5)]);
        if decline {
            bench.frame(worker, Frame::Decline { channel, operation });
            assert_eq!(bench.take(), []);
        } else {
            bench.frame(worker, Frame::Accept { channel, operation });
            assert_closed(&mut bench, worker, "protocol");
        }
        bench.accept(CLIENT, channel, 1);
        let commands = bench.take();
        let closed = |command: &Command| matches!(command, Command::Close { .. });
        assert!(!commands.iter().any(closed), "the client's offer was its own: {commands:?}");
    }
}

#[test]
fn a_cancel_that_names_a_receive_is_none() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.receive(worker, channel, 6);
    bench.frame(worker, Frame::Decline { channel, operation: OperationId(6) });
    bench.receive(worker, channel, 7);
    bench.send(CLIENT, channel, 1, value(5));
    bench.send(CLIENT, channel, 2, value(6));
    // The receive has the place among the receives that the second send has among the sends.
    bench.frame(worker, Frame::CancelSend { channel, operation: OperationId(7) });
    bench.accept(worker, channel, 7);
    bench.take();
    bench.receive(worker, channel, 8);
    assert_eq!(bench.sent(worker), [offer(channel, 8, 6)], "the second send still waits");
}

/// D2: a receive without a handle is given up, and what it was offered goes to the next.
#[test]
fn handles_given_back_too_early_lose_no_value() {
    for capacity in [0, 2] {
        let (mut bench, worker, channel, _) = with_worker(capacity, 0);
        bench.receive(worker, channel, 1);
        bench.receive(worker, channel, 2);
        bench.send(CLIENT, channel, 1, value(1));
        bench.receive(CLIENT, channel, 3);
        bench.receive(CLIENT, channel, 4);
        bench.take();
        bench.frame(worker, Frame::Detach { channel, side: Side::Receive, arrivals: 1 });
        assert_eq!(bench.sent(CLIENT), [offer(channel, 3, 1)], "capacity {capacity}");
        bench.send(CLIENT, channel, 2, value(2));
        assert!(
            bench.sent(CLIENT).contains(&offer(channel, 4, 2)),
            "the parked one has left the line"
        );
        bench.die(worker);
        bench.accept(CLIENT, channel, 3);
        bench.accept(CLIENT, channel, 4);
        assert!(bench.take().iter().all(|command| !matches!(command, Command::Close { .. })));
    }
}

/// The last receiver goes with an offer in its hands: the value comes to its end, and so do the
/// handles in it.
#[test]
fn a_value_on_offer_to_the_last_receiver_is_let_go() {
    let mut bench = Bench::new(1);
    let (carried, carrier) = (bench.channel(1), bench.channel(1));
    bench.send(CLIENT, carrier, 1, carrying(carried, Side::Send));
    bench.receive(CLIENT, carrier, 2);
    bench.detach(CLIENT, carried);
    assert_eq!(bench.core.channels(), 2);
    bench.detach(CLIENT, carrier);
    assert_eq!(bench.core.channels(), 0);
}

/// Sends of a session whose send handles are gone are given up, unless a receiver has the value.
#[test]
fn sends_without_a_handle_are_given_up() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.send(worker, channel, 1, value(1));
    bench.send(worker, channel, 2, value(2));
    bench.receive(CLIENT, channel, 1);
    bench.take();
    bench.frame(worker, Frame::Detach { channel, side: Side::Send, arrivals: 1 });
    bench.accept(CLIENT, channel, 1);
    assert_eq!(bench.sent(worker), [sent(1)], "it was on its way");
    bench.receive(CLIENT, channel, 2);
    assert_eq!(bench.take(), [], "the other was not");
}

/// Nothing could ever end a channel to which nobody has a handle.
#[test]
fn a_channel_without_handles_is_refused() {
    let (mut bench, worker, _, _) = with_worker(0, 0);
    let channels = bench.core.channels();
    let channel = ChannelId(4711);
    bench.frame(worker, Frame::Export { channel, capacity: 1, senders: 0, receivers: 0 });
    assert_closed(&mut bench, worker, "without handles");
    assert!(bench.core.channels() <= channels);
}

/// A channel exported without receivers holds nothing that outlives it.
#[test]
fn values_for_nobody_go_with_their_channel() {
    let mut bench = Bench::new(1);
    let (carried, carrier) = (bench.channel(1), ChannelId(4711));
    let export = Frame::Export { channel: carrier, capacity: 4, senders: 1, receivers: 0 };
    bench.frame(CLIENT, export);
    bench.frame(CLIENT, Frame::Restore { channel: carrier, parcel: carrying(carried, Side::Send) });
    bench.send(CLIENT, carrier, 1, carrying(carried, Side::Receive));
    bench.detach(CLIENT, carried);
    bench.frame(CLIENT, Frame::Detach { channel: carrier, side: Side::Send, arrivals: 1 });
    assert_eq!(bench.core.channels(), 0);
}

/// A value that is put back into a channel that has ended is no value that was there.
#[test]
fn nothing_is_restored_into_a_channel_that_has_ended() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(4);
    bench.frame(CLIENT, Frame::Close { channel, operation: OperationId(1) });
    bench.frame(CLIENT, Frame::Restore { channel, parcel: value(1) });
    assert_closed(&mut bench, CLIENT, "Restore");
    assert_eq!(bench.core.channels(), 0);
}

/// C06: only who may send may close.
#[test]
fn a_close_needs_a_send_handle() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.frame(worker, Frame::Detach { channel, side: Side::Send, arrivals: 1 });
    bench.frame(worker, Frame::Close { channel, operation: OperationId(1) });
    assert_closed(&mut bench, worker, "protocol");
    bench.send(CLIENT, channel, 1, value(1));
    assert_eq!(bench.sent(CLIENT), [sent(1)], "it is open");
}

/// A channel that was closed in its process leaves it closed, though no sender is left to do it.
#[test]
fn a_closed_channel_arrives_closed() {
    let mut bench = Bench::new(1);
    let channel = ChannelId(4711);
    bench.frame(CLIENT, Frame::Export { channel, capacity: 1, senders: 0, receivers: 1 });
    bench.frame(CLIENT, Frame::Restore { channel, parcel: value(1) });
    bench.receive(CLIENT, channel, 1);
    bench.receive(CLIENT, channel, 2);
    bench.frame(CLIENT, Frame::Close { channel, operation: OperationId(0) });
    bench.accept(CLIENT, channel, 1);
    let frames = bench.sent(CLIENT);
    assert_eq!(frames[0], offer(channel, 1, 1));
    assert!(matches!(frames.last(), Some(Frame::Ended { end: End::Closed, .. })), "{frames:?}");
}

/// A spawn that is refused leaves nothing behind.
#[test]
fn a_spawn_whose_result_exists_holds_no_handles() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.frame(
        worker,
        Frame::Spawn {
            task: TaskId(4711),
            name: String::new(),
            signature: 0,
            options: SpawnOptions::default(),
            result: channel,
            arguments: carrying(channel, Side::Send),
        },
    );
    assert_closed(&mut bench, worker, "exists already");
    bench.detach(CLIENT, channel);
    bench.receive(CLIENT, ChannelId(3), 1);
    bench.accept(CLIENT, ChannelId(3), 1);
    bench.frame(CLIENT, Frame::Detach { channel: ChannelId(3), side: Side::Receive, arrivals: 1 });
    assert_eq!(bench.core.channels(), 0);
}
