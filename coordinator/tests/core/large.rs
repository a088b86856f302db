//! Values that come in pieces, and values that are too large to be sent unasked.

use channels::wire::{CHUNK_BYTES_MAX, WHOLE_BYTES_MAX};

use super::*;

const PIECE: usize = CHUNK_BYTES_MAX;

fn of_bytes(bytes: usize) -> Parcel {
    Parcel { payload: vec![7; bytes].into(), ..Parcel::default() }
}

fn piece(stream: u64, left: usize) -> Frame {
    Frame::Chunk { stream, left: left as u32, bytes: vec![7; PIECE].into() }
}

/// D4: of a value whose sender dies before the last piece nothing is seen; nor is it of one that
/// was given up.
#[test]
fn a_value_counts_when_it_is_whole() {
    for pieces in 1..=3 {
        let (mut bench, worker, channel, _) = with_worker(0, 0);
        bench.receive(CLIENT, channel, 1);
        let (operation, parcel) = (OperationId(2), Parcel::default());
        let frame = Box::new(Frame::Send { channel, operation, parcel });
        bench.frame(worker, piece(1, 2 * PIECE));
        bench.frame(worker, piece(2, PIECE));
        bench.frame(worker, Frame::Scrap { stream: 2 });
        for left in (3 - pieces..2).rev() {
            bench.frame(worker, piece(1, left * PIECE));
        }
        assert_eq!(bench.sent(CLIENT), []);
        if pieces == 3 {
            bench.frame(worker, Frame::Whole { stream: 1, frame });
            let parcel = of_bytes(3 * PIECE);
            let offer = Frame::Offer { channel, operation: OperationId(1), attempt: 1, parcel };
            assert_eq!(bench.sent(CLIENT), [offer]);
        } else {
            bench.die(worker);
            let lost = |frame: &Frame| matches!(frame, Frame::Offer { .. });
            assert!(!bench.sent(CLIENT).iter().any(lost));
        }
    }
}

/// Who sends and receives much gets liberties; not for values as large as these.
#[test]
fn too_large_values_are_neither_prepaid_nor_offered_early() {
    for (bytes, are_free) in [(PIECE, true), (WHOLE_BYTES_MAX / 2, true), (WHOLE_BYTES_MAX, false)]
    {
        let (mut bench, worker, channel, _) = with_worker(8, 0);
        bench.frame(worker, Frame::Ahead { channel, window: 8, seen: 0 });
        for operation in (1..=4).map(OperationId) {
            let parcel = of_bytes(bytes);
            bench.frame(CLIENT, Frame::Send { channel, operation, parcel });
        }
        let commands = bench.take();
        let sent = |is_such: fn(&Frame) -> bool| {
            let mut frames = commands.iter().filter_map(|command| match command {
                Command::Send { frame, .. } => Some(frame),
                _ => None,
            });
            frames.any(is_such)
        };
        assert_eq!(sent(|frame| matches!(frame, Frame::Credit { .. })), are_free, "{bytes}");
        assert_eq!(sent(|frame| matches!(frame, Frame::Early { .. })), are_free, "{bytes}");
        if !are_free {
            bench.receive(worker, channel, 9);
            let (operation, parcel) = (OperationId(9), of_bytes(bytes));
            assert_eq!(
                bench.sent(worker),
                [Frame::Offer { channel, operation, attempt: 1, parcel }]
            );
        }
    }
}

/// What travels in pieces is alone in its frame.
#[test]
fn an_early_offer_that_is_large_is_alone() {
    let (mut bench, worker, channel, _) = with_worker(8, 0);
    for (operation, bytes) in (1..).zip([1, 1, PIECE + 1, 1, 1, PIECE + 1]) {
        bench.send(CLIENT, channel, operation, of_bytes(bytes));
    }
    bench.take();
    bench.frame(worker, Frame::Ahead { channel, window: 8, seen: 0 });
    bench.send(CLIENT, channel, 9, of_bytes(1));
    let counts: Vec<usize> = bench
        .sent(worker)
        .iter()
        .filter_map(|frame| match frame {
            Frame::Early { parcels, .. } => Some(parcels.len()),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [2, 1, 2, 1, 1]);
}
