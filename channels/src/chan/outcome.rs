//! What comes of an operation: at once, or later as an effect on somebody who waits.

use crate::line::Place;
use crate::wire::End;

/// An operation that ended, or got an offer, because of another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Effect<W> {
    /// Whom it concerns.
    pub waiter: W,
    /// The place that the operation was given when it parked.
    pub place: Place,
    /// What happened to it.
    pub turn: Turn,
}

/// What happened to a parked operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The send's value is in the buffer or was taken: the send returns Ok.
    Sent,
    /// The channel ended first; the value is at [`Chan::take_refused`](super::Chan::take_refused).
    Refused,
    /// A value lies ready for the receive, to be accepted or declined.
    Offered,
    /// The channel ended and is drained.
    Ended,
}

/// The outcome of a send at once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent<M> {
    /// The value is in the buffer.
    Done,
    /// The send waits; an [`Effect`] will tell.
    Parked(Place),
    /// The channel has ended. Here is the value back.
    Refused(M),
}

/// The outcome of a send that does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Tried {
    /// The value is in the buffer, or with a receive that waited.
    Done,
    /// It would have to wait.
    Full,
    /// The channel has ended.
    Refused,
}

/// The outcome of a receive at once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Received<M> {
    /// The value, taken.
    Message(M),
    /// Nothing there now.
    Empty,
    /// Nothing there and nothing will come.
    Ended(End),
}

/// Where a parked send stands.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum SendStatus<M> {
    /// It waits.
    Waiting,
    /// It has returned Ok.
    Sent,
    /// The channel ended first. Here is the value back.
    Refused(M),
}
