//! Sends, receives and closes under way.
//!
//! Each starts *new*, may become *parked* (it waits in a local channel) or *remote* (a frame is on
//! its way), and ends once. A channel that leaves the process takes its parked operations along:
//! they find out when they look next. So do remote ones when the channel comes home.
//!
//! - `send`, `receive`: the operation itself, and as a future. A select (`select.rs`) runs several
//!   of the same operations, of which one happens.
//! - `lease`: a receive whose value is held until it is acknowledged. `flush`: whether all is home.
//!   `watch`: a send as a case of a select.
//! - `joining`: what most of a stream is. `close`, `error`.

mod close;
mod error;
mod flush;
mod joining;
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

    /// The same of a receive on lease, with the operation by which the home knows the lease.
    fn poll_leased<T>(&self, shared: &Shared<T>, waker: &Waker) -> Poll<(Conclusion, OperationId)> {
        loop {
            match self.node.poll_leased(self.channel, self.operation, waker) {
                Poll::Ready((Conclusion::Landing, _)) => shared.land(),
                concluded => return concluded,
            }
        }
    }

    /// The same of an operation that goes on after some of its answers, until it is given up.
    fn poll_on_going<T>(&self, shared: &Shared<T>, waker: &Waker) -> Poll<Conclusion> {
        loop {
            match self.node.poll_on_going(self.channel, self.operation, waker) {
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
