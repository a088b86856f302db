//! Large values in pieces, so that nothing waits long for one: a value of 100 MiB holds up neither
//! a heartbeat nor another channel's small value.
//!
//! [`Outbox`] is what waits at one side to be sent, [`Inbox`] is where the other side puts pieces
//! together. Both are pure, and the same for a node and for the coordinator. Pieces are ordinary
//! frames of the session ([`Chunk`](Frame::Chunk)): they are numbered, kept until they are
//! acknowledged, and sent again on the next link. After the last one comes the frame itself
//! ([`Whole`](Frame::Whole)), and only that has a place in the order.
//!
//! # Who may pass whom
//!
//! Frames leave in the order in which they were pushed, with these exceptions:
//!
//! - A *value in turns* is one larger than a chunk that nobody but its own channel depends on: a
//!   send that was asked, for its task waits for the answer; an offer, for it is the home's until
//!   it is taken; a task's arguments on their way to its worker. Such values take turns, a piece
//!   each, and with them the *line* of all other frames: at least half of what is sent is the
//!   line's. What follows passes them, but for what has to do with the same channel or task,
//!   which stays behind (order of a channel, contract D6).
//! - A frame that says that handles are gone waits for values in turns that carry such handles,
//!   and with it all that follows. So does a send under a credit for values of its channel, and
//!   whatever ends a session or asks whether everything sleeps, for all values.
//! - A send under a credit, a spawn and an outcome are *effects* whose task goes on, so nothing
//!   that it does later may be seen without them (D4): they hold their place. A send under a credit
//!   is never larger than [`WHOLE_BYTES_MAX`]. A spawn or an outcome may be; it travels in pieces
//!   too, for the sake of heartbeats, and the line stops until it is complete.
//! - Heartbeats come before all else.
//!
//! A value in turns that nothing waits behind goes at once if it is not larger than
//! [`WHOLE_BYTES_MAX`], unless others have had something to send of late.
//!
//! # States
//!
//! A value in turns is *in line* -> *waiting* (others fill the room there is) -> *under way*
//! (numbered, a part of it is sent) -> *whole*; or, at any time before that, given up: then the
//! other side is told to scrap what it has. At the other side it is *coming* -> *complete* -> gone,
//! all in one with its session if a side dies.
//!
//! # Limits
//!
//! At most [`STREAMS_MAX`] values are under way at once, and [`STREAM_BYTES_MAX`] bytes of them. A
//! peer that exceeds this, or whose pieces do not fit together, breaks the protocol; memory is
//! used for what came, not for what was announced.

mod inbox;
mod outbox;

pub use inbox::{Inbox, Misfit};
pub use outbox::Outbox;

use crate::id::{ChannelId, TaskId};
use crate::wire::{CHUNK_BYTES_MAX, Frame, MESSAGE_BYTES_MAX, Parcel, WHOLE_BYTES_MAX};

/// Values under way at once, of one side of a session.
pub const STREAMS_MAX: usize = 64;
/// What they come to in bytes, those parts that have not come included.
pub const STREAM_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// What of the values in turns is in each other's way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Lane {
    Channel(ChannelId),
    Task(TaskId),
}

/// How a frame travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// At once.
    Whole,
    /// In pieces, in turns with others.
    InTurns(Lane),
    /// In pieces, at its place in the line.
    InPlace,
}

/// How a frame stands to values in turns that were before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Passes,
    /// Follows those of a lane, and lets others pass.
    Behind(Lane),
    /// It and all after it wait for those of a channel, and those that carry a handle to it.
    StopsFor(ChannelId),
    StopsForAll,
}

/// The value that a frame brings, if it brings one.
fn parcel(frame: &Frame) -> Option<&Parcel> {
    if let [parcel] = frame.parcels() { Some(parcel) } else { None }
}

fn parcel_mut(frame: &mut Frame) -> Option<&mut Parcel> {
    if let [parcel] = frame.parcels_mut() { Some(parcel) } else { None }
}

impl Way {
    fn of(frame: &Frame) -> Self {
        let bytes = parcel(frame).map_or(0, |parcel| parcel.payload.len());
        if bytes <= CHUNK_BYTES_MAX {
            return Self::Whole;
        }
        match frame {
            Frame::Send { channel, .. }
            | Frame::TrySend { channel, .. }
            | Frame::Prepared { channel, .. }
            | Frame::Offer { channel, .. }
            | Frame::Early { channel, .. } => Self::InTurns(Lane::Channel(*channel)),
            Frame::Run { task, .. } => Self::InTurns(Lane::Task(*task)),
            _ if bytes > WHOLE_BYTES_MAX => Self::InPlace,
            _ => Self::Whole,
        }
    }
}

impl Course {
    fn of(frame: &Frame) -> Self {
        match frame {
            Frame::Send { channel, .. }
            | Frame::TrySend { channel, .. }
            | Frame::Prepared { channel, .. }
            | Frame::CancelSend { channel, .. }
            | Frame::Offer { channel, .. }
            | Frame::Early { channel, .. }
            | Frame::Again { channel, .. }
            | Frame::Recall { channel } => Self::Behind(Lane::Channel(*channel)),
            Frame::Cancel { task } => Self::Behind(Lane::Task(*task)),
            Frame::Prepaid { channel, .. } | Frame::Detach { channel, .. } => {
                Self::StopsFor(*channel)
            }
            _ if passes(frame) => Self::Passes,
            _ => Self::StopsForAll,
        }
    }
}

/// What a frame is about, if it says so.
fn lane(frame: &Frame) -> Option<Lane> {
    match frame {
        Frame::Send { channel, .. }
        | Frame::TrySend { channel, .. }
        | Frame::Prepared { channel, .. }
        | Frame::Prepaid { channel, .. }
        | Frame::Repay { channel, .. }
        | Frame::Receive { channel, .. }
        | Frame::Accept { channel, .. }
        | Frame::Ahead { channel, .. }
        | Frame::Took { channel, .. }
        | Frame::Offer { channel, .. }
        | Frame::Early { channel, .. }
        | Frame::Again { channel, .. }
        | Frame::Recall { channel }
        | Frame::Credit { channel, .. }
        | Frame::Revoke { channel } => Some(Lane::Channel(*channel)),
        Frame::Run { task, .. } => Some(Lane::Task(*task)),
        _ => None,
    }
}

/// What has nothing to do with values whose operation has no answer yet.
fn passes(frame: &Frame) -> bool {
    match frame {
        // What a node asks, and what it says of offers that it has.
        Frame::Receive { .. }
        | Frame::TryReceive { .. }
        | Frame::Watch { .. }
        | Frame::Survey { .. }
        | Frame::Measure { .. }
        | Frame::Inspect { .. }
        | Frame::Bill { .. }
        | Frame::Close { .. }
        | Frame::Accept { .. }
        | Frame::Lease { .. }
        | Frame::LeaseEarly { .. }
        | Frame::Decline { .. }
        | Frame::Took { .. }
        | Frame::Untaken { .. }
        | Frame::Abandon { .. }
        | Frame::Ahead { .. }
        | Frame::Repay { .. } => true,
        // A new channel, and what a task does that has not waited for the value.
        Frame::Export { .. }
        | Frame::Restore { .. }
        | Frame::RestoreLeased { .. }
        | Frame::Lend { .. }
        | Frame::Strict { .. }
        | Frame::Spawn { .. }
        | Frame::Abort { .. }
        | Frame::Finished { .. }
        | Frame::Tally { .. }
        | Frame::Began { .. }
        | Frame::Report { .. }
        | Frame::Measures { .. } => true,
        // Answers of the home, and a new task.
        Frame::Sent { .. }
        | Frame::Refused { .. }
        | Frame::Ended { .. }
        | Frame::Closed { .. }
        | Frame::Full { .. }
        | Frame::Empty { .. }
        | Frame::Ready { .. }
        | Frame::Aborted { .. }
        | Frame::Measured { .. }
        | Frame::Surveyed { .. }
        | Frame::Inspected { .. }
        | Frame::Billed { .. }
        | Frame::Credit { .. }
        | Frame::Revoke { .. }
        | Frame::Run { .. }
        | Frame::Seats { .. }
        | Frame::Heartbeat {} => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
