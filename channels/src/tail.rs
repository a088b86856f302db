//! What still grows at the end of what a node is to send: values sent under credits, or word that
//! early offers were taken. As long as nothing else is said, the next value of the same channel
//! joins it under one short lock, and costs neither a frame nor a wake-up.
//!
//! States: *open* -> *sealed* (something else is said, or the link takes what waits: it is a frame
//! at its place in the line). Besides, a tail is lent what it is to use: credits, or a piece of
//! the stock. Whoever wants to know what the node has takes that back first (`Flow::lock`); then
//! the tail grows no more, sealed or not. A link that is lost seals it, and its frame is dropped.
//!
//! A tail has no handles in it. Its lock is the innermost of all.

use std::sync::Arc;

use crate::flow::{Name, Piece};
use crate::id::ChannelId;
use crate::lock::Lock;
use crate::node::later;
use crate::wire::{CHUNK_BYTES_MAX, Frame, Gathered, Parcel, Parcels};

/// A value larger than this is sent in a frame of its own: to join others it would be copied.
pub(crate) const JOINED_BYTES_MAX: usize = CHUNK_BYTES_MAX / 4;
/// After so many values a tail should be sent, that the others may work at the same time.
const ENOUGH: u32 = 1024;
/// So often a tail looks at the time.
const LOOK: u32 = 16;
/// And for so long what was taken need not be said, in microseconds.
const WAIT: u64 = 100;

#[derive(Debug)]
pub(crate) struct Tail(Lock<Growing>);

#[derive(Debug)]
struct Growing {
    is_open: bool,
    channel: ChannelId,
    what: What,
}

#[derive(Debug)]
enum What {
    Sends { values: Gathered, credits: u32, has_paused: bool },
    Takes { first: u64, count: u32, rest: Parcels, attempt: u32, turn: u64, begun: u64 },
}

/// What came of an attempt to let a tail grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grown {
    /// It cannot.
    Not,
    /// It has.
    Yes,
    /// It has, and should be sent.
    Enough,
    /// It has not: it should be sent first. It says so once.
    Pause,
}

impl Tail {
    /// One value was sent under a credit, and these credits are left. It is not large.
    pub(crate) fn of_sends(channel: ChannelId, parcel: &Parcel, credits: u32) -> Arc<Self> {
        let mut values = Gathered::default();
        values.push_payload(parcel.codec, &parcel.payload);
        let what = What::Sends { values, credits, has_paused: false };
        Arc::new(Self(Lock::new(Growing { is_open: true, channel, what })))
    }

    /// One early offer was taken, and this piece of the stock follows it.
    pub(crate) fn of_takes(channel: ChannelId, first: u64, rest: Piece) -> Arc<Self> {
        let Piece { parcels, attempt, turn, .. } = rest;
        let begun = later::now();
        let what = What::Takes { first, count: 1, rest: parcels, attempt, turn, begun };
        Arc::new(Self(Lock::new(Growing { is_open: true, channel, what })))
    }

    /// Another value is sent, if there is a credit for it.
    #[inline]
    pub(crate) fn send(&self, codec: u8, payload: &[u8]) -> Grown {
        let mut growing = self.0.lock();
        let Growing { is_open: true, what, .. } = &mut *growing else { return Grown::Not };
        let What::Sends { values, credits, has_paused } = what else { return Grown::Not };
        let fits = values.bytes() + payload.len() <= CHUNK_BYTES_MAX && values.has_room(codec);
        if *credits == 0 || !fits {
            return Grown::Not;
        }
        if values.len() as u32 >= ENOUGH && !*has_paused {
            *has_paused = true;
            return Grown::Pause;
        }
        *credits -= 1;
        values.push_payload(codec, payload);
        Grown::Yes
    }

    /// Another early offer is taken, if there is one: its payload is appended. Says by which codec
    /// it was written, too.
    #[inline]
    pub(crate) fn take(&self, payload: &mut Vec<u8>) -> (u8, Grown) {
        let mut growing = self.0.lock();
        let Growing { is_open: true, what, .. } = &mut *growing else { return (0, Grown::Not) };
        let What::Takes { count, rest, begun, .. } = what else { return (0, Grown::Not) };
        let Some(codec) = rest.copy_first(payload) else { return (0, Grown::Not) };
        *count += 1;
        let looks = count.is_multiple_of(LOOK);
        let should_go = looks && (*count == ENOUGH || later::now().saturating_sub(*begun) > WAIT);
        (codec, if should_go { Grown::Enough } else { Grown::Yes })
    }

    /// It grows no more. What it comes to.
    pub(crate) fn seal(&self) -> Frame {
        let mut growing = self.0.lock();
        growing.is_open = false;
        let channel = growing.channel;
        match &mut growing.what {
            What::Sends { values, .. } => {
                Frame::Prepaid { channel, parcels: std::mem::take(values).finish() }
            }
            What::Takes { first, count, .. } => {
                Frame::Took { channel, first: *first, count: *count }
            }
        }
    }

    /// Takes back the credits that it has.
    pub(crate) fn take_credits(&self) -> u32 {
        match &mut self.0.lock().what {
            What::Sends { credits, .. } => std::mem::take(credits),
            What::Takes { .. } => 0,
        }
    }

    /// Takes back the part of the stock that it has, and says how many it took out of it besides
    /// the first.
    pub(crate) fn take_stock(&self) -> (u32, Option<Piece>) {
        let mut growing = self.0.lock();
        let What::Takes { first, count, rest, attempt, turn, .. } = &mut growing.what else {
            return (0, None);
        };
        let (more, attempt) = (*count - 1, *attempt);
        let name = Name::Early(*first + u64::from(*count));
        let (parcels, turn) = (std::mem::take(rest), *turn + u64::from(more));
        (more, (!parcels.is_empty()).then_some(Piece { name, parcels, attempt, turn }))
    }

    /// Whether it only says what was taken, which may wait for a moment.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(self.0.lock().what, What::Takes { .. })
    }
}
