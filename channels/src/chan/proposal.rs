//! Sends of selects at a home that offers: they stand in line without a value, and what they would
//! meet is kept for them until their select has decided.
//!
//! The line itself is the home's; here are the places in it, and what is kept: *room* in the
//! buffer, or a *receive*, which leaves its line and returns to its place, or gets the value.

use super::{Chan, Effect, Source, Waiter};
use crate::line::Place;

impl<M, W: Waiter> Chan<M, W> {
    /// A place behind all who wait.
    pub fn allot_place(&mut self) -> Place {
        self.places.allot()
    }

    /// From which place on sends that wait let a select go first.
    pub fn set_barrier(&mut self, barrier: Option<Place>, effect: &mut impl FnMut(Effect<W>)) {
        let has_moved = self.barrier() != barrier;
        if has_moved {
            self.aside().barrier = barrier;
        }
        if has_moved && !self.sends.is_empty() && !self.is_full() {
            self.match_up(effect);
        }
    }

    /// Whether sends that wait let a select go first.
    pub fn has_barrier(&self) -> bool {
        self.barrier().is_some()
    }

    fn barrier(&self) -> Option<Place> {
        self.aside.as_ref()?.barrier
    }

    pub(super) fn kept(&self) -> usize {
        self.aside.as_ref().map_or(0, |aside| aside.kept as usize)
    }

    pub(super) fn is_next_before_barrier(&self) -> bool {
        let Some(barrier) = self.barrier() else { return true };
        self.sends.front().is_none_or(|(place, _)| place < barrier)
    }

    /// Whether a select at this place would go before all sends that wait.
    pub fn is_before_sends(&self, place: Place) -> bool {
        self.sends.front().is_none_or(|(first, _)| place < first)
    }

    /// Keeps a free place of the buffer.
    pub fn keep_room(&mut self) {
        self.aside().kept += 1;
    }

    /// A place of the buffer is kept no longer.
    pub fn free_room(&mut self, effect: &mut impl FnMut(Effect<W>)) {
        self.spend_room();
        self.match_up(effect);
    }

    /// A place of the buffer that was kept is about to be filled.
    pub fn spend_room(&mut self) {
        self.aside().kept -= 1;
    }

    /// Takes such a receive that waits out of its line, to be kept for a send.
    pub fn keep_receive(&mut self, may: impl Fn(&W) -> bool) -> Option<(Place, W)> {
        if self.is_held_up() {
            return None;
        }
        let (place, _) = self.receives.iter().find(|(_, waiter)| may(waiter))?;
        Some((place, self.receives.leave(place)?))
    }

    /// A receive that was kept waits again, at its place.
    pub fn free_receive(&mut self, place: Place, waiter: W, effect: &mut impl FnMut(Effect<W>)) {
        self.receives.restore(place, waiter);
        self.match_up(effect);
    }

    /// The value of a send comes that had its place in line without one. Those that were offered
    /// past it meanwhile are older.
    pub fn let_older_first(&mut self) {
        self.reserve_ages(|_| true);
    }

    /// Offers the value of a send that has waited at `place` to a receive that was kept for it.
    pub fn offer_kept(
        &mut self,
        (place, sender): (Place, W),
        message: M,
        (receive, receiver): (Place, W),
        effect: &mut impl FnMut(Effect<W>),
    ) {
        debug_assert!(!self.has_ended_values(), "a receive takes what was sent before");
        self.let_older_first();
        self.hand(receive, receiver, message, Source::Waits(place, sender), effect);
        // There may be room by now: then the send ends, before a younger one goes into the buffer.
        self.match_up(effect);
    }

    /// Whether there is no room but for so many who need not ask.
    pub fn is_full_with(&self, credits: usize) -> bool {
        self.len() + self.kept() + credits >= self.capacity() || self.is_stuffed()
    }

    /// Whether a receive that comes would get the value of a send that waits, or nothing.
    pub fn has_only_sends(&self) -> bool {
        !self.has_ended_values() && !self.is_held_up()
    }

    /// Whether a send waits at a place.
    pub fn is_waiting(&mut self, send: Place) -> bool {
        self.sends.at(send).is_some()
    }
}
