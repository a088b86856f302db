//! Sends, receives and closes under way.
//!
//! Each starts *new*, may become *parked* (it waits in a local channel) or *remote* (a frame is on
//! its way), and ends once. A channel that leaves the process takes its parked operations along:
//! they find out when they look next. So do remote ones when the channel comes home.
//!
//! - `send`, `receive`: the operation itself, and as a future. A select (`select.rs`) runs several
//!   of the same operations, of which one happens.
//! - `close`, `error`.

mod close;
mod error;
mod receive;
mod send;

pub use close::Closing;
pub use error::{AlreadyClosed, RecvError, SendError, TryRecvError, TrySendError};
pub use receive::{Receiving, TryReceiving};
pub use send::{Sending, TrySending};

pub(crate) use receive::ReceiveOperation;
pub(crate) use send::{Attempt, SendOperation};

use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::id::{ChannelId, OperationId};
use crate::location::Shared;
use crate::node::{Conclusion, Heard, Node};

/// An operation that the channel's home knows by name.
pub(crate) struct Remote {
    node: Arc<Node>,
    channel: ChannelId,
    operation: OperationId,
}

impl Remote {
    fn new(node: Arc<Node>, channel: ChannelId, operation: OperationId) -> Box<Self> {
        Box::new(Self { node, channel, operation })
    }

    /// How it ended, if it has. If its channel can come home, that is done first.
    fn poll<T>(&self, shared: &Shared<T>, waker: &Waker) -> Poll<Conclusion> {
        loop {
            match self.node.poll_on(self.channel, self.operation, waker) {
                Poll::Ready(Conclusion::Landing) => shared.land(),
                concluded => return concluded,
            }
        }
    }

    /// The same for a case of a select, which only wants to know whether there is something.
    fn rewait<T>(&self, shared: &Shared<T>, waker: &Waker) -> Heard {
        loop {
            match self.node.rewait(self.channel, self.operation, waker) {
                Heard::Landing => shared.land(),
                heard => return heard,
            }
        }
    }
}
