//! Values on lease, channels of strict order, and what is known to be home.

use super::peers::assert_closed;
use super::*;

/// An offer for the so-manieth time.
pub(super) fn offer_again(channel: ChannelId, operation: u64, byte: u8, attempt: u32) -> Frame {
    let operation = OperationId(operation);
    Frame::Offer { channel, operation, attempt, parcel: value(byte) }
}

fn lease(bench: &mut Bench, session: SessionId, channel: ChannelId, operation: u64) {
    bench.frame(session, Frame::Lease { channel, operation: OperationId(operation) });
}

/// The client gets both ends of a channel, in the outcome of the worker's task.
fn give_to_client(bench: &mut Bench, worker: SessionId, task: TaskId, channel: ChannelId) {
    let result = ChannelId(task.0);
    let outcome = Parcel { passages: passages(channel), ..value(0) };
    bench.frame(worker, Frame::Finished { task, attempt: 1, outcome, usage: Usage::default() });
    bench.receive(CLIENT, result, 99);
    bench.accept(CLIENT, result, 99);
    bench.take();
}

/// D3: the value of a dead holder is offered again, at its old place.
#[test]
fn a_dead_holders_lease_comes_back_in_order() {
    let (mut bench, worker, channel, _) = with_worker(3, 0);
    for (operation, byte) in [(1, 1), (2, 2)] {
        bench.send(CLIENT, channel, operation, value(byte));
        bench.receive(worker, channel, operation);
        lease(&mut bench, worker, channel, operation);
    }
    bench.send(CLIENT, channel, 3, value(3));
    bench.accept(worker, channel, 1);
    bench.take();
    bench.die(worker);
    bench.receive(CLIENT, channel, 4);
    bench.receive(CLIENT, channel, 5);
    let offers = bench.sent(CLIENT);
    assert!(offers.ends_with(&[offer_again(channel, 4, 2, 2), offer(channel, 5, 3)]), "{offers:?}");
}

#[test]
fn a_rendezvous_ends_with_the_lease_and_the_channel_with_its_end() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.receive(worker, channel, 1);
    bench.send(CLIENT, channel, 1, value(1));
    bench.take();
    lease(&mut bench, worker, channel, 1);
    assert_eq!(bench.sent(CLIENT), [sent(1)]);
    bench.frame(CLIENT, Frame::Close { channel, operation: OperationId(2) });
    bench.receive(CLIENT, channel, 3);
    let empty = Frame::Empty { operation: OperationId(4) };
    bench.take();
    bench.frame(CLIENT, Frame::TryReceive { channel, operation: OperationId(4) });
    assert_eq!(bench.sent(CLIENT), [empty], "it may come back");
    bench.frame(worker, Frame::Decline { channel, operation: OperationId(1) });
    assert_eq!(bench.sent(CLIENT), [offer_again(channel, 3, 1, 2)]);
    lease(&mut bench, CLIENT, channel, 3);
    bench.receive(worker, channel, 2);
    assert_eq!(bench.take(), []);
    bench.accept(CLIENT, channel, 3);
    assert!(matches!(bench.sent(worker)[..], [Frame::Ended { end: End::Closed, .. }]));
}

/// The holder uses the handles in the value; those of the channel's value are not the holder's.
#[test]
fn a_lease_has_handles_of_its_own() {
    for acknowledges in [true, false] {
        let (mut bench, worker, carrier, _) = with_worker(1, 0);
        let carried = bench.channel(1);
        bench.send(CLIENT, carrier, 1, carrying(carried, Side::Send));
        bench.detach(CLIENT, carrier);
        bench.frame(CLIENT, Frame::Detach { channel: carried, side: Side::Send, arrivals: 1 });
        bench.receive(worker, carrier, 1);
        lease(&mut bench, worker, carrier, 1);
        bench.receive(CLIENT, carried, 1);
        bench.send(worker, carried, 2, value(7));
        assert!(bench.sent(CLIENT).contains(&offer(carried, 1, 7)));
        bench.accept(CLIENT, carried, 1);
        if acknowledges {
            bench.accept(worker, carrier, 1);
        } else {
            bench.frame(worker, Frame::Decline { channel: carrier, operation: OperationId(1) });
        }
        bench.receive(CLIENT, carried, 2);
        bench.take();
        bench.frame(worker, Frame::Detach { channel: carried, side: Side::Send, arrivals: 1 });
        let ended = bench.sent(CLIENT);
        assert_eq!(!ended.is_empty(), acknowledges, "the value that went back has a sender");
        bench.detach(worker, carrier);
        let ended = [ended, bench.sent(CLIENT)].concat();
        assert!(matches!(ended[..], [Frame::Ended { end: End::Closed, .. }]), "{ended:?}");
    }
}

/// A lease of an early offer stands in nobody's way, however long it lasts.
#[test]
fn an_early_lease_lets_others_receive() {
    let (mut bench, worker, channel, _) = with_worker(4, 0);
    bench.frame(worker, Frame::Ahead { channel, window: 4, seen: 0 });
    (1..=3).for_each(|byte| bench.send(CLIENT, channel, byte, value(byte as u8)));
    let early = bench.sent(worker);
    assert!(early.iter().all(|frame| matches!(frame, Frame::Early { .. })) && early.len() == 3);
    let operation = OperationId(9);
    bench.frame(worker, Frame::LeaseEarly { channel, number: 0, operation });
    bench.receive(CLIENT, channel, 5);
    assert_eq!(bench.sent(worker), [Frame::Recall { channel }]);
    bench.frame(worker, Frame::Untaken { channel, first: 1, count: 2 });
    assert_eq!(bench.sent(CLIENT), [offer(channel, 5, 2)]);
    bench.die(worker);
    bench.receive(CLIENT, channel, 6);
    assert_eq!(bench.sent(CLIENT).last(), Some(&offer_again(channel, 6, 1, 2)));
}

/// D6, of a channel of strict order: what may come back is waited for.
#[test]
fn in_strict_order_nothing_is_offered_before_an_older_one_is_answered() {
    let (mut bench, worker, _, task) = with_worker(0, 0);
    let channel = ChannelId(4711);
    bench.frame(worker, Frame::Export { channel, capacity: 4, senders: 1, receivers: 1 });
    bench.frame(worker, Frame::Strict { channel });
    give_to_client(&mut bench, worker, task, channel);
    (1..=3).for_each(|byte| bench.send(CLIENT, channel, byte, value(byte as u8)));
    bench.receive(worker, channel, 1);
    bench.receive(CLIENT, channel, 11);
    bench.frame(CLIENT, Frame::TryReceive { channel, operation: OperationId(12) });
    let commands = bench.take();
    let offered = |command: &&Command| {
        matches!(command, Command::Send { frame: Frame::Offer { .. } | Frame::Empty { .. }, .. })
    };
    assert_eq!(commands.iter().filter(offered).count(), 1, "{commands:?}");
    lease(&mut bench, worker, channel, 1);
    bench.frame(CLIENT, Frame::TryReceive { channel, operation: OperationId(13) });
    assert_eq!(bench.sent(CLIENT), [Frame::Empty { operation: OperationId(13) }]);
    bench.die(worker);
    let offers = bench.sent(CLIENT);
    assert!(offers.contains(&offer_again(channel, 11, 1, 2)), "{offers:?}");
    bench.accept(CLIENT, channel, 11);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 12, 2)]);
}

/// A value that was on lease where the channel comes from keeps its place while it is away.
#[test]
fn a_lent_value_comes_back_to_its_place_or_dies_with_its_process() {
    for dies in [false, true] {
        let (mut bench, worker, _, task) = with_worker(0, 0);
        let channel = ChannelId(4711);
        bench.frame(worker, Frame::Export { channel, capacity: 4, senders: 1, receivers: 1 });
        bench.frame(worker, Frame::Restore { channel, parcel: value(1) });
        bench.frame(worker, Frame::Lend { channel, operation: OperationId(50) });
        bench.frame(worker, Frame::RestoreLeased { channel, attempts: 4, parcel: value(3) });
        give_to_client(&mut bench, worker, task, channel);
        if dies {
            bench.die(worker);
        } else {
            let (operation, parcel) = (OperationId(50), value(2));
            bench.frame(worker, Frame::Return { channel, operation, attempts: 1, parcel });
        }
        bench.take();
        (2..=5).for_each(|operation| bench.receive(CLIENT, channel, operation));
        let offers = bench.sent(CLIENT);
        if dies {
            assert_eq!(offers, [offer(channel, 2, 1), offer_again(channel, 3, 3, 5)]);
        } else {
            assert_eq!(
                offers,
                [
                    offer(channel, 2, 1),
                    offer_again(channel, 3, 2, 2),
                    offer_again(channel, 4, 3, 5)
                ]
            );
        }
        bench.die(CLIENT);
        assert_eq!(bench.core.channels(), 0);
    }
}

/// D4: the answer comes after all that was sent before the question.
#[test]
fn a_flush_is_answered_when_all_before_it_is_home() {
    let (mut bench, worker, channel, _) = with_worker(8, 0);
    let operation = OperationId(9);
    for at in 1..=3 {
        let (operation, parcel) = (OperationId(at), value(at as u8));
        bench.frame(worker, Frame::Send { channel, operation, parcel });
    }
    let credits = bench.sent(worker).into_iter().find_map(|frame| match frame {
        Frame::Credit { credits, .. } => Some(credits),
        _ => None,
    });
    assert!(credits > Some(0));
    bench.frame(worker, Frame::Prepaid { channel, parcels: vec![value(4)].into() });
    bench.frame(worker, Frame::Flush { operation });
    assert!(bench.sent(worker).contains(&Frame::Flushed { operation }));
    bench.die(worker);
    (1..=4).for_each(|operation| bench.receive(CLIENT, channel, operation));
    let offers = bench.sent(CLIENT);
    assert_eq!(offers, (1..=4).map(|at| offer(channel, at, at as u8)).collect::<Vec<_>>());
}

#[test]
fn leases_of_what_was_not_offered_are_refused() {
    let operation = OperationId(7);
    let bad: Vec<Box<dyn Fn(ChannelId) -> Frame>> = vec![
        Box::new(move |channel| Frame::Lease { channel, operation }),
        Box::new(move |channel| Frame::Lease { channel, operation: OperationId(1) }),
        Box::new(move |_| Frame::Lease { channel: ChannelId(99), operation }),
        Box::new(move |channel| Frame::LeaseEarly { channel, number: 0, operation }),
        Box::new(move |channel| Frame::Lend { channel, operation }),
        Box::new(move |channel| Frame::Strict { channel }),
        Box::new(move |channel| Frame::Return {
            channel,
            operation,
            attempts: 1,
            parcel: value(1),
        }),
        Box::new(move |channel| {
            let operation = OperationId(2);
            Frame::Return { channel, operation, attempts: 1, parcel: value(1) }
        }),
    ];
    for frame in bad {
        let (mut bench, worker, channel, _) = with_worker(1, 0);
        bench.receive(worker, channel, 2);
        bench.send(CLIENT, channel, 1, value(1));
        lease(&mut bench, worker, channel, 2);
        bench.receive(worker, channel, 1);
        bench.take();
        let frame = frame(channel);
        println!("{frame}");
        bench.frame(worker, frame);
        assert_closed(&mut bench, worker, "protocol");
        bench.receive(CLIENT, channel, 3);
        assert_eq!(bench.sent(CLIENT), [offer_again(channel, 3, 1, 2)], "others go on");
    }
}
