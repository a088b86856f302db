//! One operation of a task on a channel, as the task saw it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The instant of an operation that did not return.
pub const NEVER: u64 = u64::MAX;

/// Names a value: the task that sends it, and a number that counts that task's sends on the
/// channel from 1. No two sends on a channel have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ValueId {
    /// The sending task.
    pub task: u32,
    /// Its how many-th send on this channel.
    pub number: u32,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A send.
    Send,
    /// A send that does not wait, or one of a select with a default.
    TrySend,
    /// A receive.
    Receive,
    /// A receive that does not wait, or one of a select with a default.
    TryReceive,
    /// A close.
    Close,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It has not returned: it waits, or its process died.
    Pending,
    /// Sent, received, or closed.
    Ok,
    /// The channel was closed, or nobody has the other end.
    Closed,
    /// Whoever had the other end died, or the link to the home is gone.
    Lost,
    /// It would have had to wait: full, or empty.
    WouldBlock,
    /// A close came second.
    AlreadyClosed,
    /// Its future was dropped.
    Cancelled,
    /// Another case of its select happened.
    NotChosen,
}

/// Whether a value came to its receiver by way of another that gave it back (contract D6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Redelivered {
    /// Nobody could tell: it may have been wherever a receive was given up or its worker died.
    #[default]
    Unknown,
    /// It was never on offer to another.
    No,
    /// It was.
    Yes,
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// On which channel.
    pub channel: u32,
    /// Which task did it. One task is one sequence, but for the cases of a select.
    pub task: u32,
    /// The incarnation of the process that it ran in.
    pub session: u32,
    /// What was asked for.
    pub kind: Kind,
    /// When it was asked.
    pub invoked: u64,
    /// When the answer was there, or [`NEVER`].
    pub returned: u64,
    /// The value sent, or the value received.
    pub value: Option<ValueId>,
    /// Names, within the task, the select that it is a case of; 0 is none.
    pub select: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// Of a receive: whether its value had been on offer to another.
    pub redelivered: Redelivered,
}

impl Record {
    /// An operation that has begun.
    pub fn begun(channel: u32, task: u32, session: u32, kind: Kind, invoked: u64) -> Self {
        let (value, select, outcome) = (None, 0, Outcome::Pending);
        let redelivered = Redelivered::default();
        let returned = NEVER;
        Self {
            channel,
            task,
            session,
            kind,
            invoked,
            returned,
            value,
            select,
            outcome,
            redelivered,
        }
    }

    /// Whether it sends.
    pub fn is_send(&self) -> bool {
        matches!(self.kind, Kind::Send | Kind::TrySend)
    }

    /// Whether it receives.
    pub fn is_receive(&self) -> bool {
        matches!(self.kind, Kind::Receive | Kind::TryReceive)
    }

    /// Whether it is a receive that got a value.
    pub fn is_take(&self) -> bool {
        self.is_receive() && self.outcome == Outcome::Ok
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "value {}.{}", self.task, self.number)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, task, session, kind, invoked, .. } = self;
        write!(out, "[{invoked}, ")?;
        match self.returned {
            NEVER => write!(out, "never]")?,
            returned => write!(out, "{returned}]")?,
        }
        write!(out, " task {task} of session {session}: {kind:?} on channel {channel}")?;
        if self.select != 0 {
            write!(out, ", a case of its select {}", self.select)?;
        }
        match self.value {
            Some(value) if self.is_send() => write!(out, ", {value} -> {:?}", self.outcome),
            Some(value) => write!(out, " -> {value}"),
            None => write!(out, " -> {:?}", self.outcome),
        }
    }
}
