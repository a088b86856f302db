//! Values of channels whose home is elsewhere that tasks of this node have on lease. As long as a
//! channel has one, it does not come home: the lease is known there by an operation.

use std::task::{Poll, Waker};

use super::{Conclusion, Node};
use crate::id::{ChannelId, OperationId};
use crate::settling::Passed;
use crate::wire::Frame;

impl Node {
    /// Asks how a receive on lease ended. A value on offer is on lease by that, and the home is
    /// told, in one step; the operation by which it knows the lease comes out too.
    pub(crate) fn poll_leased(
        &self,
        channel: ChannelId,
        operation: OperationId,
        waker: &Waker,
    ) -> Poll<(Conclusion, OperationId)> {
        let mut lease = operation;
        let polled = self.poll_with(channel, operation, waker, |state, name| {
            let (known, frame) = name.leased(channel, state.next_name());
            state.in_hand.insert(known, channel);
            lease = known;
            frame
        });
        polled.map(|conclusion| (conclusion, lease))
    }

    /// A name for a lease on a channel that leaves.
    pub(crate) fn name_lease(&self, channel: ChannelId) -> OperationId {
        let mut state = self.state.lock();
        let lease = state.next_name();
        state.in_hand.insert(lease, channel);
        lease
    }

    /// A lease ends; `frame` tells the home how.
    pub(crate) fn end_lease(&self, lease: OperationId, frame: Frame) {
        let mut state = self.state.lock();
        state.in_hand.remove(&lease);
        if state.lost.is_none() {
            self.push_in(state, |state| state.pass(frame) == Passed::Diverted);
        }
    }
}
