//! What the home lends to this node, on all channels: where credits and early offers come in, are
//! used, and go back. See `flow.rs`.
//!
//! Locks are taken in one order: a channel's, its flow's, the node's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::{Conclusion, Node, Operation};
use crate::flow::{Early, Flow, Stocked};
use crate::id::{ChannelId, OperationId};
use crate::settling::{Passed, Progress};
use crate::tail::{JOINED_BYTES_MAX, Tail};
use crate::wire::{Frame, Parcel, Passage, Side, WHOLE_BYTES_MAX};

impl Node {
    /// Sends under a credit. The value comes back if there is none, the link is lost, or it is too
    /// large: then it is to be asked for, and what asks has no credits, which would keep its room.
    /// If there are more credits, what the next may join comes out.
    pub(crate) fn send_prepaid(
        &self,
        flow: &Flow,
        parcel: Parcel,
    ) -> Result<Option<Arc<Tail>>, Parcel> {
        if parcel.payload.len() > WHOLE_BYTES_MAX {
            self.repay(flow);
            return Err(parcel);
        }
        let channel = flow.channel();
        let mut lent = flow.lock();
        let state = self.state.lock();
        if state.lost.is_some() || !lent.spend() {
            return Err(parcel);
        }
        if !parcel.passages.is_empty() || parcel.payload.len() > JOINED_BYTES_MAX {
            let parcels = parcel.into();
            self.push_in(state, |state| {
                let passed = state.pass(Frame::Prepaid { channel, parcels });
                debug_assert!(!passed.is_held(), "a channel on its way here has no credits");
                passed == Passed::Diverted
            });
            return Ok(None);
        }
        let tail = lent.lend_credits(|credits| Tail::of_sends(channel, &parcel, credits));
        self.push_in(state, |state| {
            // It has no handles, and a channel on its way here has no credits: so it may pass.
            state.outgoing.grow(tail.clone());
            false
        });
        Ok(Some(tail))
    }

    /// Receives what is in stock. If there is more, what the next may join comes out.
    pub(crate) fn take_stocked(&self, flow: &Flow) -> Option<(Parcel, Option<Arc<Tail>>)> {
        let channel = flow.channel();
        let mut lent = flow.lock();
        let Stocked { name, parcel, .. } = lent.take()?;
        let state = self.state.lock();
        // Of a lost link nothing may be taken: it is another's by now.
        if state.lost.is_some() {
            return None;
        }
        let tail = lent.lend_stock(name, |first, rest| Tail::of_takes(channel, first, rest));
        self.push_in(state, |state| match &tail {
            Some(tail) => {
                state.outgoing.grow(tail.clone());
                false
            }
            None => state.pass(name.taken(channel)) == Passed::Diverted,
        });
        Some((parcel, tail))
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
        let Some(flow) = self.flow(channel) else {
            return self.begin(channel, waker, frame);
        };
        let mut lent = flow.lock();
        let mut state = self.state.lock();
        if state.lost.is_none() && lent.has_stock() {
            let stocked = lent.take().map(Conclusion::Stocked).map(Operation::Concluded);
            let operation = state.name_operation(stocked.expect("there is something"));
            state.in_hand.insert(operation, channel);
            return operation;
        }
        if self.is_gone(&state, channel) {
            drop((state, lent));
            return self.begin(channel, waker, frame);
        }
        self.begin_in(state, waker, Some(flow.clone()), |operation| {
            let ahead = flow.ask(&mut lent, operation);
            ahead.into_iter().chain([frame(operation)])
        })
    }

    /// What is lent to this node on a channel.
    pub(crate) fn flow(&self, channel: ChannelId) -> Option<Arc<Flow>> {
        self.flows.get(&channel)?.upgrade()
    }

    /// A channel whose home is the coordinator is known here from now on.
    /// Of which sides it has handles, `handles` says.
    pub(crate) fn open_flow(
        &self,
        channel: ChannelId,
        capacity: u32,
        handles: [u32; 2],
    ) -> Arc<Flow> {
        let flow = Arc::new(Flow::new(channel, capacity, handles));
        self.flows.insert(channel, Arc::downgrade(&flow));
        flow
    }

    /// A handle has arrived.
    pub(crate) fn arrive(&self, flow: &Flow, side: Side) {
        let mut lent = flow.lock();
        let detaches = self.state.lock().settling.detaches();
        lent.arrive(side, detaches);
    }

    /// The last handle of a side is gone: what was lent goes back, and the handles' arrivals.
    pub(crate) fn leave(&self, flow: &Flow, side: Side, arrivals: u32) {
        let channel = flow.channel();
        let mut lent = flow.lock();
        self.push_all(flow.leave(&mut lent, side));
        if side == Side::Receive {
            // They are not for a stock that may be opened anew before they come.
            let mut state = self.state.lock();
            let abandoned = state.abandoned.iter().filter(|(_, flow)| flow.channel() == channel);
            let abandoned: Vec<OperationId> = abandoned.map(|(operation, _)| *operation).collect();
            abandoned.iter().for_each(|operation| drop(state.abandoned.remove(operation)));
            drop(state);
            self.push_all(
                abandoned.into_iter().map(|operation| Frame::Decline { channel, operation }),
            );
        }
        self.push(Frame::Detach { channel, side, arrivals });
    }

    /// Gives back what is left of the credits.
    pub(crate) fn repay(&self, flow: &Flow) {
        let mut lent = flow.lock();
        self.push_all(flow.repay(&mut lent));
    }

    pub(super) fn on_credit(&self, channel: ChannelId, credits: u32, detaches: u64) {
        let flow = self.flow(channel);
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        let state = self.state.lock();
        // None are lent while the channel is on its way here.
        if state.progress(channel) != Progress::Away {
            return;
        }
        match lent.as_mut().filter(|lent| lent.may_use(Side::Send, detaches)) {
            Some(lent) => lent.add_credits(credits),
            None => self.push_to_home(state, Frame::Repay { channel, credits, detaches }),
        }
    }

    /// The turn of an offer that has come, and of as many that follow it. Offers of a channel come
    /// one after the other.
    pub(super) fn turns(&self, count: usize) -> u64 {
        self.offers.fetch_add(count as u64, Ordering::Relaxed)
    }

    pub(super) fn on_early(&self, channel: ChannelId, detaches: u64, early: Early) {
        let flow = self.flow(channel);
        let mut lent = flow.as_ref().map(|flow| flow.lock());
        let state = self.state.lock();
        let is_away = state.progress(channel) == Progress::Away;
        match lent.as_mut().filter(|lent| is_away && lent.may_use(Side::Receive, detaches)) {
            Some(lent) => {
                let turn = self.turns(early.parcels.len());
                lent.add_early(early, turn);
            }
            None => {
                let (first, count) = (early.first, early.parcels.len() as u32);
                self.push_to_home(state, Frame::Untaken { channel, first, count });
            }
        }
    }

    /// An offer whose receive was given up: it goes to another receive of this node, or waits for
    /// the next one, if the stock is open.
    pub(super) fn put_back(&self, flow: &Flow, stocked: Stocked) {
        let channel = flow.channel();
        let mut lent = flow.lock();
        let mut state = self.state.lock();
        let is_away = state.progress(channel) == Progress::Away;
        if !is_away || !lent.is_open() || !lent.has(Side::Receive) {
            return self.push_to_home(state, stocked.name.untaken(channel));
        }
        lent.put_back(stocked);
        while let Some(operation) = lent.first_waiting() {
            lent.stop_waiting(operation);
            // One that has just got its answer waits no more.
            let Some(slot @ Operation::Waiting(..)) = state.operations.get_mut(&operation) else {
                continue;
            };
            let Some(stocked) = lent.take() else { return };
            let now = Operation::Concluded(Conclusion::Stocked(stocked));
            let before = std::mem::replace(slot, now);
            if let Operation::Waiting(waker, Some(flow)) = before {
                state.in_hand.insert(operation, channel);
                state.abandoned.insert(operation, flow);
                self.push_to_home(state, Frame::Abandon { channel, operation });
                drop(lent);
                waker.wake();
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: ChannelId = ChannelId(1);

    /// A node whose tasks keep receiving from a channel.
    fn open() -> (Arc<Node>, Arc<Flow>) {
        let node = Node::new(|| ());
        let flow = node.open_flow(CHANNEL, 4, [1, 1]);
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
        let offer = Frame::Offer { channel: CHANNEL, operation, attempt: 1, parcel };
        assert_eq!(node.receive(offer), None);
    }

    fn take_all(node: &Node, flow: &Flow) -> Vec<u8> {
        std::iter::from_fn(|| node.take_stocked(flow))
            .map(|(parcel, _)| parcel.payload[0])
            .collect()
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

        let parcels = vec![parcel(b'c'), parcel(b'd')].into();
        assert_eq!(
            node.receive(Frame::Early {
                channel: CHANNEL,
                first: 0,
                detaches: 0,
                attempt: 1,
                parcels
            }),
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
        let answer = node.poll_on(CHANNEL, three, Waker::noop());
        let is_it = |stocked: &Stocked| stocked.parcel.payload[..] == *b"a";
        assert!(matches!(answer, std::task::Poll::Ready(Conclusion::Stocked(it)) if is_it(&it)));
    }

    fn outgoing(node: &Node) -> Vec<Frame> {
        let mut batch = crate::wire::BatchWriter::default();
        node.take_outgoing(&mut batch);
        let envelope = crate::wire::Envelope { epoch: 0, sequence: 1, acknowledged: 0 };
        crate::wire::read_batch(batch.finish(envelope)).unwrap().1
    }

    fn early(node: &Node, first: u64, detaches: u64, bytes: &[u8]) {
        let parcels: Vec<Parcel> = bytes.iter().copied().map(parcel).collect();
        let parcels = parcels.into();
        let early = Frame::Early { channel: CHANNEL, first, detaches, attempt: 1, parcels };
        assert_eq!(node.receive(early), None);
    }

    fn credit(node: &Node, credits: u32, detaches: u64) {
        let credit = Frame::Credit { channel: CHANNEL, credits, detaches };
        assert_eq!(node.receive(credit), None);
    }

    /// A node that has the channel, and is asked whether it may come home.
    fn asked(known: &Arc<u8>, node: &Node) {
        node.remember(CHANNEL, Arc::downgrade(&(known.clone() as Arc<_>)));
        assert_eq!(node.receive(Frame::Approach { channel: CHANNEL, landings: 1 }), None);
    }

    #[test]
    fn all_goes_back_before_a_channel_may_come_home() {
        let (node, flow) = open();
        early(&node, 0, 0, b"ab");
        credit(&node, 3, 0);
        let known = Arc::new(0);
        asked(&known, &node);
        let (channel, credits, detaches) = (CHANNEL, 3, u64::MAX);
        let frames = [
            Frame::Untaken { channel, first: 0, count: 2 },
            Frame::Repay { channel, credits, detaches },
            Frame::Cleared { channel, landings: 1 },
        ];
        assert_eq!(outgoing(&node), frames);
        credit(&node, 5, 0);
        early(&node, 2, 0, b"c");
        assert_eq!(take_all(&node, &flow), b"", "nothing is taken");
        assert!(node.send_prepaid(&flow, parcel(1)).is_err(), "and nothing spent");
        let receive = begin(&node);
        assert_eq!(outgoing(&node), [], "and nothing is said");
        assert_eq!(node.receive(Frame::Stay { channel, landings: 1 }), None);
        let said = outgoing(&node);
        assert_eq!(said[0], Frame::Untaken { channel, first: 2, count: 1 });
        let asks = Frame::Receive { channel, operation: receive, select: 1 };
        assert_eq!(said.last(), Some(&asks));
    }

    /// A select may look very often while its channel is on the way.
    #[test]
    fn who_looks_often_is_kept_once() {
        let (node, _flow) = open();
        let receive = begin(&node);
        offer(&node, receive, b'a');
        let known = Arc::new(0);
        asked(&known, &node);
        let waker = futures::task::noop_waker();
        for _ in 0..3 {
            assert!(node.poll_on(CHANNEL, receive, &waker).is_pending());
        }
        assert_eq!(node.state.lock().sleepers.len(), 1);
    }

    /// Its place in line would be lost.
    #[test]
    fn what_an_operation_has_in_hand_keeps_a_channel_away() {
        let (node, _flow) = open();
        early(&node, 0, 0, b"a");
        let receive = begin(&node);
        let known = Arc::new(0);
        asked(&known, &node);
        assert_eq!(outgoing(&node), [Frame::Keep { channel: CHANNEL, landings: 1 }]);
        let answer = node.poll_on(CHANNEL, receive, Waker::noop());
        assert!(matches!(answer, std::task::Poll::Ready(Conclusion::Stocked(_))));
        assert_eq!(outgoing(&node), [Frame::Took { channel: CHANNEL, first: 0, count: 1 }]);
        asked(&known, &node);
        assert_eq!(outgoing(&node), [Frame::Cleared { channel: CHANNEL, landings: 1 }]);
    }

    /// The last handles left, others came, and then what was lent before that is known.
    #[test]
    fn what_was_lent_to_handles_that_have_left_goes_back() {
        let (node, flow) = open();
        let channel = CHANNEL;
        let given_up = begin(&node);
        give_up(&node, given_up);
        for side in [Side::Receive, Side::Send] {
            node.leave(&flow, side, 1);
            node.arrive(&flow, side);
        }
        outgoing(&node);
        (0..4).for_each(|_| flow.lock().note_receive());
        begin(&node);
        outgoing(&node);
        early(&node, 0, 0, b"a");
        credit(&node, 3, 1);
        offer(&node, given_up, b'b');
        let back = [
            Frame::Untaken { channel, first: 0, count: 1 },
            Frame::Repay { channel, credits: 3, detaches: 1 },
        ];
        assert_eq!((outgoing(&node), take_all(&node, &flow)), (back.to_vec(), Vec::new()));
        credit(&node, 3, 2);
        early(&node, 1, 2, b"c");
        assert!(node.send_prepaid(&flow, parcel(1)).is_ok());
        assert_eq!(take_all(&node, &flow), b"c");
    }

    /// Nobody was told that they are taken, so they are another's by now.
    #[test]
    fn of_a_lost_link_nothing_is_taken() {
        let (node, _flow) = open();
        let [offered, stocked] = [begin(&node), begin(&node)];
        give_up(&node, stocked);
        offer(&node, offered, b'a');
        offer(&node, stocked, b'b');
        let stocked = begin(&node);
        node.lose("it is cut");
        for operation in [offered, stocked] {
            let answer = node.poll_on(CHANNEL, operation, Waker::noop());
            let lost = Conclusion::Ended(crate::wire::End::Lost("it is cut".to_owned()));
            assert_eq!(answer, std::task::Poll::Ready(lost));
        }
    }
}
