//! Values that pass through a channel in one piece, and every way in which a piece is taken apart.
//!
//! A bug planted on purpose must be found:
//! `RUSTFLAGS='--cfg planted="passing"' cargo test -p farspawn-coordinator --test core passing`.

use channels::wire::Parcels;

use super::*;

/// A worker that keeps receiving, and a client with credits, on a channel of this capacity.
fn flowing(capacity: u32) -> (Bench, SessionId, ChannelId) {
    let (mut bench, worker, channel, _) = with_worker(capacity, 0);
    for operation in 1..=3 {
        let (operation, parcel) = (OperationId(operation), value(operation as u8));
        bench.frame(CLIENT, Frame::Send { channel, operation, parcel });
    }
    bench.frame(worker, Frame::Ahead { channel, window: capacity, seen: 0 });
    bench.receive(worker, channel, 1);
    bench.accept(worker, channel, 1);
    bench.frame(worker, Frame::Took { channel, first: 0, count: 2 });
    bench.take();
    (bench, worker, channel)
}

fn values(bytes: std::ops::RangeInclusive<u8>) -> Parcels {
    bytes.map(value).collect::<Vec<_>>().into()
}

fn early(channel: ChannelId, first: u64, bytes: std::ops::RangeInclusive<u8>) -> Frame {
    Frame::Early { channel, first, detaches: 0, attempt: 1, parcels: values(bytes) }
}

/// What is left goes to the client, one by one: which values, and for which time.
fn rest(bench: &mut Bench, channel: ChannelId, count: u64) -> Vec<(u8, u32)> {
    (100..100 + count).for_each(|operation| bench.receive(CLIENT, channel, operation));
    let offer = |frame| match frame {
        Frame::Offer { attempt, parcel, .. } => Some((parcel.payload[0], attempt)),
        _ => None,
    };
    bench.sent(CLIENT).into_iter().filter_map(offer).collect()
}

#[test]
fn values_pass_in_one_piece_and_make_room_when_they_are_taken() {
    let (mut bench, worker, channel) = flowing(8);
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=8) });
    assert_eq!(bench.sent(worker), [early(channel, 2, 4..=8)]);
    bench.take();
    bench.frame(worker, Frame::Took { channel, first: 2, count: 3 });
    let granted = bench.sent(CLIENT);
    let [Frame::Credit { credits, .. }] = granted[..] else { panic!("{granted:?}") };
    bench.frame(worker, Frame::Took { channel, first: 5, count: 2 });
    bench.frame(CLIENT, Frame::Measure { channel, operation: OperationId(50) });
    let answer = bench.sent(CLIENT);
    assert!(
        answer.contains(&Frame::Measured { operation: OperationId(50), length: 0 }),
        "{credits} {answer:?}"
    );
}

/// Each part of a piece may have another answer, in any order.
#[test]
fn what_is_not_taken_of_a_piece_goes_to_its_place() {
    for (took, untaken) in [(2, 3), (6, 2), (4, 2), (4, 4)] {
        let (mut bench, worker, channel) = flowing(8);
        bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=8) });
        bench.take();
        bench.frame(worker, Frame::Took { channel, first: took, count: 1 });
        bench.frame(worker, Frame::Untaken { channel, first: untaken, count: 1 });
        let all: Vec<u64> =
            (2..=6).filter(|number| *number != took && *number != untaken).collect();
        for number in all {
            bench.frame(worker, Frame::Untaken { channel, first: number, count: 1 });
        }
        bench.take();
        let expected: Vec<(u8, u32)> =
            (4..=8).filter(|byte| u64::from(*byte) != took + 2).map(|byte| (byte, 1)).collect();
        let mut left = rest(&mut bench, channel, 5);
        if untaken == took {
            assert!(!left.is_empty(), "what was taken does not come back");
        }
        left.sort_unstable();
        assert_eq!(left, expected, "{took} was taken");
    }
}

/// D3: a piece that a dead receiver had goes to the next, each value at its place, after what was
/// taken of it.
#[test]
fn a_piece_of_a_dead_receiver_comes_back_in_order() {
    let (mut bench, worker, channel) = flowing(8);
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=6) });
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(7..=8) });
    bench.frame(worker, Frame::Took { channel, first: 2, count: 2 });
    bench.take();
    bench.die(worker);
    assert_eq!(rest(&mut bench, channel, 4), [(6, 2), (7, 2), (8, 2)]);
}

/// A lease takes one value out of the midst of a piece; it returns to its place.
#[test]
fn one_of_a_piece_is_leased() {
    let (mut bench, worker, channel) = flowing(8);
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=8) });
    let operation = OperationId(9);
    bench.frame(worker, Frame::LeaseEarly { channel, number: 4, operation });
    bench.frame(worker, Frame::Took { channel, first: 2, count: 2 });
    bench.frame(worker, Frame::Took { channel, first: 5, count: 1 });
    bench.take();
    bench.die(worker);
    assert_eq!(rest(&mut bench, channel, 3), [(6, 2), (8, 2)]);
}

/// Who waits comes first, and is told first.
#[test]
fn a_receive_that_waits_gets_the_first_of_a_piece() {
    let (mut bench, worker, channel) = flowing(8);
    bench.frame(worker, Frame::Ahead { channel, window: 8, seen: 2 });
    bench.receive(worker, channel, 7);
    bench.take();
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=8) });
    assert_eq!(bench.sent(worker), [offer(channel, 7, 4), early(channel, 2, 5..=8)]);
}

/// No more than have room in what the receiver asked for; the others wait, and keep their order.
#[test]
fn a_piece_that_is_too_long_is_divided() {
    let (mut bench, worker, channel) = flowing(8);
    bench.frame(worker, Frame::Ahead { channel, window: 3, seen: 2 });
    bench.take();
    bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=8) });
    assert_eq!(bench.sent(worker), [early(channel, 2, 4..=6)]);
    bench.frame(worker, Frame::Took { channel, first: 2, count: 3 });
    assert_eq!(bench.sent(worker), [early(channel, 5, 7..=8)]);
}

/// What was not offered is not answered, whatever is out around it.
#[test]
fn an_answer_beyond_a_piece_is_refused() {
    for (first, count) in [(2, 6), (1, 2), (6, 2), (7, 1), (4, u32::MAX), (u64::MAX, 2), (2, 0)] {
        let (mut bench, worker, channel) = flowing(8);
        bench.frame(CLIENT, Frame::Prepaid { channel, parcels: values(4..=8) });
        bench.take();
        bench.frame(worker, Frame::Took { channel, first, count });
        peers::assert_closed(&mut bench, worker, "Took");
        assert_eq!(rest(&mut bench, channel, 5).len(), 5, "({first}, {count})");
    }
}
