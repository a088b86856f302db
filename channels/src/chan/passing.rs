//! Values that pass through a home without stopping: sent, and in the same moment on offer to a
//! session that keeps receiving. Whoever runs the home keeps them, many in one piece; the channel
//! knows their number and, by the age of the first, their places.
//!
//! They are on offer like any others: they count against the capacity until they are taken, the
//! channel is not drained before, and those that come back go to their old places. Each is
//! *passing* -> gone, or back among those that returned, or an offer of its own.

use super::{Aside, Chan, Effect, Offer, Source, Waiter};
use crate::line::Place;

impl<M, W: Waiter> Chan<M, W> {
    /// How many values may pass now, if no more than so many come: none unless the channel is open
    /// and nobody and nothing waits in it.
    pub fn passable(&self, count: usize) -> usize {
        let nothing_waits = self.buffer.is_empty() && self.receives.is_empty();
        let may = !W::TAKES
            && nothing_waits
            && self.sends.is_empty()
            && self.offers.len() <= self.ended_offers()
            && self.aside.as_deref().is_none_or(Aside::lets_pass);
        let room = self.capacity().saturating_sub(self.len() + self.kept());
        if may { count.min(room) } else { 0 }
    }

    /// So many values pass, which may. The age of the first comes out; the others follow it.
    pub fn pass(&mut self, count: usize) -> u64 {
        let first = self.ended_sends;
        self.ended_sends += count as u64;
        self.apart += count as u32;
        self.aside().passing += count as u32;
        first
    }

    /// So many that passed were taken.
    pub fn end_passing(&mut self, count: usize, effect: &mut impl FnMut(Effect<W>)) {
        self.apart -= count as u32;
        self.aside().passing -= count as u32;
        self.match_up(effect);
    }

    /// Values that passed, the first of this age, return to their places. Whoever waits for them
    /// gets them when something else is done, or by [`Chan::hand_out`].
    pub fn return_passing(&mut self, first: u64, messages: impl IntoIterator<Item = M>) {
        let aside = self.aside();
        for (age, message) in (first..).zip(messages) {
            aside.passing -= 1;
            aside.returned.insert(age, message);
        }
    }

    /// Whoever waits gets what returned.
    pub fn hand_out(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        self.match_up(effect);
    }

    /// One that passed is an offer of its own from now on.
    pub fn detain_passing(&mut self, age: u64, message: M, waiter: &W) -> Place {
        self.aside().passing -= 1;
        let (place, receive) = (self.places.allot(), waiter.keep());
        self.offers.restore(place, Offer { message, source: Source::Ended(age), receive });
        place
    }
}

impl<M, W: Waiter> Chan<M, W> {
    /// Whether it counts as full, however few its values are.
    #[inline]
    pub fn is_stuffed(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.is_stuffed)
    }

    /// Its values have become too large to hold more, or are so no longer.
    pub fn set_stuffed(&mut self, is_stuffed: bool, effect: &mut impl FnMut(Effect<W>)) {
        if self.is_stuffed() != is_stuffed {
            self.aside().is_stuffed = is_stuffed;
            self.match_up(effect);
        }
    }
}

impl<M, W> Aside<M, W> {
    fn lets_pass(&self) -> bool {
        let has_values = !self.returned.is_empty() || self.kept > 0 || self.barrier.is_some();
        self.end.is_none() && !self.is_strict && !has_values
    }
}
