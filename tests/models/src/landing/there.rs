//! The other node.

use channels::id::{ChannelId, OperationId};

/// The other node: it has nothing but the receiver, for a while.
#[derive(Clone, Debug, Default, Hash, PartialEq)]
pub(super) struct There {
    pub(super) passage: Option<ChannelId>,
    pub(super) receive: u64,
    pub(super) offered: Option<u8>,
    pub(super) ended: bool,
    pub(super) next: u64,
}

impl There {
    pub(super) fn name(&mut self) -> OperationId {
        self.next += 1;
        OperationId(self.next)
    }
}
