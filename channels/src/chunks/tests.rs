//! Both sides together: what one pushes comes out at the other, at random and by hand.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;

use super::*;
use crate::id::OperationId;
use crate::session::{Received, Session};
use crate::wire::{
    BATCH_BYTES_TARGET, BatchWriter, Envelope, Parcel, Passage, Side, SpawnOptions, read_batch,
};

const BIG: usize = 5 * CHUNK_BYTES_MAX + 7;

/// A part of one long text that repeats itself out of step with the pieces.
fn payload(bytes: usize, seed: u64) -> Bytes {
    static ALL: OnceLock<Bytes> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all: Vec<u8> = (0..65_521_u32).map(|at| (at.wrapping_mul(at) / 31) as u8).collect();
        while all.len() < 101 << 20 {
            all.extend_from_within(..);
        }
        all.into()
    });
    let start = (seed % 4096) as usize;
    all.slice(start..start + bytes)
}

fn value(bytes: usize) -> Parcel {
    Parcel { payload: payload(bytes, bytes as u64), ..Parcel::default() }
}

fn send(channel: u128, operation: u64, bytes: usize) -> Frame {
    let (channel, operation) = (ChannelId(channel), OperationId(operation));
    Frame::Send { channel, operation, parcel: value(bytes) }
}

fn prepaid(channel: u128, bytes: usize) -> Frame {
    Frame::Prepaid { channel: ChannelId(channel), parcels: vec![value(bytes)].into() }
}

fn cancel(channel: u128, operation: u64) -> Frame {
    Frame::CancelSend { channel: ChannelId(channel), operation: OperationId(operation) }
}

fn detach(channel: u128) -> Frame {
    Frame::Detach { channel: ChannelId(channel), side: Side::Send, arrivals: 1 }
}

fn spawn(task: u128, bytes: usize) -> Frame {
    Frame::Spawn {
        task: TaskId(task),
        name: String::new(),
        signature: 0,
        options: SpawnOptions::default(),
        result: ChannelId(task),
        arguments: value(bytes),
    }
}

fn outbox(frames: impl IntoIterator<Item = Frame>) -> Outbox {
    let mut outbox = Outbox::default();
    frames.into_iter().for_each(|frame| outbox.push_back(frame));
    outbox
}

/// One batch, if anything waits.
fn next(outbox: &mut Outbox) -> Option<Bytes> {
    let mut batch = BatchWriter::default();
    outbox.fill(&mut batch);
    assert!(batch.len() <= BATCH_BYTES_TARGET + WHOLE_BYTES_MAX + 200, "{}", batch.len());
    (!batch.is_empty()).then(|| batch.finish(Envelope { epoch: 1, sequence: 1, acknowledged: 0 }))
}

fn frames(batch: Bytes) -> Vec<Frame> {
    read_batch(batch).unwrap().1
}

/// All that is sent, in its pieces.
fn pieces(outbox: &mut Outbox) -> Vec<Frame> {
    let all: Vec<Frame> = std::iter::from_fn(|| next(outbox)).flat_map(frames).collect();
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0), "{outbox:?}");
    all
}

fn complete(inbox: &mut Inbox, pieces: Vec<Frame>) -> Vec<Frame> {
    pieces.into_iter().filter_map(|frame| inbox.receive(frame).unwrap()).collect()
}

/// What comes of it at the other side.
fn come(outbox: &mut Outbox) -> Vec<Frame> {
    let mut inbox = Inbox::default();
    let all = complete(&mut inbox, pieces(outbox));
    assert_eq!(inbox.bytes(), 0, "nothing is left of it");
    all
}

#[test]
fn a_large_value_comes_as_it_was_after_what_passes_it() {
    for large in [CHUNK_BYTES_MAX + 1, 2 * CHUNK_BYTES_MAX, BIG] {
        let frames = [send(1, 1, large), send(2, 2, 1), prepaid(3, 5), send(1, 3, 2), cancel(2, 2)];
        let [first, second, third, behind, fifth] = frames.clone();
        assert_eq!(come(&mut outbox(frames)), [second, third, fifth, first, behind]);
    }
    let small = [send(1, 1, CHUNK_BYTES_MAX), send(2, 2, 1)];
    assert_eq!(come(&mut outbox(small.clone())), small);
}

/// The home keeps something for a select that it has asked, so it must hear that the value comes,
/// or that it is given up.
#[test]
fn a_large_value_of_a_select_takes_turns_and_is_not_dropped() {
    let (channel, operation) = (ChannelId(1), OperationId(1));
    let prepared = Frame::Prepared { channel, operation, parcel: value(BIG) };
    let frames = [prepared, send(2, 2, 1), cancel(1, 1)];
    let [first, second, third] = frames.clone();
    assert_eq!(come(&mut outbox(frames)), [second, first, third]);
}

/// However much there is of a value, a heartbeat and another's value go with the next batch.
#[test]
fn nothing_waits_for_a_hundred_mebibytes() {
    let mut outbox = outbox([send(1, 1, 100 << 20)]);
    let mut inbox = Inbox::default();
    for round in 0..20 {
        let (small, heartbeat) = (send(2, 2 + round, 9), Frame::Heartbeat {});
        outbox.push_back(small.clone());
        outbox.push_back(heartbeat.clone());
        let batch = next(&mut outbox).unwrap();
        assert!(batch.len() < BATCH_BYTES_TARGET + CHUNK_BYTES_MAX + 200);
        let batch = frames(batch);
        assert_eq!(batch[0], heartbeat);
        assert_eq!(complete(&mut inbox, batch), [heartbeat, small]);
    }
    let rest = complete(&mut inbox, pieces(&mut outbox));
    assert_eq!(rest, [send(1, 1, 100 << 20)]);
}

/// Pieces cost a copy: who has the link for itself does without, until another speaks.
#[test]
fn a_value_that_is_alone_goes_at_once() {
    let mut outbox = Outbox::default();
    let mut is_whole = |frames: &[Frame]| {
        frames.iter().cloned().for_each(|frame| outbox.push_back(frame));
        pieces(&mut outbox) == frames
    };
    let stream = [send(1, 1, BIG), send(1, 2, BIG), send(1, 3, 5)];
    assert!(is_whole(&stream) && is_whole(&stream));
    assert!(!is_whole(&[send(1, 4, WHOLE_BYTES_MAX + 1)]));
    assert!(is_whole(&[send(2, 1, 1)]) && !is_whole(&stream), "another has spoken");
    for _ in 0..64 {
        is_whole(&stream);
    }
    assert!(is_whole(&stream), "long ago");
}

/// Values take turns, a piece each; the line gets half, however long it is.
#[test]
fn values_take_turns_and_the_line_has_half() {
    let line = (0..200).map(|at| prepaid(9, 1000 + at));
    let mut outbox = outbox((1..=3).map(|at| send(at, at as u64, BIG)).chain(line));
    let all = pieces(&mut outbox);
    let streams: Vec<u64> = all
        .iter()
        .filter_map(|frame| match frame {
            Frame::Chunk { stream, .. } => Some(*stream),
            _ => None,
        })
        .collect();
    assert_eq!(streams[..9], [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    let is_piece = |frame: &Frame| matches!(frame, Frame::Chunk { .. });
    let whole = |frame: &Frame| matches!(frame, Frame::Whole { .. });
    let until = all.iter().position(whole).unwrap();
    let between = all[..until].split(is_piece).skip(1).filter(|some| !some.is_empty());
    for some in between {
        let bytes: usize = some.iter().map(Frame::payload_bytes).sum();
        assert!((1..CHUNK_BYTES_MAX + 2000).contains(&bytes), "{bytes} between two pieces");
    }
}

/// What was sent before its task goes on stays before all that the task does then.
#[test]
fn effects_hold_their_place() {
    let large = WHOLE_BYTES_MAX + 1;
    for effect in [prepaid(1, WHOLE_BYTES_MAX), spawn(1, large), spawn(1, 100_000)] {
        let frames = [send(5, 1, BIG), effect.clone(), send(2, 2, 1), prepaid(3, 1), detach(4)];
        let came = come(&mut outbox(frames.clone()));
        let effects: Vec<Frame> =
            came.iter().filter(|frame| **frame != frames[0]).cloned().collect();
        assert_eq!(effects, frames[1..]);
    }
}

#[test]
fn a_handle_in_a_value_is_given_back_after_it() {
    let passage = Passage { channel: ChannelId(7), side: Side::Send, capacity: 1 };
    let mut carrier = send(1, 1, BIG);
    let Frame::Send { parcel, .. } = &mut carrier else { unreachable!("it is a send") };
    parcel.passages.push(passage);
    let frames = [carrier, send(2, 2, 1), detach(7), prepaid(3, 1), Frame::Heartbeat {}];
    let [first, passes, gone, after, heartbeat] = frames.clone();
    assert_eq!(come(&mut outbox(frames)), [heartbeat, passes, first, gone, after]);
}

#[test]
fn what_ends_a_session_waits_for_all() {
    for last in [Frame::Goodbye {}, Frame::Shutdown {}, Frame::Probe { round: 1 }] {
        let frames = [send(1, 1, BIG), last, send(2, 2, 1)];
        assert_eq!(come(&mut outbox(frames.clone())), frames);
    }
}

#[test]
fn a_task_is_cancelled_after_its_arguments_came() {
    let run = Frame::Run {
        task: TaskId(1),
        attempt: 1,
        name: String::new(),
        signature: 0,
        timeout_ms: 0,
        arguments: value(BIG),
    };
    let (stop, other) = (Frame::Cancel { task: TaskId(1) }, Frame::Cancel { task: TaskId(2) });
    let frames = [run.clone(), stop.clone(), other.clone()];
    assert_eq!(come(&mut outbox(frames)), [other, run, stop]);
}

/// Before it has left, on its way, and behind another.
#[test]
fn a_send_that_is_given_up_is_not_sent() {
    let mut in_line = outbox([send(1, 1, BIG), cancel(1, 1), send(1, 2, 1)]);
    assert_eq!(pieces(&mut in_line), [send(1, 2, 1)]);

    let mut underway =
        outbox([prepaid(9, 1), send(1, 1, BIG), send(1, 2, BIG), send(1, 3, BIG), send(1, 4, 3)]);
    let mut inbox = Inbox::default();
    let begun = complete(&mut inbox, frames(next(&mut underway).unwrap()));
    assert!(begun.len() == 1 && inbox.bytes() > 0);
    underway.push_back(cancel(1, 2));
    underway.push_back(cancel(1, 1));
    let rest = pieces(&mut underway);
    assert_eq!(rest[0], Frame::Scrap { stream: 1 });
    assert_eq!(complete(&mut inbox, rest), [send(1, 3, BIG), send(1, 4, 3)]);
    assert_eq!(inbox.bytes(), 0);
    underway.push_back(cancel(1, 3));
    assert_eq!(pieces(&mut underway), [cancel(1, 3)], "too late, and to be said");
}

/// The window stands where it stood, whatever part of a value the link lost.
#[test]
fn pieces_that_a_link_lost_come_again() {
    let (mut here, mut there) = (Session::new(1), Session::new(1));
    let sent = [send(1, 1, BIG), send(2, 2, 9), send(3, 3, BIG), send(1, 4, 1)];
    let (mut outbox, mut inbox) = (outbox(sent.clone()), Inbox::default());
    let mut came = Vec::new();
    for lost in 0.. {
        let mut batch = BatchWriter::default();
        outbox.fill(&mut batch);
        let is_last = batch.is_empty();
        if !is_last {
            here.seal(batch);
        }
        let mut links = Vec::new();
        while let Some(batch) = here.next_batch() {
            links.push(batch);
        }
        // Of what this link carries, a part arrives.
        for batch in links.into_iter().take(lost % 3) {
            let (size, (envelope, frames)) = (batch.len(), read_batch(batch).unwrap());
            let received = there.receive(envelope, &frames, size).unwrap();
            if received == Received::New {
                came.extend(complete(&mut inbox, frames));
            }
        }
        here.unlink();
        here.link(there.received()).unwrap();
        if is_last && here.acknowledged() == here.sent() {
            break;
        }
    }
    let [one, two, three, four] = sent;
    assert_eq!(came, [two, one, four, three]);
}

fn chunk(stream: u64, length: usize, left: usize) -> Frame {
    Frame::Chunk { stream, left: left as u32, bytes: payload(length, 0) }
}

fn whole(stream: u64, frame: Frame) -> Frame {
    Frame::Whole { stream, frame: Box::new(frame) }
}

/// What comes of these frames at the last of them.
fn misfit(frames: impl IntoIterator<Item = Frame>) -> Option<Misfit> {
    let mut inbox = Inbox::default();
    frames.into_iter().find_map(|frame| inbox.receive(frame).err())
}

#[test]
fn pieces_that_do_not_fit_are_named() {
    const PIECE: usize = CHUNK_BYTES_MAX;
    let hollow = || send(1, 1, 0);
    assert_eq!(misfit([chunk(1, PIECE, 1), chunk(1, 1, 0), whole(1, hollow())]), None);
    for (frames, expected) in [
        (vec![chunk(1, 9, 1)], Misfit::Piece(9)),
        (vec![chunk(1, 0, 0)], Misfit::Piece(0)),
        (vec![chunk(1, PIECE + 1, 0)], Misfit::Piece(PIECE + 1)),
        (
            vec![chunk(1, PIECE, 2 * PIECE), chunk(1, PIECE, 0)],
            Misfit::Order { stream: 1, left: 0, expected: 2 * PIECE },
        ),
        (
            vec![chunk(1, PIECE, 9), chunk(1, PIECE, 9)],
            Misfit::Order { stream: 1, left: 9, expected: 9 },
        ),
        (vec![chunk(2, 1, 0), chunk(1, 1, 0)], Misfit::NotBegun(1)),
        (vec![chunk(1, 1, 0), whole(1, hollow()), chunk(1, 1, 0)], Misfit::NotBegun(1)),
        (vec![whole(1, hollow())], Misfit::NotBegun(1)),
        (vec![Frame::Scrap { stream: 3 }], Misfit::NotBegun(3)),
        (vec![chunk(1, PIECE, 9), whole(1, hollow())], Misfit::Incomplete { stream: 1, left: 9 }),
        (vec![chunk(1, 1, 0), whole(1, send(1, 1, 1))], Misfit::NoRoom(1)),
        (vec![chunk(1, 1, 0), whole(1, detach(1))], Misfit::NoRoom(1)),
        (vec![chunk(1, PIECE, MESSAGE_BYTES_MAX)], Misfit::TooLong(MESSAGE_BYTES_MAX + PIECE)),
        (
            (1..=3).map(|stream| chunk(stream, PIECE, MESSAGE_BYTES_MAX - PIECE)).collect(),
            Misfit::TooMany,
        ),
        ((1..=STREAMS_MAX as u64 + 1).map(|at| chunk(at, PIECE, 1)).collect(), Misfit::TooMany),
    ] {
        assert_eq!(misfit(frames.clone()), Some(expected), "{frames:?}");
        assert!(expected.to_string().len() > 20);
    }
}

/// Values that are announced and never come cost what has come of them.
#[test]
fn a_value_that_never_ends_costs_what_came_of_it() {
    let mut inbox = Inbox::default();
    for stream in 1..=2 {
        inbox.receive(chunk(stream, CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX - CHUNK_BYTES_MAX)).unwrap();
    }
    assert!(inbox.bytes() <= 8 << 20, "{}", inbox.bytes());
}

/// No frame about pieces is within another, however deep it would go.
#[test]
fn a_frame_within_a_frame_is_no_other() {
    let deep = whole(1, whole(1, send(1, 1, 0)));
    let mut batch = BatchWriter::default();
    batch.push(&deep);
    let error = read_batch(batch.finish(Envelope::LINK)).unwrap_err().to_string();
    assert!(error.contains("kind 91 within another"), "{error}");
}

/// Whatever is pushed and given up, and whenever a batch leaves: each frame comes once and as it
/// was, those of a channel in their order, and effects in theirs.
#[test]
fn at_random_nothing_is_lost_and_order_is_kept() {
    for seed in 1..=100_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |limit: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % limit
        };
        let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
        let (mut pushed, mut came, mut given_up) = (Vec::new(), Vec::new(), Vec::new());
        for operation in 1..=60 {
            let channel = u128::from(below(4));
            let sizes = [1, 2000, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, BIG, 20 * CHUNK_BYTES_MAX];
            let bytes = sizes[below(6) as usize];
            let frame = match below(8) {
                0 => prepaid(channel, bytes),
                1 => spawn(u128::from(operation), bytes * 4),
                2 => detach(channel),
                _ => send(channel, operation, bytes),
            };
            pushed.push(frame.clone());
            outbox.push_back(frame);
            if below(6) == 0 {
                let one = pushed[below(pushed.len() as u64) as usize].clone();
                if let Frame::Send { channel, operation, .. } = one
                    && outbox.give_up(channel, operation)
                {
                    given_up.push(one);
                }
            }
            if below(2) == 0
                && let Some(batch) = next(&mut outbox)
            {
                came.extend(complete(&mut inbox, frames(batch)));
            }
        }
        came.extend(complete(&mut inbox, pieces(&mut outbox)));
        pushed.retain(|frame| !given_up.contains(frame));
        assert_eq!(came.len(), pushed.len(), "seed {seed}");
        assert_eq!(by_lane(&came), by_lane(&pushed), "seed {seed}");
        assert_eq!(inbox.bytes(), 0, "seed {seed}");
    }
}

/// Frames by what has to keep its order: sends of a channel, and effects.
fn by_lane(frames: &[Frame]) -> BTreeMap<Option<u128>, Vec<&Frame>> {
    let mut lanes: BTreeMap<_, Vec<&Frame>> = BTreeMap::new();
    for frame in frames {
        match frame {
            Frame::Send { channel, .. } => lanes.entry(Some(channel.0)).or_default().push(frame),
            Frame::Prepaid { channel, .. } | Frame::Detach { channel, .. } => {
                lanes.entry(Some(channel.0)).or_default().push(frame);
                lanes.entry(None).or_default().push(frame);
            }
            _ => lanes.entry(None).or_default().push(frame),
        }
    }
    lanes
}
