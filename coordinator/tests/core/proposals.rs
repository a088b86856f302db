//! Sends of selects, step by step: who is asked when, and what becomes of what was kept.

use super::peers::assert_closed;
use super::*;

fn watch(bench: &mut Bench, session: SessionId, channel: ChannelId, operation: u64, select: u64) {
    bench.frame(session, Frame::Watch { channel, operation: OperationId(operation), select });
}

fn receive_in(bench: &mut Bench, session: SessionId, channel: ChannelId, at: u64, select: u64) {
    bench.frame(session, Frame::Receive { channel, operation: OperationId(at), select });
}

fn prepare(bench: &mut Bench, session: SessionId, channel: ChannelId, operation: u64, byte: u8) {
    let (operation, parcel) = (OperationId(operation), value(byte));
    bench.frame(session, Frame::Prepared { channel, operation, parcel });
}

fn cancel(bench: &mut Bench, session: SessionId, channel: ChannelId, operation: u64) {
    bench.frame(session, Frame::CancelSend { channel, operation: OperationId(operation) });
}

fn ready(operation: u64) -> Frame {
    Frame::Ready { operation: OperationId(operation) }
}

fn aborted(operation: u64) -> Frame {
    Frame::Aborted { operation: OperationId(operation) }
}

/// PROTOCOL 4.2: the value leaves when the select has decided, and is sent when it is taken.
#[test]
fn a_send_of_a_select_is_asked_prepared_offered_and_sent() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    watch(&mut bench, worker, channel, 1, 7);
    assert_eq!(bench.take(), []);
    bench.receive(CLIENT, channel, 1);
    assert_eq!(bench.take(), [Command::Send { session: worker, frame: ready(1) }]);
    prepare(&mut bench, worker, channel, 1, 5);
    assert_eq!(bench.take(), [Command::Send { session: CLIENT, frame: offer(channel, 1, 5) }]);
    bench.accept(CLIENT, channel, 1);
    assert_eq!(bench.take(), [Command::Send { session: worker, frame: sent(1) }]);
}

/// It has its place in the line, before sends that came later, and keeps it when it is aborted.
#[test]
fn a_send_of_a_select_has_a_place_in_the_line() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    bench.send(CLIENT, channel, 1, value(1));
    watch(&mut bench, worker, channel, 2, 7);
    bench.send(CLIENT, channel, 3, value(3));
    bench.receive(CLIENT, channel, 11);
    assert_eq!(bench.take(), [Command::Send { session: CLIENT, frame: offer(channel, 11, 1) }]);
    bench.receive(CLIENT, channel, 12);
    assert_eq!(bench.sent(worker), [ready(2)]);
    bench.frame(CLIENT, Frame::Decline { channel, operation: OperationId(12) });
    prepare(&mut bench, worker, channel, 2, 2);
    assert_eq!(bench.sent(worker), [aborted(2)]);
    bench.receive(CLIENT, channel, 13);
    assert_eq!(bench.sent(worker), [ready(2)]);
    bench.receive(CLIENT, channel, 14);
    assert_eq!(
        bench.sent(CLIENT),
        [offer(channel, 14, 3)],
        "the next receive is for the next send"
    );
    prepare(&mut bench, worker, channel, 2, 2);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 13, 2)]);
    bench.frame(CLIENT, Frame::Decline { channel, operation: OperationId(13) });
    assert_eq!(bench.sent(worker), [aborted(2)]);
}

/// PROTOCOL 4.4: room is kept until the select has decided.
#[test]
fn room_is_kept_for_a_select_and_free_if_it_has_chosen_otherwise() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    watch(&mut bench, worker, channel, 1, 7);
    assert_eq!(bench.sent(worker), [ready(1)]);
    bench.send(CLIENT, channel, 2, value(2));
    assert_eq!(bench.sent(CLIENT), [], "the room is kept");
    cancel(&mut bench, worker, channel, 1);
    assert_eq!(bench.sent(CLIENT), [sent(2)]);
    watch(&mut bench, worker, channel, 3, 8);
    bench.send(CLIENT, channel, 4, value(4));
    assert_eq!(bench.take(), []);
    bench.receive(CLIENT, channel, 5);
    bench.accept(CLIENT, channel, 5);
    assert_eq!(bench.sent(worker), [ready(3)], "it waited longer than the send");
    prepare(&mut bench, worker, channel, 3, 3);
    assert_eq!(bench.sent(worker), [sent(3)]);
    bench.receive(CLIENT, channel, 6);
    assert!(bench.sent(CLIENT).contains(&offer(channel, 6, 3)));
}

/// PROTOCOL 4.3: one proposal a select. Crossing selects are asked for one of the two.
#[test]
fn of_two_crossing_selects_one_is_asked() {
    let (mut bench, worker, one, _) = with_worker(0, 0);
    let two = bench.channel(0);
    bench.send(CLIENT, one, 90, carrying(two, Side::Send));
    bench.receive(worker, one, 90);
    bench.accept(worker, one, 90);
    bench.send(CLIENT, one, 91, carrying(two, Side::Receive));
    bench.receive(worker, one, 91);
    bench.accept(worker, one, 91);
    bench.take();
    watch(&mut bench, CLIENT, one, 1, 7);
    receive_in(&mut bench, CLIENT, two, 2, 7);
    receive_in(&mut bench, worker, one, 1, 8);
    assert_eq!(bench.take(), [Command::Send { session: CLIENT, frame: ready(1) }]);
    watch(&mut bench, worker, two, 2, 8);
    assert_eq!(bench.take(), [], "both are bound");
    cancel(&mut bench, CLIENT, one, 1);
    assert_eq!(bench.take(), [Command::Send { session: worker, frame: ready(2) }], "now they go");
}

/// Who stands behind a select that is bound elsewhere goes past it, and past none that is free.
#[test]
fn a_send_behind_a_bound_select_does_not_wait_for_it() {
    let mut bench = Bench::new(1);
    let [one, two] = [1, 0].map(|capacity| bench.channel(capacity));
    bench.send(CLIENT, one, 1, value(1));
    watch(&mut bench, CLIENT, one, 2, 7);
    bench.send(CLIENT, one, 3, value(3));
    watch(&mut bench, CLIENT, one, 4, 8);
    bench.receive(CLIENT, one, 7);
    assert_eq!(bench.sent(CLIENT), [sent(1), offer(one, 7, 1)]);
    watch(&mut bench, CLIENT, two, 5, 7);
    bench.receive(CLIENT, two, 6);
    assert_eq!(bench.sent(CLIENT), [ready(5)]);
    bench.accept(CLIENT, one, 7);
    assert_eq!(bench.sent(CLIENT), [sent(3)]);
}

/// A lease ends a send for which there is no room: what was kept for a select is gone then, and it
/// is asked again when there is some.
#[test]
fn a_lease_that_takes_the_room_of_a_select_does_not_take_its_value() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.send(CLIENT, channel, 1, value(1));
    bench.receive(CLIENT, channel, 2);
    watch(&mut bench, worker, channel, 1, 7);
    bench.receive(CLIENT, channel, 3);
    assert_eq!(bench.sent(worker), [ready(1)]);
    bench.accept(CLIENT, channel, 2);
    watch(&mut bench, worker, channel, 2, 8);
    assert_eq!(bench.sent(worker), [ready(2)], "the room is kept");
    prepare(&mut bench, worker, channel, 1, 5);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 3, 5)]);
    bench.frame(CLIENT, Frame::Lease { channel, operation: OperationId(3) });
    assert_eq!(bench.sent(worker), [sent(1)]);
    prepare(&mut bench, worker, channel, 2, 6);
    assert_eq!(bench.sent(worker), [aborted(2)]);
    bench.accept(CLIENT, channel, 3);
    assert_eq!(bench.sent(worker), [ready(2)]);
    prepare(&mut bench, worker, channel, 2, 6);
    assert_eq!(bench.sent(worker), [sent(2)]);
}

/// What others were offered meanwhile is older than what a select sends then, and both come back to
/// their places.
#[test]
fn what_was_offered_before_a_select_sent_is_older() {
    let (mut bench, worker, channel, _) = with_worker(1, 0);
    bench.send(CLIENT, channel, 1, value(1));
    bench.receive(CLIENT, channel, 2);
    watch(&mut bench, worker, channel, 1, 7);
    bench.send(CLIENT, channel, 3, value(3));
    bench.accept(CLIENT, channel, 2);
    bench.receive(CLIENT, channel, 4);
    let commands = bench.take();
    assert!(commands.contains(&Command::Send { session: worker, frame: ready(1) }));
    assert!(commands.contains(&Command::Send { session: CLIENT, frame: offer(channel, 4, 3) }));
    prepare(&mut bench, worker, channel, 1, 5);
    assert_eq!(bench.sent(worker), [sent(1)]);
    bench.frame(CLIENT, Frame::Lease { channel, operation: OperationId(4) });
    bench.receive(CLIENT, channel, 5);
    assert_eq!(bench.sent(CLIENT), [sent(3), offer(channel, 5, 5)]);
    bench.frame(CLIENT, Frame::Decline { channel, operation: OperationId(5) });
    bench.frame(CLIENT, Frame::Decline { channel, operation: OperationId(4) });
    bench.receive(CLIENT, channel, 6);
    bench.receive(CLIENT, channel, 7);
    let again = leases::offer_again(channel, 6, 3, 2);
    assert_eq!(bench.sent(CLIENT), [again, offer(channel, 7, 5)]);
}

/// PROTOCOL 4.6: a select never meets itself.
#[test]
fn a_select_is_not_asked_for_its_own_receive() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    watch(&mut bench, worker, channel, 1, 7);
    receive_in(&mut bench, worker, channel, 2, 7);
    assert_eq!(bench.take(), []);
    bench.send(CLIENT, channel, 3, value(3));
    assert_eq!(bench.sent(worker), [offer(channel, 2, 3)], "others go past it");
}

/// Who dies in each state: what was kept is free, or the send is aborted.
#[test]
fn whoever_dies_holds_nobody_up() {
    // The select, when it was asked.
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    watch(&mut bench, worker, channel, 1, 7);
    bench.receive(CLIENT, channel, 1);
    bench.die(worker);
    bench.send(CLIENT, channel, 2, value(2));
    assert!(bench.sent(CLIENT).contains(&offer(channel, 1, 2)));
    // The select, when its value is on offer: the receiver may have it.
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    watch(&mut bench, worker, channel, 1, 7);
    bench.receive(CLIENT, channel, 1);
    prepare(&mut bench, worker, channel, 1, 5);
    bench.die(worker);
    bench.accept(CLIENT, channel, 1);
    assert!(
        !bench
            .take()
            .iter()
            .any(|command| matches!(command, Command::Close { session, .. } if *session == CLIENT))
    );
    // The receiver, when it is kept, and when it has the offer.
    for offered in [false, true] {
        let (mut bench, worker, channel, _) = with_worker(0, 0);
        watch(&mut bench, CLIENT, channel, 1, 7);
        bench.receive(worker, channel, 1);
        if offered {
            prepare(&mut bench, CLIENT, channel, 1, 5);
            bench.die(worker);
        } else {
            bench.die(worker);
            prepare(&mut bench, CLIENT, channel, 1, 5);
        }
        assert!(bench.sent(CLIENT).contains(&aborted(1)), "{offered}");
        bench.receive(CLIENT, channel, 2);
        assert_eq!(bench.sent(CLIENT), [ready(1)]);
    }
}

/// A channel that ends refuses whoever stands in line, once, and lets the kept receive go.
#[test]
fn a_close_refuses_selects_in_every_state() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    watch(&mut bench, worker, channel, 1, 7);
    watch(&mut bench, worker, channel, 2, 8);
    bench.receive(CLIENT, channel, 1);
    bench.take();
    bench.frame(CLIENT, Frame::Close { channel, operation: OperationId(9) });
    let commands = bench.take();
    let refused = |operation| Command::Send {
        session: worker,
        frame: Frame::Refused { operation: OperationId(operation), end: End::Closed },
    };
    assert!(commands.contains(&refused(1)) && commands.contains(&refused(2)), "{commands:?}");
    let ended = Frame::Ended { operation: OperationId(1), end: End::Closed };
    assert!(commands.contains(&Command::Send { session: CLIENT, frame: ended }));
    prepare(&mut bench, worker, channel, 1, 5);
    assert_eq!(bench.take(), [refused(1)], "it may not have heard it");
}

/// A value that was prepared unasked is none.
#[test]
fn what_was_not_asked_for_is_refused() {
    let (mut bench, worker, channel, _) = with_worker(0, 0);
    watch(&mut bench, worker, channel, 1, 7);
    prepare(&mut bench, worker, channel, 1, 5);
    assert_closed(&mut bench, worker, "protocol");
    bench.receive(CLIENT, channel, 1);
    assert_eq!(bench.sent(CLIENT), [], "nothing of it came");
}

/// What a channel's node says when it is asked whether it may land, and the home's answer to that.
fn clear(bench: &mut Bench, channel: ChannelId, landings: u32) -> Vec<Frame> {
    bench.take();
    bench.frame(CLIENT, Frame::Cleared { channel, landings });
    bench.sent(CLIENT)
}

/// A channel stays as long as somebody is asked, or has a value on offer; and the answer finds what
/// was kept for it.
#[test]
fn a_channel_does_not_land_while_a_proposal_is_out() {
    for is_offered in [false, true] {
        let mut bench = Bench::new(1);
        let channel = bench.channel(0);
        watch(&mut bench, CLIENT, channel, 1, 7);
        bench.receive(CLIENT, channel, 2);
        assert_eq!(bench.sent(CLIENT), [ready(1)]);
        let (_, landings) = landing::until_asked(&mut bench, channel, 100);
        if is_offered {
            prepare(&mut bench, CLIENT, channel, 1, 5);
        }
        assert_eq!(clear(&mut bench, channel, landings), [Frame::Stay { channel, landings }]);
        if !is_offered {
            prepare(&mut bench, CLIENT, channel, 1, 5);
            assert_eq!(bench.sent(CLIENT), [offer(channel, 2, 5)]);
        }
        bench.accept(CLIENT, channel, 2);
        assert_eq!(bench.sent(CLIENT), [sent(1)]);
        // Now it may.
        let (_, landings) = landing::until_asked(&mut bench, channel, 1000);
        assert!(matches!(clear(&mut bench, channel, landings)[..], [Frame::Land { .. }]));
    }
}

/// From the question on nothing is proposed; a send that only watches begins anew wherever the
/// channel is then.
#[test]
fn nothing_is_proposed_of_a_channel_on_its_way() {
    for stays in [false, true] {
        let mut bench = Bench::new(1);
        let channel = bench.channel(0);
        let (_, landings) = landing::until_asked(&mut bench, channel, 100);
        watch(&mut bench, CLIENT, channel, 1, 7);
        bench.receive(CLIENT, channel, 2);
        receive_in(&mut bench, CLIENT, channel, 3, 8);
        assert_eq!(bench.sent(CLIENT), []);
        bench.frame(CLIENT, Frame::Cleared { channel, landings });
        let found = landing::contents(&mut bench).expect("nothing is out");
        assert_eq!(
            (found.anew, found.receives),
            ([1, 3].map(OperationId).into(), vec![OperationId(2)])
        );
        if stays {
            bench.frame(CLIENT, Frame::Keep { channel, landings });
            assert_eq!(bench.sent(CLIENT), [ready(1)]);
            prepare(&mut bench, CLIENT, channel, 1, 5);
            assert_eq!(bench.sent(CLIENT), [offer(channel, 2, 5)]);
        } else {
            bench.frame(CLIENT, Frame::Landed { channel, landings });
            assert_eq!((bench.core.channels(), bench.take()), (0, Vec::new()));
        }
    }
}

/// A select that is bound elsewhere, and is free while the channel is with its node already.
#[test]
fn what_was_sent_to_a_node_is_not_touched_though_a_select_is_free() {
    let mut bench = Bench::new(1);
    let [one, two] = [1, 0].map(|capacity| bench.channel(capacity));
    watch(&mut bench, CLIENT, two, 1, 7);
    bench.receive(CLIENT, two, 2);
    assert_eq!(bench.sent(CLIENT), [ready(1)]);
    watch(&mut bench, CLIENT, one, 3, 7);
    assert_eq!(bench.sent(CLIENT), [], "it is bound");
    let (_, landings) = landing::until_asked(&mut bench, one, 100);
    assert!(matches!(clear(&mut bench, one, landings)[..], [Frame::Land { .. }]));
    cancel(&mut bench, CLIENT, two, 1);
    assert_eq!(bench.sent(CLIENT), [], "it waits for the node's word");
    bench.frame(CLIENT, Frame::Keep { channel: one, landings });
    assert_eq!(bench.sent(CLIENT), [ready(3)]);
}

/// Room that is kept is not the session's own to fill beside the credits that it has.
#[test]
fn kept_room_and_credits_are_not_the_same_room() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(3);
    let send = |operation| {
        let (operation, parcel) = (OperationId(operation), value(7));
        Frame::Send { channel, operation, parcel }
    };
    // Credits come once a session has sent much.
    let mut credits = 0;
    for operation in 10..100 {
        bench.frame(CLIENT, send(operation));
        bench.receive(CLIENT, channel, 1000 + operation);
        bench.accept(CLIENT, channel, 1000 + operation);
        for frame in bench.sent(CLIENT) {
            if let Frame::Credit { credits: more, .. } = frame {
                credits += more;
            }
        }
        if credits == 3 {
            break;
        }
    }
    assert_eq!(credits, 3, "all the room");
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: vec![value(1)].into() });
    watch(&mut bench, CLIENT, channel, 1, 7);
    assert_eq!(bench.sent(CLIENT), [ready(1)], "it has credits");
    bench.receive(CLIENT, channel, 2);
    bench.accept(CLIENT, channel, 2);
    watch(&mut bench, CLIENT, channel, 3, 8);
    assert_eq!(bench.sent(CLIENT), [offer(channel, 2, 1), ready(3)], "the room is kept");
    bench.frame(CLIENT, send(4));
    let again = Frame::Again { channel, operation: OperationId(4) };
    assert_eq!(bench.sent(CLIENT), [again], "it has credits");
    let parcels = vec![value(5), value(6)].into();
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels });
    cancel(&mut bench, CLIENT, channel, 1);
    prepare(&mut bench, CLIENT, channel, 3, 7);
    assert_eq!(bench.sent(CLIENT), [sent(3)]);
}
