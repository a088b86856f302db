//! Sends, receives and closes under way.
//!
//! Each starts *new*, may become *parked* (it waits in a local channel) or *remote* (a frame is on
//! its way), and ends once. A channel that leaves the process takes its parked operations along:
//! they find out when they look next.
//!
//! - `send`, `receive`: the operation itself, and as a future. A select (`select.rs`) runs several
//!   of the same operations, of which one happens.
//! - `lease`: a receive whose value is held until it is acknowledged. `flush`: whether all is home.
//!   `watch`: a send as a case of one.
//! - `close`, `error`.

mod close;
mod error;
mod flush;
mod lease;
mod receive;
mod send;
mod watch;

pub use close::Closing;
pub use error::{AlreadyClosed, FlushError, RecvError, SendError, TryRecvError, TrySendError};
pub use lease::{Leased, Leasing};
pub use receive::{Receiving, TryReceiving};
pub use send::{Sending, TrySending};

pub(crate) use receive::ReceiveOperation;
pub(crate) use send::{Attempt, SendOperation};

use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::id::{ChannelId, OperationId};
use crate::node::{Conclusion, Node};

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

    fn poll(&self, waker: &Waker) -> Poll<Conclusion> {
        self.node.poll(self.operation, waker)
    }
}
