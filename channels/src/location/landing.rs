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

use super::{LANDINGS_SHIFT, Location, Relayed, Shared};
use crate::chan::Chan;
use crate::claim::{Waiting, Wakes};
use crate::handle::Message;
use crate::id::{ChannelId, OperationId};
use crate::line::Place;
use crate::node::Node;
use crate::transfer::Undelivered;
use crate::wire::Contents;

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
        self.note_landings(landings);
        core.location = Location::Local(chan);
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
