//! What a node may do on a relayed channel without asking: credits to send, and offers that came
//! ahead of its receives.
//!
//! Both are lent by the home, which calls them back when another session needs them. A send under a
//! credit returns at once, and its value leaves with the next batch. A receive that finds an early
//! offer takes it at once; the word that it was taken leaves before whatever its task does next.
//!
//! Nothing is asked ahead for a receive that stands alone: only after several on this node, and
//! after each recall later, does a receive say how many more would be taken. When the last handle
//! of a side goes, what was lent goes back before it. When this process dies the home has
//! everything: credits are void, and early offers return to their places.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::id::ChannelId;
use crate::wire::{Frame, Parcel, Side};

/// So many receives in a row on one node, and the next asks for offers ahead.
const PATIENCE: u32 = 2;
/// The same, on a channel where offers were recalled again and again.
const PATIENCE_MAX: u32 = 1024;
/// Nobody asks for more ahead.
const WINDOW_MAX: u32 = 4096;

/// What is lent to this node on one channel.
#[derive(Debug, Default)]
pub(crate) struct Flow(Mutex<Lent>);

#[derive(Debug, Default)]
struct Lent {
    credits: u32,
    /// Early offers that no task has, oldest first, by number.
    early: VecDeque<(u64, Parcel)>,
    /// Early offers below this number have come.
    seen: u64,
    /// Receives in a row.
    streak: u32,
    recalls: u32,
    /// Whether the node has no handle, by [`Side`].
    gone: [bool; 2],
}

impl Flow {
    /// Takes a credit for one send.
    pub(crate) fn spend(&self) -> bool {
        let mut lent = self.0.lock();
        let may = lent.credits > 0;
        lent.credits -= u32::from(may);
        may
    }

    /// Whether there is a credit.
    pub(crate) fn has_credit(&self) -> bool {
        self.0.lock().credits > 0
    }

    /// Takes the oldest early offer.
    pub(crate) fn take(&self) -> Option<(u64, Parcel)> {
        let mut lent = self.0.lock();
        let early = lent.early.pop_front()?;
        lent.streak = lent.streak.saturating_add(1);
        Some(early)
    }

    /// A receive that asked got its value.
    pub(crate) fn note_receive(&self) {
        let mut lent = self.0.lock();
        lent.streak = lent.streak.saturating_add(1);
    }

    /// Takes the oldest early offer; or says what a receive asks for besides its value, which is so
    /// many ahead. At one moment: what comes later is known to be unseen.
    pub(crate) fn take_or_ask(&self, channel: ChannelId) -> Result<(u64, Parcel), Option<Frame>> {
        let mut lent = self.0.lock();
        if let Some(early) = lent.early.pop_front() {
            lent.streak = lent.streak.saturating_add(1);
            return Ok(early);
        }
        let patience = (PATIENCE << lent.recalls.min(16)).min(PATIENCE_MAX);
        let window = if lent.streak < patience { 0 } else { lent.streak.min(WINDOW_MAX) };
        let seen = lent.seen;
        Err((window > 0 || seen > 0).then_some(Frame::Ahead { channel, window, seen }))
    }

    /// Credits come. If nobody can use them they go back.
    pub(crate) fn on_credit(&self, channel: ChannelId, credits: u32) -> Option<Frame> {
        let mut lent = self.0.lock();
        if lent.gone[Side::Send as usize] {
            return Some(Frame::Repay { channel, credits });
        }
        lent.credits = lent.credits.saturating_add(credits);
        None
    }

    /// Early offers come. If nobody can use them they go back.
    pub(crate) fn on_early(
        &self,
        channel: ChannelId,
        first: u64,
        parcels: Vec<Parcel>,
    ) -> Option<Frame> {
        let mut lent = self.0.lock();
        if lent.gone[Side::Receive as usize] {
            return Some(untaken(channel, first, parcels.len()));
        }
        lent.seen = first + parcels.len() as u64;
        lent.early.extend((first..).zip(parcels));
        None
    }

    /// Gives back what is left of the credits.
    pub(crate) fn repay(&self, channel: ChannelId) -> Option<Frame> {
        let credits = std::mem::take(&mut self.0.lock().credits);
        (credits > 0).then_some(Frame::Repay { channel, credits })
    }

    /// Gives back the early offers that no task has.
    pub(crate) fn on_recall(&self, channel: ChannelId) -> Vec<Frame> {
        let mut lent = self.0.lock();
        lent.streak = 0;
        lent.recalls = lent.recalls.saturating_add(1);
        lent.clear(channel)
    }

    /// A handle of a side is here.
    pub(crate) fn arrive(&self, side: Side) {
        self.0.lock().gone[side as usize] = false;
    }

    /// The last handle of a side goes: so does what was lent for it.
    pub(crate) fn leave(&self, channel: ChannelId, side: Side) -> Vec<Frame> {
        let mut lent = self.0.lock();
        lent.gone[side as usize] = true;
        match side {
            Side::Receive => lent.clear(channel),
            Side::Send => {
                let credits = std::mem::take(&mut lent.credits);
                let repay = (credits > 0).then_some(Frame::Repay { channel, credits });
                repay.into_iter().collect()
            }
        }
    }
}

impl Lent {
    /// Takes the early offers out, as answers to the home.
    fn clear(&mut self, channel: ChannelId) -> Vec<Frame> {
        let mut runs: Vec<(u64, usize)> = Vec::new();
        for (number, _) in self.early.drain(..) {
            match runs.last_mut() {
                Some((first, count)) if *first + *count as u64 == number => *count += 1,
                _ => runs.push((number, 1)),
            }
        }
        runs.into_iter().map(|(first, count)| untaken(channel, first, count)).collect()
    }
}

fn untaken(channel: ChannelId, first: u64, count: usize) -> Frame {
    Frame::Untaken { channel, first, count: count as u32 }
}
