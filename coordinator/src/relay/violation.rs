//! What a node must not send.

use channels::chunks::Misfit;
use channels::id::{ChannelId, OperationId};
use channels::wire::CAPACITY_MAX;

/// A frame that its sender had no right to send. The link ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No such channel, or no handle to it: the two are not told apart.
    #[error("{0} is not known to this session")]
    NotAttached(ChannelId),
    /// The identity is taken.
    #[error("{0} exists already")]
    Exists(ChannelId),
    /// Nobody would ever end it.
    #[error("{0} was exported without handles")]
    Ownerless(ChannelId),
    /// The number is out of range.
    #[error("a capacity of {0}; at most {CAPACITY_MAX} is allowed")]
    Capacity(u32),
    /// More handles are given back than were given.
    #[error("{0} handles of {1} given back that the session does not have")]
    Count(u32, ChannelId),
    /// The operation's name is in use.
    #[error("{0} is under way already")]
    Busy(OperationId),
    /// Pieces of a large value do not fit together.
    #[error("it sent {0}")]
    Pieces(#[from] Misfit),
    /// The frame makes no sense here.
    #[error("a {0} frame was not expected from this node")]
    Unexpected(&'static str),
}
