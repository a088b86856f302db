//! What a case of a select on a relayed channel can do at once, without a word of the home: take
//! what was offered ahead, or send under a credit. So it is as likely to be chosen as a case of a
//! channel that is here (contract D7).
//!
//! A select whose other cases are always ready never asks the home for anything; so a receive that
//! has looked in vain time and again asks for offers ahead, and does not wait for them. A receive
//! from a rendezvous elsewhere, and a send without credits, have no such way: they go when no case
//! here is ready.

use super::error::{RecvError, SendError};
use super::receive::{ReceiveOperation, unpack};
use super::send::{SendOperation, Step};
use crate::handle::Message;
use crate::location::{Core, Location};
use crate::lock::Guard;
use crate::transfer;

impl ReceiveOperation {
    /// Receives what was offered ahead, if the channel is elsewhere and there is something.
    #[cold]
    pub(crate) fn attempt_away<T: Message>(
        &mut self,
        core: Guard<'_, Core<T>>,
    ) -> Option<Result<T, RecvError>> {
        let Location::Relayed(relayed) = &core.location else { return None };
        let (node, flow) = (relayed.node.clone(), relayed.flow.clone());
        drop(core);
        let parcel = node.glance(&flow)?;
        *self = Self::Done;
        Some(unpack(&node, parcel))
    }
}

impl<T: Message> SendOperation<T> {
    /// Sends under a credit, if the channel is elsewhere and there is one.
    #[cold]
    pub(crate) fn attempt_away(
        &mut self,
        core: Guard<'_, Core<T>>,
    ) -> Option<Result<(), SendError<T>>> {
        let Location::Relayed(relayed) = &core.location else { return None };
        if !relayed.flow.has_credit() || !matches!(self.step, Step::New) {
            return None;
        }
        let (node, flow) = (relayed.node.clone(), relayed.flow.clone());
        drop(core);
        let value = self.keep();
        let parcel = match transfer::pack(&node, &value) {
            Ok(parcel) => parcel,
            Err(error) => {
                self.step = Step::Done;
                return Some(Err(SendError::Unsendable(value, error.to_string())));
            }
        };
        match node.send_prepaid(&flow, parcel) {
            Ok(()) => {
                self.step = Step::Done;
                Some(Ok(()))
            }
            Err(parcel) => {
                node.keep(&parcel);
                self.value = Some(value);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    use crate::id::ChannelId;
    use crate::node::Node;
    use crate::transfer;
    use crate::wire::{BatchWriter, Envelope, Frame, Parcel, read_batch};
    use crate::{Receiver, Select, Sender, channel};

    const SELECTS: u32 = 400;

    /// The ends of a channel that has left, and its name.
    fn exported(node: &Arc<Node>) -> (Sender<u8>, Receiver<u8>, ChannelId) {
        let (sender, receiver) = channel(4);
        let parcel = transfer::pack(node, &sender).expect("a handle travels");
        let channel = parcel.passages[0].channel;
        node.keep(&parcel);
        outgoing(node);
        (sender, receiver, channel)
    }

    fn outgoing(node: &Node) -> Vec<Frame> {
        let mut batch = BatchWriter::default();
        node.take_outgoing(&mut batch);
        let envelope = Envelope { epoch: 0, sequence: 1, acknowledged: 0 };
        read_batch(batch.finish(envelope)).expect("a node writes frames").1
    }

    fn parcel(node: &Arc<Node>, number: u8) -> Parcel {
        transfer::pack(node, &number).expect("a number travels")
    }

    #[test]
    fn a_receive_from_elsewhere_is_chosen_as_often_as_one_that_is_always_ready() {
        let node = Node::new(|| ());
        let (_sender, away, channel_away) = exported(&node);
        let (filler, here) = channel::<u8>(1);
        let (mut window, mut first, mut from_away) = (0, 0, 0);
        for _ in 0..SELECTS {
            let _may_be_full = filler.try_send(0).now_or_never();
            let mut select = Select::new();
            select.recv(&away);
            select.recv(&here);
            let mut chosen = select.wait().now_or_never().expect("one is always ready");
            if chosen.index() == 0 {
                from_away += 1;
                assert_eq!(chosen.received(&away), Ok(1));
            } else {
                assert_eq!(chosen.received(&here), Ok(0));
            }
            drop(chosen);
            // The home offers as much ahead as it is asked for.
            for frame in outgoing(&node) {
                match frame {
                    Frame::Ahead { window: more, .. } => window = more,
                    Frame::Took { count, .. } => window += count,
                    other => panic!("nothing else is said: {other}"),
                }
            }
            let parcels: Vec<Parcel> = (0..window).map(|_| parcel(&node, 1)).collect();
            if window > 0 {
                let count = u64::from(window);
                let early =
                    Frame::Early { channel: channel_away, first, detaches: 0, attempt: 1, parcels };
                assert_eq!(node.receive(early), None);
                (window, first) = (0, first + count);
            }
        }
        assert!(from_away > SELECTS / 4 && from_away < SELECTS * 3 / 4, "{from_away}");
    }

    #[test]
    fn a_send_under_a_credit_is_chosen_as_often_as_one_that_is_always_ready() {
        let node = Node::new(|| ());
        let (away, _receiver, channel_away) = exported(&node);
        let (here, emptier) = channel::<u8>(1);
        let mut sent = 0;
        for number in 0..SELECTS {
            let credit = Frame::Credit { channel: channel_away, credits: 1, detaches: 0 };
            assert_eq!(node.receive(credit), None);
            let mut select = Select::new();
            select.send(&away, number as u8);
            select.send(&here, number as u8);
            let mut chosen = select.wait().now_or_never().expect("one is always ready");
            if chosen.index() == 0 {
                sent += 1;
                assert_eq!(chosen.sent(&away), Ok(()));
            } else {
                assert_eq!(chosen.sent(&here), Ok(()));
            }
            drop(chosen);
            let _may_be_empty = emptier.try_recv().now_or_never();
        }
        let prepaid = outgoing(&node).into_iter().map(|frame| match frame {
            Frame::Prepaid { parcels, .. } => parcels.len() as u32,
            other => panic!("nothing else is said: {other}"),
        });
        assert_eq!(prepaid.sum::<u32>(), sent);
        assert!(sent > SELECTS / 4 && sent < SELECTS * 3 / 4, "{sent}");
    }
}
