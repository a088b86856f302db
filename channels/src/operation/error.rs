//! Why an operation failed: one type an operation. A failed send gives its value back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::End;

/// Why a send failed. It holds the value, which was not and will not be delivered.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError<T> {
    /// The channel is closed, or every receiver was dropped.
    #[error("the channel is closed")]
    Closed(T),
    /// Every receiver vanished with a worker that died, or the coordinator is gone.
    #[error("the channel's receivers are lost: {1}")]
    Lost(T, String),
    /// The value cannot travel: its encoding failed or is too long.
    #[error("the value cannot be sent: {1}")]
    Unsendable(T, String),
}

/// Why a receive got no value. A task may return it, and a message may hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RecvError {
    /// The channel is closed and drained.
    #[error("the channel is closed")]
    Closed,
    /// The last sender vanished with a worker that died, or the coordinator is gone. What had been
    /// sent before was received.
    #[error("the channel's senders are lost: {0}")]
    Lost(String),
    /// A value came that is not of this channel's type.
    #[error("a message cannot be read: {0}")]
    Malformed(String),
}

/// The channel had ended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed already")]
pub struct AlreadyClosed;

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(value) | Self::Lost(value, _) | Self::Unsendable(value, _) => value,
        }
    }

    pub(crate) fn ended(value: T, end: End) -> Self {
        match end {
            End::Closed => Self::Closed(value),
            End::Lost(cause) => Self::Lost(value, cause),
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => out.write_str("Closed(..)"),
            Self::Lost(_, cause) => write!(out, "Lost(.., {cause:?})"),
            Self::Unsendable(_, reason) => write!(out, "Unsendable(.., {reason:?})"),
        }
    }
}

impl From<End> for RecvError {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::Lost(cause) => Self::Lost(cause),
        }
    }
}

/// Why a [`flush`](crate::Sender::flush) cannot say that all is home.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The coordinator is gone, or this worker was fenced: how much arrived is not known.
    #[error("what was sent may be lost: {0}")]
    Lost(String),
    /// A value that the handle was fed as a sink cannot be sent. The sink still has it.
    #[error("the value under way cannot be sent")]
    Unsent,
}

/// Why a [`try_send`](crate::Sender::try_send) did not send. It holds the value.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// The buffer is full, or, with capacity 0, no receiver waits.
    #[error("the channel is full")]
    Full(T),
    /// The channel is closed, or every receiver was dropped.
    #[error("the channel is closed")]
    Closed(T),
    /// Every receiver vanished with a worker that died, or the coordinator is gone.
    #[error("the channel's receivers are lost: {1}")]
    Lost(T, String),
    /// The value cannot travel: its encoding failed or is too long.
    #[error("the value cannot be sent: {1}")]
    Unsendable(T, String),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value)
            | Self::Closed(value)
            | Self::Lost(value, _)
            | Self::Unsendable(value, _) => value,
        }
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        match error {
            SendError::Closed(value) => Self::Closed(value),
            SendError::Lost(value, cause) => Self::Lost(value, cause),
            SendError::Unsendable(value, reason) => Self::Unsendable(value, reason),
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => out.write_str("Full(..)"),
            Self::Closed(_) => out.write_str("Closed(..)"),
            Self::Lost(_, cause) => write!(out, "Lost(.., {cause:?})"),
            Self::Unsendable(_, reason) => write!(out, "Unsendable(.., {reason:?})"),
        }
    }
}

/// Why a [`try_recv`](crate::Receiver::try_recv) got no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryRecvError {
    /// No value is there now.
    #[error("the channel is empty")]
    Empty,
    /// The channel is closed and drained.
    #[error("the channel is closed")]
    Closed,
    /// The last sender vanished with a worker that died, or the coordinator is gone.
    #[error("the channel's senders are lost: {0}")]
    Lost(String),
    /// A value came that is not of this channel's type.
    #[error("a message cannot be read: {0}")]
    Malformed(String),
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lost(cause) => Self::Lost(cause),
            RecvError::Malformed(reason) => Self::Malformed(reason),
        }
    }
}
