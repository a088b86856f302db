//! Channels that go home to the node that has all of their handles.

use channels::settling::NEVER;
use channels::wire::Contents;

use super::*;

/// A send and a receive, taken.
fn exchange(bench: &mut Bench, channel: ChannelId, operation: u64) {
    let from = bench.commands.len();
    bench.send(CLIENT, channel, 2 * operation, value(7));
    bench.receive(CLIENT, channel, 2 * operation + 1);
    bench.accept(CLIENT, channel, 2 * operation + 1);
    bench.repay(from);
}

/// Exchanges until the client is asked whether the channel may land: after how many, and which
/// attempt it is.
pub(super) fn until_asked(bench: &mut Bench, channel: ChannelId, from: u64) -> (u64, u32) {
    for count in 0..10_000 {
        exchange(bench, channel, from + count);
        for frame in bench.sent(CLIENT) {
            if let Frame::Approach { channel: asked, landings } = frame {
                assert_eq!(asked, channel);
                return (count + 1, landings);
            }
        }
    }
    panic!("it was not asked");
}

/// The same, by sends that are given up as long as the buffer is full.
fn until_asked_with(bench: &mut Bench, channel: ChannelId) -> (u64, u32) {
    for operation in 20_000..30_000 {
        let operation = OperationId(operation);
        bench.frame(CLIENT, Frame::TrySend { channel, operation, parcel: value(9) });
        let asked = bench.sent(CLIENT).into_iter().find_map(|frame| match frame {
            Frame::Approach { landings, .. } => Some(landings),
            _ => None,
        });
        if let Some(landings) = asked {
            return (operation.0, landings);
        }
    }
    panic!("it was not asked");
}

pub(super) fn contents(bench: &mut Bench) -> Option<Contents> {
    bench.sent(CLIENT).into_iter().find_map(|frame| match frame {
        Frame::Land { contents, .. } => Some(contents),
        _ => None,
    })
}

#[test]
fn what_is_in_a_channel_comes_along_in_order_and_is_forgotten_here() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(2);
    let (_, landings) = until_asked(&mut bench, channel, 1000);
    // One on offer, two in the buffer, one that waits.
    bench.receive(CLIENT, channel, 1);
    (2..6).for_each(|n| bench.send(CLIENT, channel, n, value(n as u8)));
    bench.take();
    bench.frame(CLIENT, Frame::Cleared { channel, landings });
    let found = contents(&mut bench).expect("all handles are there");
    let values: Vec<u8> = found.values.iter().map(|parcel| parcel.payload[0]).collect();
    assert_eq!(values, [2, 3, 4, 5]);
    assert_eq!(
        found.sends,
        [OperationId(4), OperationId(5)],
        "room for two: the first was on offer"
    );
    assert_eq!((found.receives, found.end), (vec![OperationId(1)], None));
    assert_eq!((found.senders, found.receivers), (1, 1));
    bench.frame(CLIENT, Frame::Landed { channel, landings });
    assert_eq!((bench.core.channels(), bench.take()), (0, Vec::new()));
}

#[test]
fn a_channel_that_stays_goes_on_and_is_asked_half_as_often() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(1);
    let (first, landings) = until_asked(&mut bench, channel, 0);
    bench.frame(CLIENT, Frame::Cleared { channel, landings });
    bench.frame(CLIENT, Frame::Keep { channel, landings });
    bench.repay(0);
    let (second, landings) = until_asked(&mut bench, channel, 10_000);
    assert_eq!(landings, 2);
    bench.frame(CLIENT, Frame::Keep { channel, landings });
    bench.repay(0);
    let (third, _) = until_asked(&mut bench, channel, 20_000);
    assert!(second >= 2 * first - 1 && third >= 2 * second - 1, "{first}, {second}, {third}");
}

/// A node that exports a channel again says how often it was landed; only it may, and only then.
#[test]
fn what_was_learnt_of_a_channel_outlives_its_landing() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(1);
    bench.frame(CLIENT, Frame::Keep { channel, landings: 3 });
    let (count, landings) = until_asked(&mut bench, channel, 0);
    assert_eq!(landings, 4);
    assert!(count >= 8 * 8, "{count}");
}

#[test]
fn a_handle_that_is_on_its_way_elsewhere_keeps_the_channel_here() {
    let mut bench = Bench::new(1);
    let (carrier, channel) = (bench.channel(1), bench.channel(1));
    let (_, landings) = until_asked(&mut bench, channel, 0);
    bench.send(CLIENT, carrier, 1, carrying(channel, Side::Send));
    bench.frame(CLIENT, Frame::Cleared { channel, landings });
    assert_eq!(bench.sent(CLIENT).last(), Some(&Frame::Stay { channel, landings }));
    exchange(&mut bench, channel, 5000);
    assert!(!bench.sent(CLIENT).is_empty(), "it goes on");
}

/// A result's channel has a handle here until the task has ended, and none of its side after.
#[test]
fn a_channel_with_one_end_does_not_land() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(100);
    (0..50).for_each(|operation| bench.send(CLIENT, channel, operation, value(1)));
    bench.frame(CLIENT, Frame::Detach { channel, side: Side::Send, arrivals: 1 });
    for operation in 100..140 {
        bench.receive(CLIENT, channel, operation);
        bench.accept(CLIENT, channel, operation);
        bench.event(Event::Tick);
    }
    let is_asked = |frame: &Frame| matches!(frame, Frame::Approach { .. });
    // The sends alone were many in a row: that it was asked then is right.
    let asked = bench.sent(CLIENT).into_iter().filter(is_asked).count();
    assert!(asked <= 1, "{asked}");
}

/// Handles that have come together lie still: the next tick finds them.
#[test]
fn a_channel_that_nobody_uses_lands_after_a_while() {
    let mut bench = Bench::new(1);
    let (carrier, channel) = (bench.channel(1), bench.channel(1));
    bench.send(CLIENT, carrier, 1, carrying(channel, Side::Send));
    bench.event(Event::Tick);
    let is_asked = |frame: &Frame| matches!(frame, Frame::Approach { .. });
    assert!(!bench.sent(CLIENT).iter().any(is_asked), "a handle is on its way");
    bench.receive(CLIENT, carrier, 2);
    bench.accept(CLIENT, carrier, 2);
    bench.event(Event::Tick);
    bench.event(Event::Tick);
    assert!(bench.sent(CLIENT).iter().any(is_asked));
}

#[test]
fn a_node_that_dies_while_a_channel_lands_takes_it_along() {
    for answered in [false, true] {
        let mut bench = Bench::new(1);
        let (channel, carried) = (bench.channel(1), bench.channel(1));
        let (_, landings) = until_asked(&mut bench, channel, 0);
        bench.send(CLIENT, channel, 9000, carrying(carried, Side::Receive));
        bench.frame(CLIENT, Frame::Cleared { channel, landings });
        assert!(contents(&mut bench).is_some());
        if answered {
            bench.frame(CLIENT, Frame::Landed { channel, landings });
            assert_eq!(bench.core.channels(), 1, "the one whose handle came along");
        }
        bench.die(CLIENT);
        assert_eq!(bench.core.channels(), 0);
    }
}

/// A node may say of a channel that it is never to land: one that is relayed for a trial.
#[test]
fn a_channel_that_is_never_to_land_is_not_asked_for() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(1);
    bench.frame(CLIENT, Frame::Keep { channel, landings: NEVER });
    for operation in 0..500 {
        exchange(&mut bench, channel, operation);
        bench.event(Event::Tick);
    }
    let is_asked = |frame: &Frame| matches!(frame, Frame::Approach { .. });
    assert!(!bench.sent(CLIENT).iter().any(is_asked));
}

/// From the question on nothing is lent, so that nothing can be on its way; and what was lent, and
/// had not come back by the answer, is home.
#[test]
fn nothing_is_lent_while_a_channel_is_asked_for() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(4);
    let (_, landings) = until_asked(&mut bench, channel, 0);
    bench.frame(CLIENT, Frame::Ahead { channel, window: 4, seen: 0 });
    for operation in 5000..5004 {
        bench.frame(
            CLIENT,
            Frame::Send { channel, operation: OperationId(operation), parcel: value(1) },
        );
    }
    let is_loan = |frame: &Frame| matches!(frame, Frame::Credit { .. } | Frame::Early { .. });
    assert!(!bench.sent(CLIENT).iter().any(is_loan));
    bench.frame(CLIENT, Frame::Keep { channel, landings });
    let lent = bench.sent(CLIENT);
    assert!(matches!(&lent[..], [Frame::Early { first: 0, parcels, .. }] if parcels.len() == 4));

    let (_, landings) = until_asked_with(&mut bench, channel);
    bench.frame(CLIENT, Frame::Cleared { channel, landings });
    let contents = contents(&mut bench).expect("all handles are there");
    assert!(contents.values.len() >= 4, "what it had on offer and did not answer is in it");
}

/// C54: a landing is traffic, for it wakes those who wait in the channel; when it is over, and they
/// sleep again, nobody is left to wake them.
#[test]
fn a_landing_is_no_deadlock_and_hides_none() {
    let mut bench = Bench::new(1);
    let (carrier, channel) = (bench.channel(1), bench.channel(1));
    bench.send(CLIENT, carrier, 1, carrying(channel, Side::Send));
    bench.receive(CLIENT, carrier, 2);
    bench.accept(CLIENT, carrier, 2);
    bench.detach(CLIENT, carrier);
    let round = probed(&mut bench).expect("the client suspects one");
    bench.event(Event::Tick);
    let landings = bench.sent(CLIENT).into_iter().find_map(|frame| match frame {
        Frame::Approach { landings, .. } => Some(landings),
        _ => None,
    });
    let landings = landings.expect("its handles have come together");
    assert!(!is_found(&mut bench, round), "a channel is on its way");
    bench.frame(CLIENT, Frame::Cleared { channel, landings });
    let round = probed(&mut bench).expect("it suspects one again");
    bench.frame(CLIENT, Frame::Landed { channel, landings });
    assert!(!is_found(&mut bench, round), "it has only just come");
    let round = probed(&mut bench).expect("and again");
    assert!(is_found(&mut bench, round));
}

/// The client suspects a deadlock: the round in which it is asked.
fn probed(bench: &mut Bench) -> Option<u64> {
    bench.now += Duration::from_secs(1);
    bench.frame(CLIENT, Frame::Suspect {});
    bench.sent(CLIENT).into_iter().find_map(|frame| match frame {
        Frame::Probe { round } => Some(round),
        _ => None,
    })
}

/// The client sleeps: whether that is a deadlock.
fn is_found(bench: &mut Bench, round: u64) -> bool {
    bench.frame(CLIENT, Frame::Asleep { round, report: "main: a receive\n".to_owned() });
    bench.sent(CLIENT).iter().any(|frame| matches!(frame, Frame::Deadlock { .. }))
}

/// Nobody lands what it was not sent.
#[test]
fn an_answer_that_was_not_asked_for_ends_the_link_or_is_nothing() {
    let mut bench = Bench::new(1);
    let channel = bench.channel(1);
    for frame in [
        Frame::Cleared { channel, landings: 1 },
        Frame::Keep { channel: ChannelId(99), landings: 1 },
        Frame::Cleared { channel: ChannelId(99), landings: 1 },
    ] {
        bench.frame(CLIENT, frame);
    }
    let stays = bench.sent(CLIENT);
    assert!(stays.iter().all(|frame| matches!(frame, Frame::Stay { .. })), "{stays:?}");
    bench.frame(CLIENT, Frame::Landed { channel, landings: 1 });
    assert!(bench.take().iter().any(|command| matches!(command, Command::Close { .. })));
}
