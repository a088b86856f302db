//! How a channel comes home to its process: what the coordinator sent of it is decoded, and from
//! then on nothing is serialised. `settling.rs` says when, and what can come in between.
//!
//! Whoever touches the channel next takes it over, on its own thread: decoding runs users' code,
//! which has no business on the connection's thread. It is done without the channel's lock; only
//! the last step has it, together with the node's, so that no handle leaves in between.
//!
//! If this process dies, the channel dies with it: nobody else has a handle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::{AWAY, LANDINGS_SHIFT, Location, Relayed, Shared};
use crate::chan::Chan;
use crate::claim::{Waiting, Wakes};
use crate::handle::Message;
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::node::Node;
use crate::transfer::Undelivered;
use crate::wire::{Contents, End};

impl<T> Relayed<T> {
    /// Whether an operation has not looked since the channel left, or a handle is not decoded yet.
    fn is_awaited(&self, contents: &Contents) -> bool {
        let moved = &self.moved;
        let arrivals = self.arrivals.map(u64::from);
        arrivals != [contents.senders, contents.receivers]
            || !(moved.sends.is_empty() && moved.unsent.is_empty() && moved.receives.is_empty())
    }
}

impl<T> Shared<T> {
    /// Takes the channel over, if the coordinator has sent it.
    pub(crate) fn land(&self) {
        let land = match &self.lock().location {
            Location::Local(_) => return,
            Location::Relayed(relayed) => relayed.land,
        };
        land(self);
    }

    /// The lock is held.
    fn note_landings(&self, landings: u32) {
        let landings = u8::try_from(landings).unwrap_or(u8::MAX).min(u8::MAX >> LANDINGS_SHIFT);
        let gone = self.gone.load(Ordering::Relaxed) & ((1 << LANDINGS_SHIFT) - 1);
        self.gone.store(gone | landings << LANDINGS_SHIFT, Ordering::Relaxed);
    }
}

impl<T: Message> Shared<T> {
    pub(super) fn land_here(&self) {
        let (node, channel) = match &self.lock().location {
            Location::Local(_) => return,
            Location::Relayed(relayed) => (relayed.node.clone(), relayed.channel),
        };
        let Some((landings, mut contents)) = node.begin_landing(channel) else { return };
        let deciding = Deciding { node: &node, channel, landings };
        // A panic of the users' code is for whoever receives the value.
        let decoding = catch_unwind(AssertUnwindSafe(|| decode(&node, &mut contents)));
        let Ok(Some(values)) = decoding else { return };
        let mut core = self.lock();
        let Location::Relayed(relayed) = &mut core.location else { return };
        if relayed.channel != channel || relayed.is_awaited(&contents) {
            drop(core);
            return;
        }
        let (successor, flow) = (relayed.successor.take(), relayed.flow.clone());
        let mut chan = successor.map_or_else(|| Chan::new(self.capacity()), |successor| *successor);
        let anew = std::mem::take(&mut contents.anew);
        let [sends, receives] = fill(&mut chan, values, contents);
        let Some(ashore) = node.finish_landing(&flow, landings, [&sends, &receives], &anew) else {
            relayed.successor = Some(Box::new(chan.successor()));
            drop(core);
            return;
        };
        std::mem::forget(deciding);
        let mut wakes = Wakes::default();
        let given_up: Vec<Option<T>> = ashore
            .sends_given_up
            .into_iter()
            .map(|place| chan.cancel_send(place, &mut wakes.note()))
            .collect();
        for place in ashore.receives_given_up {
            chan.decline(place, &mut wakes.note());
        }
        if ashore.is_closed {
            chan.finish(End::Closed, &mut wakes.note());
        }
        self.note_landings(landings);
        core.location = Location::Local(chan);
        self.gone.fetch_and(!AWAY, Ordering::Relaxed);
        drop(core);
        // They may hold handles of this very channel's side, as any value.
        drop(given_up);
        wakes.wake();
        ashore.woken.into_iter().for_each(Waker::wake);
    }
}

/// The values of a channel; `None` if one cannot be decoded.
fn decode<T: Message>(node: &Arc<Node>, contents: &mut Contents) -> Option<Vec<T>> {
    let parcels = std::mem::take(&mut contents.values);
    let parcels: Vec<Undelivered> =
        parcels.into_iter().map(|parcel| Undelivered::new(node.clone(), parcel)).collect();
    parcels.into_iter().map(|parcel| parcel.unpack().ok()).collect()
}

/// Fills the channel with what came along. Where the sends and the receives stand comes out; all of
/// them are to look themselves.
fn fill<T>(
    chan: &mut Chan<T, Waiting>,
    mut values: Vec<T>,
    contents: Contents,
) -> [Vec<(OperationId, Place)>; 2] {
    let Contents { sends, receives, end, .. } = contents;
    let nobody = || Waiting::Task(Waker::noop().clone());
    let sending = values.split_off(values.len().saturating_sub(sends.len()));
    let sending = sending.into_iter().map(|value| (value, nobody())).collect();
    let receiving = receives.iter().map(|_| nobody()).collect();
    let arrived = chan.arrive(values, sending, receiving, end, &mut |_| {});
    let sends = sends.into_iter().zip(arrived.sends).collect();
    [sends, receives.into_iter().zip(arrived.receives).collect()]
}

/// A channel that is being taken over. If nothing comes of it, it stays away.
struct Deciding<'a> {
    node: &'a Node,
    channel: ChannelId,
    landings: u32,
}

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        self.node.give_up_landing(self.channel, self.landings);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::id::ChannelId;
    use crate::transfer;
    use crate::wire::{BatchWriter, Envelope, Frame, Parcel, Side, read_batch};
    use crate::{Path, Receiver, RecvError, Sender, channel};

    /// The ends of a channel that has left, and its name.
    fn exported(node: &Arc<Node>) -> (Sender<u8>, Receiver<u8>, ChannelId) {
        let (sender, receiver) = channel(1);
        let parcel = transfer::pack(node, &sender).expect("a handle travels");
        let channel = parcel.passages[0].channel;
        // It comes back at once.
        node.keep(&parcel);
        node.give_back(parcel.passages[0]);
        outgoing(node);
        (sender, receiver, channel)
    }

    fn outgoing(node: &Node) -> Vec<Frame> {
        let mut batch = BatchWriter::default();
        node.take_outgoing(&mut batch);
        let envelope = Envelope { epoch: 0, sequence: 1, acknowledged: 0 };
        read_batch(batch.finish(envelope)).expect("a node writes frames").1
    }

    fn hear(node: &Node, frame: Frame) {
        assert_eq!(node.receive(frame), None);
    }

    fn contents() -> Contents {
        Contents { senders: 1, receivers: 1, ..Contents::default() }
    }

    /// A close has happened once it was polled, wherever the channel is by then.
    #[test]
    fn a_close_that_nobody_waits_for_happens_at_home() {
        let node = Node::new(|| ());
        let (sender, receiver, channel) = exported(&node);
        hear(&node, Frame::Approach { channel, landings: 1 });
        assert_eq!(sender.close().now_or_never(), None);
        assert_eq!(outgoing(&node), [Frame::Cleared { channel, landings: 1 }]);
        hear(&node, Frame::Land { channel, landings: 1, contents: contents() });
        assert_eq!(sender.path(), Path::Local);
        assert_eq!(outgoing(&node), [Frame::Landed { channel, landings: 1 }]);
        assert_eq!(receiver.recv().now_or_never(), Some(Err(RecvError::Closed)));
    }

    /// What was held back, and given up, never happens; what was not begins anew here.
    #[test]
    fn what_is_begun_on_the_way_happens_at_home_unless_it_is_given_up() {
        let node = Node::new(|| ());
        let (sender, receiver, channel) = exported(&node);
        hear(&node, Frame::Approach { channel, landings: 1 });
        assert_eq!(sender.send(1).now_or_never(), None);
        let mut send = Box::pin(sender.send(2));
        assert_eq!(send.as_mut().now_or_never(), None);
        hear(&node, Frame::Land { channel, landings: 1, contents: contents() });
        assert_eq!(send.now_or_never(), Some(Ok(())));
        assert_eq!(receiver.recv().now_or_never(), Some(Ok(2)));
        assert_eq!(receiver.recv().now_or_never(), None, "the first was given up");
    }

    /// What a try was handed is its own, also if the channel has left again before it looks.
    #[test]
    fn a_try_gets_what_left_again_with_its_channel() {
        let node = Node::new(|| ());
        let (sender, receiver, channel) = exported(&node);
        let mut receive = Box::pin(receiver.try_recv());
        assert_eq!(receive.as_mut().now_or_never(), None);
        let Some(Frame::TryReceive { operation, .. }) = outgoing(&node).pop() else {
            panic!("it asks the home")
        };
        hear(&node, Frame::Approach { channel, landings: 1 });
        let values = vec![transfer::pack(&node, &5_u8).expect("a number travels")];
        let contents = Contents { values, receives: vec![operation], ..contents() };
        hear(&node, Frame::Land { channel, landings: 1, contents });
        assert_eq!(sender.path(), Path::Local);
        outgoing(&node);

        let parcel = transfer::pack(&node, &sender).expect("a handle travels");
        let channel = parcel.passages[0].channel;
        let Some(Frame::Receive { operation, .. }) = outgoing(&node).pop() else {
            panic!("it waits there")
        };
        assert_eq!(receive.as_mut().now_or_never(), None);
        assert_eq!(outgoing(&node), [Frame::Abandon { channel, operation }]);
        let parcel = transfer::pack(&node, &5_u8).expect("a number travels");
        hear(&node, Frame::Offer { channel, operation, attempt: 1, parcel });
        assert_eq!(receive.now_or_never(), Some(Ok(5)));
        assert_eq!(outgoing(&node), [Frame::Accept { channel, operation }]);
    }

    /// A select that is asked while its channel is on its way is not bound before it is known where
    /// that goes.
    #[test]
    fn a_select_that_is_asked_on_the_way_may_choose_another_case() {
        let node = Node::new(|| ());
        let (sender, _receiver, channel) = exported(&node);
        let (elsewhere, other) = crate::channel::<u8>(1);
        let mut select = crate::Select::new();
        select.send(&sender, 1);
        select.recv(&other);
        let mut chosen = Box::pin(select.wait());
        assert!(chosen.as_mut().now_or_never().is_none());
        let Some(Frame::Watch { operation, .. }) = outgoing(&node).pop() else {
            panic!("it stands in line")
        };
        hear(&node, Frame::Ready { operation });
        hear(&node, Frame::Approach { channel, landings: 1 });
        assert!(chosen.as_mut().now_or_never().is_none());
        assert_eq!(elsewhere.send(2).now_or_never(), Some(Ok(())));
        assert_eq!(chosen.now_or_never().expect("one case can go").index(), 1);
        assert_eq!(outgoing(&node), [Frame::Cleared { channel, landings: 1 }]);
        hear(&node, Frame::Stay { channel, landings: 1 });
        assert_eq!(outgoing(&node), [Frame::CancelSend { channel, operation }]);
    }

    /// A select's send that is aborted, and whose channel comes then, begins anew here.
    #[test]
    fn a_select_whose_send_was_aborted_goes_on_at_home() {
        let node = Node::new(|| ());
        let (sender, receiver, channel) = exported(&node);
        let mut select = crate::Select::new();
        select.send(&sender, 1);
        let mut chosen = Box::pin(select.wait());
        assert!(chosen.as_mut().now_or_never().is_none());
        let Some(Frame::Watch { operation, .. }) = outgoing(&node).pop() else {
            panic!("it stands in line")
        };
        hear(&node, Frame::Ready { operation });
        assert!(chosen.as_mut().now_or_never().is_none());
        let prepared = outgoing(&node);
        assert!(matches!(prepared[..], [Frame::Prepared { .. }]), "{prepared:?}");
        hear(&node, Frame::Aborted { operation });
        hear(&node, Frame::Approach { channel, landings: 1 });
        let contents = Contents { anew: vec![operation], ..contents() };
        hear(&node, Frame::Land { channel, landings: 1, contents });
        drop(chosen.now_or_never().expect("there is room"));
        assert_eq!((sender.path(), receiver.recv().now_or_never()), (Path::Local, Some(Ok(1))));
        assert!(format!("{node:?}").contains("operations: 0"), "{node:?}");
    }

    /// A value that cannot be decoded keeps the channel where it was, for its receiver to hear so.
    #[test]
    fn a_value_that_cannot_be_decoded_keeps_a_channel_away() {
        let node = Node::new(|| ());
        let (sender, receiver, channel) = exported(&node);
        hear(&node, Frame::Approach { channel, landings: 1 });
        let bad = Parcel { codec: 99, ..Parcel::default() };
        let contents = Contents { values: vec![bad], ..contents() };
        hear(&node, Frame::Land { channel, landings: 1, contents });
        outgoing(&node);
        assert_eq!(sender.path(), Path::Relayed);
        assert_eq!(outgoing(&node), [Frame::Keep { channel, landings: 1 }]);
        drop(receiver);
        let detach = Frame::Detach { channel, side: Side::Receive, arrivals: 1 };
        assert_eq!(outgoing(&node), [detach]);
    }

    /// A handle that is about to leave keeps the channel away, at whatever point.
    #[test]
    fn a_handle_that_leaves_keeps_a_channel_away() {
        let node = Node::new(|| ());
        let (sender, _receiver, channel) = exported(&node);
        let parcel = transfer::pack(&node, &sender).expect("a handle travels");
        hear(&node, Frame::Approach { channel, landings: 1 });
        assert_eq!(outgoing(&node), [Frame::Keep { channel, landings: 1 }]);
        node.keep(&parcel);
        hear(&node, Frame::Approach { channel, landings: 2 });
        assert_eq!(outgoing(&node), [Frame::Cleared { channel, landings: 2 }]);
        let parcel = transfer::pack(&node, &sender).expect("a handle travels");
        hear(&node, Frame::Land { channel, landings: 2, contents: contents() });
        assert_eq!(sender.path(), Path::Relayed, "it is not taken over");
        assert_eq!(outgoing(&node), [Frame::Keep { channel, landings: 2 }]);
        node.keep(&parcel);
    }
}
