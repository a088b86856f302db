//! What a node may do on a relayed channel without asking: credits to send, and offers that came
//! ahead of its receives.
//!
//! Both are lent by the home, which calls them back when another session needs them. A send under a
//! credit returns at once, and its value leaves with the next batch. A receive that finds something
//! in stock takes it at once; the word that it was taken leaves before all that its task does next.
//!
//! Nothing is asked ahead for a receive that stands alone: only after several on this node, those
//! that were given up included, and after each recall later, does a receive say how many more
//! would be taken. From then on the *stock* is *open*, until it is recalled or the last receiver
//! goes: offers belong to the node, not to one receive. An offer whose receive was given up stays,
//! for the next one, so that the order stays; and a receive that asked, and was then served from
//! the stock, abandons what it asked for to the stock.
//!
//! Of a stream, most sends and receives need not even the lock of what is lent: credits, and a
//! piece of the stock, are lent on to what grows at the end of all that the node has to say
//! (`tail.rs`). Whoever takes the lock has all of it back first.
//!
//! **Invariant**: while something is in stock no receive of this node waits. All that changes the
//! stock, and says so to the home, happens under one lock, or that of a tail.
//!
//! Before a channel comes home to this process (see `settling.rs`) all goes back; and while it is
//! on its way nothing is lent or taken.
//!
//! When the last handle of a side goes, what was lent goes back before it; and so does what is on
//! its way then, though a handle may be here again when it comes. When this process dies
//! the home has everything: credits are void, and offers return to their places.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::id::{ChannelId, OperationId};
use crate::tail::Tail;
use crate::wire::{Frame, Parcel, Parcels, Side};

/// So many receives in a row on one node, and the next asks for offers ahead.
const PATIENCE: u32 = 2;
/// The same, on a channel where offers were recalled again and again.
const PATIENCE_MAX: u32 = 1024;
/// Nobody asks for more ahead.
const WINDOW_MAX: u32 = 4096;

/// What is lent to this node on one channel.
#[derive(Debug)]
pub(crate) struct Flow {
    channel: ChannelId,
    capacity: u32,
    lent: Mutex<Lent>,
}

#[derive(Debug, Default)]
pub(crate) struct Lent {
    credits: u32,
    /// Offers that no task has, oldest first.
    stock: VecDeque<Piece>,
    /// What uses the credits, and the stock, without asking; by [`Side`].
    tails: [Option<Arc<Tail>>; 2],
    /// Early offers below this number have come.
    seen: u64,
    is_open: bool,
    /// Receives that asked and have no answer.
    waiting: BTreeSet<OperationId>,
    /// Receives in a row.
    streak: u32,
    recalls: u32,
    /// Whether the node has no handle, by [`Side`].
    gone: [bool; 2],
    /// What the home lent when less `Detach` of this node had come may have been for handles that
    /// have left meanwhile: by [`Side`].
    since: [u64; 2],
}

/// A value offered to this node, by the name under which it is answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Stocked {
    pub(crate) name: Name,
    pub(crate) parcel: Parcel,
    /// For which time it is offered, from 1.
    pub(crate) attempt: u32,
    /// Its turn: offers come in the order of their values, whatever they are answers to.
    pub(crate) turn: u64,
}

/// Offers in a row; more than one only if they were made ahead.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    /// Of the first.
    pub(crate) name: Name,
    pub(crate) parcels: Parcels,
    pub(crate) attempt: u32,
    /// Of the first.
    pub(crate) turn: u64,
}

impl Piece {
    /// Takes the first out.
    fn take_first(&mut self) -> Option<Stocked> {
        let parcel = self.parcels.take_first()?;
        let Self { name, attempt, turn, .. } = *self;
        if let Name::Early(number) = &mut self.name {
            *number += 1;
        }
        self.turn += 1;
        Some(Stocked { name, parcel, attempt, turn })
    }
}

/// Offers made ahead, in a row.
#[derive(Debug)]
pub(crate) struct Early {
    /// The number of the first.
    pub(crate) first: u64,
    /// For which time each is offered, from 1.
    pub(crate) attempt: u32,
    pub(crate) parcels: Parcels,
}

/// How an offer is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// Made ahead, under a number.
    Early(u64),
    /// Made to a receive.
    Asked(OperationId),
}

impl Name {
    /// A task has the value.
    pub(crate) fn taken(self, channel: ChannelId) -> Frame {
        match self {
            Self::Early(first) => Frame::Took { channel, first, count: 1 },
            Self::Asked(operation) => Frame::Accept { channel, operation },
        }
    }

    /// A task has it on lease, under the operation that comes out.
    pub(crate) fn leased(self, channel: ChannelId, fresh: OperationId) -> (OperationId, Frame) {
        match self {
            Self::Early(number) => (fresh, Frame::LeaseEarly { channel, number, operation: fresh }),
            Self::Asked(operation) => (operation, Frame::Lease { channel, operation }),
        }
    }

    /// It goes back.
    pub(crate) fn untaken(self, channel: ChannelId) -> Frame {
        match self {
            Self::Early(first) => Frame::Untaken { channel, first, count: 1 },
            Self::Asked(operation) => Frame::Decline { channel, operation },
        }
    }
}

impl Flow {
    /// Nothing is lent yet.
    pub(crate) fn new(channel: ChannelId, capacity: u32, handles: [u32; 2]) -> Self {
        let lent = Lent { gone: handles.map(|count| count == 0), ..Lent::default() };
        Self { channel, capacity, lent: Mutex::new(lent) }
    }

    pub(crate) fn channel(&self) -> ChannelId {
        self.channel
    }

    /// All that is lent, also what a tail had of it, which grows no more.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Lent> {
        let mut lent = self.lent.lock();
        lent.call_in();
        lent
    }

    /// Whether there is a credit.
    pub(crate) fn has_credit(&self) -> bool {
        self.lock().credits > 0
    }

    /// A receive asks: what it says of the stock, which is empty.
    pub(crate) fn ask(&self, lent: &mut Lent, operation: OperationId) -> Option<Frame> {
        lent.waiting.insert(operation);
        let patience = (PATIENCE << lent.recalls.min(16)).min(PATIENCE_MAX);
        let may = lent.streak >= patience && self.capacity > 0;
        let window = if may { lent.streak.min(WINDOW_MAX) } else { 0 };
        lent.is_open |= may;
        let (channel, seen) = (self.channel, lent.seen);
        (may || seen > 0).then_some(Frame::Ahead { channel, window, seen })
    }

    /// Gives back what is left of the credits.
    pub(crate) fn repay(&self, lent: &mut Lent) -> Option<Frame> {
        let (channel, credits) = (self.channel, std::mem::take(&mut lent.credits));
        let detaches = u64::MAX;
        (credits > 0).then_some(Frame::Repay { channel, credits, detaches })
    }

    /// Closes the stock, and gives back what is in it.
    pub(crate) fn empty(&self, lent: &mut Lent) -> Vec<Frame> {
        lent.recalls = lent.recalls.saturating_add(1);
        self.close(lent)
    }

    /// Gives everything back, for the channel is to come here.
    pub(crate) fn give_all_back(&self, lent: &mut Lent) -> Vec<Frame> {
        let mut frames = self.close(lent);
        frames.extend(self.repay(lent));
        frames
    }

    fn close(&self, lent: &mut Lent) -> Vec<Frame> {
        lent.is_open = false;
        lent.streak = 0;
        let mut frames: Vec<Frame> = Vec::new();
        for Piece { name, parcels, .. } in lent.stock.drain(..) {
            let (channel, more) = (self.channel, parcels.len() as u32);
            if let (Some(Frame::Untaken { first, count, .. }), Name::Early(number)) =
                (frames.last_mut(), name)
                && *first + u64::from(*count) == number
            {
                *count += more;
            } else if let Name::Early(first) = name {
                frames.push(Frame::Untaken { channel, first, count: more });
            } else {
                frames.push(name.untaken(channel));
            }
        }
        frames
    }

    /// The last handle of a side goes: so does what was lent for it.
    pub(crate) fn leave(&self, lent: &mut Lent, side: Side) -> Vec<Frame> {
        lent.gone[side as usize] = true;
        match side {
            Side::Receive => self.empty(lent),
            Side::Send => self.repay(lent).into_iter().collect(),
        }
    }
}

impl Lent {
    /// Takes back what tails have.
    fn call_in(&mut self) {
        let [sends, takes] = &mut self.tails;
        if let Some(tail) = sends.take() {
            self.credits += tail.take_credits();
        }
        if let Some(tail) = takes.take() {
            let (taken, rest) = tail.take_stock();
            self.streak = self.streak.saturating_add(taken);
            rest.into_iter().for_each(|rest| self.stock.push_front(rest));
        }
    }

    /// Takes a credit for one send.
    pub(crate) fn spend(&mut self) -> bool {
        let may = self.credits > 0;
        self.credits -= u32::from(may);
        may
    }

    /// Lends what is left of the credits to a tail that begins with a value sent under one.
    pub(crate) fn lend_credits(&mut self, tail: impl FnOnce(u32) -> Arc<Tail>) -> Arc<Tail> {
        let tail = tail(std::mem::take(&mut self.credits));
        self.tails[Side::Send as usize] = Some(tail.clone());
        tail
    }

    /// Lends the first piece of the stock to a tail that begins with an early offer taken out of
    /// it, if more of the same piece follow and have no handles.
    pub(crate) fn lend_stock(
        &mut self,
        taken: Name,
        tail: impl FnOnce(u64, Piece) -> Arc<Tail>,
    ) -> Option<Arc<Tail>> {
        let Name::Early(first) = taken else { return None };
        let follows = |piece: &&mut Piece| {
            piece.name == Name::Early(first + 1) && piece.parcels.passages().is_empty()
        };
        self.stock.front_mut().filter(follows)?;
        let tail = tail(first, self.stock.pop_front()?);
        self.tails[Side::Receive as usize] = Some(tail.clone());
        Some(tail)
    }

    /// A handle of a side is here; so many `Detach` have left this node by now.
    pub(crate) fn arrive(&mut self, side: Side, detaches: u64) {
        if std::mem::replace(&mut self.gone[side as usize], false) {
            self.since[side as usize] = detaches;
        }
    }

    /// Whether what comes for a side was lent to handles that are here.
    pub(crate) fn may_use(&self, side: Side, detaches: u64) -> bool {
        self.has(side) && detaches >= self.since[side as usize]
    }

    /// The channel came home to this process.
    pub(crate) fn end(&mut self) {
        debug_assert!(self.credits == 0 && self.stock.is_empty(), "all went back before");
        *self = Self { gone: [true; 2], ..Self::default() };
    }

    /// Whether there is something to take.
    pub(crate) fn has_stock(&self) -> bool {
        !self.stock.is_empty()
    }

    /// Takes the oldest out of the stock.
    pub(crate) fn take(&mut self) -> Option<Stocked> {
        let first = self.stock.front_mut()?;
        let stocked = first.take_first()?;
        if first.parcels.is_empty() {
            self.stock.pop_front();
        }
        self.note_receive();
        Some(stocked)
    }

    /// A receive got its value, or would have.
    pub(crate) fn note_receive(&mut self) {
        self.streak = self.streak.saturating_add(1);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether there is a handle of a side.
    pub(crate) fn has(&self, side: Side) -> bool {
        !self.gone[side as usize]
    }

    pub(crate) fn add_credits(&mut self, credits: u32) {
        self.credits = self.credits.saturating_add(credits);
    }

    /// Early offers have come, the first of them at this turn.
    pub(crate) fn add_early(&mut self, early: Early, turn: u64) {
        let Early { first, attempt, parcels } = early;
        self.seen = first + parcels.len() as u64;
        if !parcels.is_empty() {
            self.stock.push_back(Piece { name: Name::Early(first), parcels, attempt, turn });
        }
    }

    /// An offer returns to the stock, at its old place.
    pub(crate) fn put_back(&mut self, stocked: Stocked) {
        let Stocked { name, parcel, attempt, turn } = stocked;
        let at = self.stock.partition_point(|other| other.turn < turn);
        self.stock.insert(at, Piece { name, parcels: parcel.into(), attempt, turn });
    }

    /// A receive has its answer, or is given up.
    pub(crate) fn stop_waiting(&mut self, operation: OperationId) {
        self.waiting.remove(&operation);
    }

    /// As if a receive that has its answer still waited.
    #[cfg(test)]
    pub(crate) fn wait_again(&mut self, operation: OperationId) {
        self.waiting.insert(operation);
    }

    /// The receive that has waited longest.
    pub(crate) fn first_waiting(&self) -> Option<OperationId> {
        self.waiting.first().copied()
    }
}
