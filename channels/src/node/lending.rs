//! What the home lends to this node, on all channels: where credits and early offers come in, are
//! used, and go back. See `flow.rs`.
//!
//! Locks are taken in one order: a channel's, its flow's, the node's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use super::{Conclusion, Node, Operation};
use crate::flow::{Early, Flow, Stocked};
use crate::id::{ChannelId, OperationId};
use crate::wire::{CHUNK_BYTES_MAX, End, Frame, PARCELS_MAX, Parcel, Passage, Side};

impl Node {
    /// Sends under a credit that was taken. The value comes back if the link is lost.
    pub(crate) fn send_prepaid(&self, channel: ChannelId, parcel: Parcel) -> Result<(), Parcel> {
        let mut state = self.state.lock();
        if state.lost.is_some() {
            return Err(parcel);
        }
        if let Some(Frame::Prepaid { channel: last, parcels }) = state.outgoing.back_mut()
            && *last == channel
            && fits(parcels, &parcel)
        {
            parcels.push(parcel);
            return Ok(());
        }
        state.outgoing.push_back(Frame::Prepaid { channel, parcels: vec![parcel] });
        let is_first = state.outgoing.len() == 1;
        drop(state);
        if is_first {
            (self.doorbell)();
        }
        Ok(())
    }

    /// Receives what is in stock.
    pub(crate) fn take_stocked(&self, flow: &Flow) -> Option<Parcel> {
        let mut lent = flow.lock();
        let Stocked { name, parcel, .. } = lent.take()?;
        // Of a lost link nothing may be taken: it is another's by now.
        self.queue(name.taken(flow.channel())).then_some(parcel)
    }

    /// Whether a receive from a channel would find a value in stock.
    pub(crate) fn has_stock(&self, passage: &Passage) -> bool {
        let flow = self.flow(passage.channel).filter(|_| passage.side == Side::Receive);
        flow.is_some_and(|flow| flow.lock().has_stock())
    }

    /// Starts a receive, and says what else would be taken. It concludes at once if something is in
    /// stock.
    pub(crate) fn begin_receive(
        &self,
        channel: ChannelId,
        waker: Waker,
        frame: impl FnOnce(OperationId) -> Frame,
    ) -> OperationId {
        let Some(flow) = self.flow(channel).filter(|_| self.lost().is_none()) else {
            return self.begin(waker, frame);
        };
        let mut lent = flow.lock();
        let mut state = self.state.lock();
        state.next_operation += 1;
        let operation = OperationId(state.next_operation);
        if let Some(stocked) = lent.take() {
            let stocked = Operation::Concluded(Conclusion::Stocked(stocked));
            state.operations.insert(operation, stocked);
        } else {
            let waiting = Operation::Waiting(waker, Some(flow.clone()));
            state.operations.insert(operation, waiting);
            drop(state);
            self.push_all(flow.ask(&mut lent, operation));
            self.push(frame(operation));
        }
        operation
    }

    /// Asks what is new of an operation that goes on until it is given up.
    pub(crate) fn poll_on(&self, operation: OperationId, waker: &Waker) -> Poll<Conclusion> {
        let mut state = self.state.lock();
        let lost = state.lost.clone();
        let going_on = Operation::Waiting(waker.clone(), None);
        match (state.operations.insert(operation, going_on), lost) {
            (Some(Operation::Concluded(conclusion)), _) => Poll::Ready(conclusion),
            (_, Some(cause)) => Poll::Ready(Conclusion::Ended(End::Lost(cause))),
            _ => Poll::Pending,
        }
    }

    /// What is lent to this node on a channel.
    pub(crate) fn flow(&self, channel: ChannelId) -> Option<Arc<Flow>> {
        self.flows.get(&channel)?.upgrade()
    }

    /// A channel whose home is the coordinator is known here from now on.
    pub(crate) fn open_flow(&self, channel: ChannelId, capacity: u32) -> Arc<Flow> {
        let flow = Arc::new(Flow::new(channel, capacity));
        self.flows.insert(channel, Arc::downgrade(&flow));
        flow
    }

    /// The last handle of a side is gone: what was lent goes back, and the handles' arrivals.
    pub(crate) fn leave(&self, flow: &Flow, side: Side, arrivals: u32) {
        let mut lent = flow.lock();
        self.push_all(flow.leave(&mut lent, side));
        self.push(Frame::Detach { channel: flow.channel(), side, arrivals });
    }

    /// Gives back what is left of the credits.
    pub(crate) fn repay(&self, flow: &Flow) {
        let mut lent = flow.lock();
        self.push_all(flow.repay(&mut lent));
    }

    pub(super) fn on_credit(&self, channel: ChannelId, credits: u32) {
        let flow = self.flow(channel);
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        match lent.as_mut().filter(|lent| lent.has(Side::Send)) {
            Some(lent) => lent.add_credits(credits),
            None => self.push(Frame::Repay { channel, credits }),
        }
    }

    /// The turn of an offer that has come, and of as many that follow it. Offers of a channel come
    /// one after the other.
    pub(super) fn turns(&self, count: usize) -> u64 {
        self.offers.fetch_add(count as u64, Ordering::Relaxed)
    }

    pub(super) fn on_early(&self, channel: ChannelId, early: Early) {
        let flow = self.flow(channel);
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        match lent.as_mut().filter(|lent| lent.has(Side::Receive)) {
            Some(lent) => {
                let turn = self.turns(early.parcels.len());
                lent.add_early(early, turn);
            }
            None => {
                let (first, count) = (early.first, early.parcels.len() as u32);
                self.push(Frame::Untaken { channel, first, count });
            }
        }
    }

    /// An offer whose receive was given up: it goes to another receive of this node, or waits for
    /// the next one, if the stock is open.
    pub(super) fn put_back(&self, flow: &Flow, stocked: Stocked) {
        let mut lent = flow.lock();
        if !lent.is_open() || !lent.has(Side::Receive) {
            return self.push(stocked.name.untaken(flow.channel()));
        }
        lent.put_back(stocked);
        while let Some(operation) = lent.first_waiting() {
            lent.stop_waiting(operation);
            let mut state = self.state.lock();
            // One that has just got its answer waits no more.
            let Some(slot @ Operation::Waiting(..)) = state.operations.get_mut(&operation) else {
                continue;
            };
            let Some(stocked) = lent.take() else { return };
            let now = Operation::Concluded(Conclusion::Stocked(stocked));
            let before = std::mem::replace(slot, now);
            if let Operation::Waiting(waker, Some(flow)) = before {
                let channel = flow.channel();
                state.abandoned.insert(operation, flow);
                drop(state);
                self.push(Frame::Abandon { channel, operation });
                drop(lent);
                waker.wake();
            }
            return;
        }
    }
}

/// Whether a value fits into one frame with others. None is large beside the whole, so that the
/// whole is not large.
fn fits(parcels: &[Parcel], parcel: &Parcel) -> bool {
    let first = parcels.first().is_none_or(|first| first.payload.len() <= CHUNK_BYTES_MAX);
    let each = CHUNK_BYTES_MAX / (parcels.len() + 1);
    first && parcel.payload.len() <= each && parcels.len() < PARCELS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: ChannelId = ChannelId(1);

    /// A node whose tasks keep receiving from a channel.
    fn open() -> (Arc<Node>, Arc<Flow>) {
        let node = Node::new(|| ());
        let flow = node.open_flow(CHANNEL, 4);
        (0..4).for_each(|_| flow.lock().note_receive());
        (node, flow)
    }

    fn parcel(byte: u8) -> Parcel {
        Parcel { payload: vec![byte].into(), ..Parcel::default() }
    }

    fn begin(node: &Node) -> OperationId {
        let receive = |operation| Frame::Receive { channel: CHANNEL, operation, select: 1 };
        node.begin_receive(CHANNEL, Waker::noop().clone(), receive)
    }

    fn give_up(node: &Node, operation: OperationId) {
        node.give_up(operation, Frame::Decline { channel: CHANNEL, operation });
    }

    fn offer(node: &Node, operation: OperationId, byte: u8) {
        let parcel = parcel(byte);
        assert_eq!(node.receive(Frame::Offer { operation, attempt: 1, parcel }), None);
    }

    fn take_all(node: &Node, flow: &Flow) -> Vec<u8> {
        std::iter::from_fn(|| node.take_stocked(flow)).map(|parcel| parcel.payload[0]).collect()
    }

    /// Offers to receives that were given up meanwhile, one of which had got that of another.
    #[test]
    fn offers_that_return_stand_in_the_order_in_which_they_came() {
        let (node, flow) = open();
        let one = begin(&node);
        give_up(&node, one);
        let two = begin(&node);
        offer(&node, one, b'a');
        give_up(&node, two);
        offer(&node, two, b'b');

        let parcels = vec![parcel(b'c'), parcel(b'd')];
        assert_eq!(
            node.receive(Frame::Early { channel: CHANNEL, first: 0, attempt: 1, parcels }),
            None
        );
        assert_eq!(take_all(&node, &flow), b"abcd");
    }

    /// Of two receives the first has just got its answer and not said so yet.
    #[test]
    fn an_offer_that_returns_goes_to_a_receive_that_waits() {
        let (node, flow) = open();
        let [one, two, three] = [begin(&node), begin(&node), begin(&node)];
        node.receive(Frame::Ended { operation: two, end: crate::wire::End::Closed });
        flow.lock().wait_again(two);
        give_up(&node, one);
        offer(&node, one, b'a');
        let answer = node.poll(three, Waker::noop());
        let is_it = |stocked: &Stocked| stocked.parcel.payload[..] == *b"a";
        assert!(matches!(answer, Poll::Ready(Conclusion::Stocked(it)) if is_it(&it)));
    }
}
