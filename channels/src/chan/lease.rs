//! Values that are in somebody's hands and still the channel's, until they are acknowledged.
//!
//! A value is leased when it is taken, so its send has ended; it counts against the capacity until
//! the lease ends, and the channel is not drained before. *Acknowledged*, it is gone. *Returned*,
//! it stands at its old place again, in front of all that are younger, and is leased the next time
//! with a number one higher.
//!
//! At a home that offers, a lease is an offer that may last: the value stays here, and returns if
//! its holder dies. In a process the value itself is lent, and known here by its age; the holder
//! brings it back.

use super::{Aside, Chan, Effect, Offer, Received, Source, Turn, Waiter};
use crate::line::Place;

/// A value on lease, in a process.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease<M> {
    /// The value.
    pub message: M,
    /// What the channel calls it.
    pub age: u64,
    /// For which time it is leased, from 1.
    pub attempt: u32,
}

impl<M, W: Waiter> Chan<M, W> {
    /// Whether a value is in somebody's hands that may come back.
    pub fn has_leases(&self) -> bool {
        let aside = self.aside.as_ref();
        aside.is_some_and(|aside| aside.leased_offers > 0 || !aside.leases.is_empty())
    }

    /// Whether no value is on offer, and none on lease.
    pub(super) fn has_nothing_out(&self) -> bool {
        let has_none = |aside: &Aside<M, W>| aside.leases.is_empty() && aside.passing == 0;
        self.offers.is_empty() && self.aside.as_deref().is_none_or(has_none)
    }

    /// An offered value is in somebody's hands: its send ends. For a home that offers. False if
    /// nothing is on offer there, or it is leased already.
    pub fn lease(&mut self, receive: Place, effect: &mut impl FnMut(Effect<W>)) -> bool {
        let Some(offer) = self.offers.at(receive).filter(|offer| !offer.is_leased()) else {
            return false;
        };
        if let Source::Ended(age) = offer.source {
            offer.source = Source::Leased(age);
        } else {
            let mut source = Source::Orphan;
            std::mem::swap(&mut offer.source, &mut source);
            let age = match source {
                Source::Waits(place, _) => self.age_in_line(place),
                _ => self.next_age(),
            };
            if let Some(offer) = self.offers.at(receive) {
                offer.source = Source::Leased(age);
            }
            self.apart += 1;
            if let Source::Waits(place, kept) = source
                && let Some(waiter) = W::kept(&kept)
            {
                effect(Effect { waiter, place, turn: Turn::Sent });
            }
        }
        self.aside().leased_offers += 1;
        true
    }

    /// The age of a value on offer whose send waits at a place and ends now. Those on offer from
    /// places before it are older, though their sends may end later.
    fn age_in_line(&mut self, place: Place) -> u64 {
        self.reserve_ages(|other| other < place);
        self.ended_age(place)
    }

    /// Values on offer whose sends wait at such places are older than what comes now.
    pub(super) fn reserve_ages(&mut self, is_such: impl Fn(Place) -> bool) {
        let before = self.offers.iter().filter_map(|(_, offer)| match offer.source {
            Source::Waits(other, _) if is_such(other) => Some(other),
            _ => None,
        });
        let mut before: Vec<Place> = before.collect();
        before.sort_unstable();
        for other in before {
            if !self.aside().reserved.contains_key(&other) {
                let age = self.next_age();
                self.aside().reserved.insert(other, age);
            }
        }
    }

    /// The age of a value whose send, which waited at a place, ends now.
    pub(super) fn ended_age(&mut self, place: Place) -> u64 {
        let reserved = self.aside.as_mut().and_then(|aside| aside.reserved.remove(&place));
        reserved.unwrap_or_else(|| self.next_age())
    }

    /// The age of a value whose send ends now, and which is not in the buffer.
    fn next_age(&mut self) -> u64 {
        self.lay_buffer_aside();
        self.ended_sends += 1;
        self.ended_sends - 1
    }

    /// An offer is answered.
    pub(super) fn note_lease_end(&mut self, offer: &Offer<M, W::Kept>) {
        if offer.is_leased() {
            self.aside().leased_offers -= 1;
        }
    }

    /// Takes the next value on lease, if one is there. In a process.
    pub fn receive_leased(&mut self, effect: &mut impl FnMut(Effect<W>)) -> Received<Lease<M>> {
        let Some((message, source)) = self.next_to_take(effect) else {
            self.rest();
            return match self.ended() {
                Some(end) if self.has_nothing_out() => Received::Ended(end.clone()),
                _ => Received::Empty,
            };
        };
        let age = self.end_send(source, effect);
        Received::Message(self.lend(message, age))
    }

    /// Takes the value that lies ready for a receive, on lease. In a process.
    pub fn accept_leased(
        &mut self,
        receive: Place,
        effect: &mut impl FnMut(Effect<W>),
    ) -> Option<Lease<M>> {
        let mut offer = self.offers.leave(receive)?;
        self.take_oldest(&mut offer);
        let age = match offer.source {
            Source::Ended(age) => age,
            Source::Leased(_) | Source::Waits(..) | Source::Orphan => return None,
        };
        let lease = self.lend(offer.message, age);
        self.match_up(effect);
        Some(lease)
    }

    fn lend(&mut self, message: M, age: u64) -> Lease<M> {
        self.apart += 1;
        let aside = self.aside();
        let attempt = aside.attempts.remove(&age).unwrap_or(0).saturating_add(1);
        aside.leases.insert(age, attempt);
        self.hold_up();
        Lease { message, age, attempt }
    }

    /// A lease ends: the value is gone.
    pub fn end_lease(&mut self, age: u64, effect: &mut impl FnMut(Effect<W>)) {
        if self.aside().leases.remove(&age).is_some() {
            self.apart -= 1;
        }
        self.settle(effect);
        self.match_up(effect);
        self.go_on(effect);
    }

    /// A lease ends: the value returns to its old place.
    pub fn return_lease(&mut self, age: u64, message: M, effect: &mut impl FnMut(Effect<W>)) {
        let Some(attempt) = self.aside().leases.remove(&age) else { return };
        self.aside().attempts.insert(age, attempt);
        self.aside().returned.insert(age, message);
        self.match_up(effect);
        self.go_on(effect);
    }

    /// A value that was leased in the process that the channel leaves, and is to keep its place
    /// among those that are restored. Nothing of it is here but `message`, which stands for it.
    pub fn restore_leased(&mut self, message: M, waiter: W) -> Place {
        self.lay_buffer_aside();
        let (place, receive) = (self.places.allot(), waiter.keep());
        let source = Source::Leased(self.ended_sends);
        self.ended_sends += 1;
        self.apart += 1;
        self.aside().leased_offers += 1;
        self.offers.restore(place, Offer { message, source, receive });
        place
    }

    /// The buffer holds the youngest, and something younger comes that is not for it.
    fn lay_buffer_aside(&mut self) {
        while let Some(message) = self.buffer.pop_front() {
            let age = self.ended_sends - 1 - self.buffer.len() as u64;
            self.apart += 1;
            self.aside().returned.insert(age, message);
        }
    }

    /// A value is taken for good.
    #[inline]
    pub(super) fn forget_attempts<K>(&mut self, source: &Source<K>) {
        match (&mut self.aside, source) {
            (Some(aside), Source::Ended(age)) => drop(aside.attempts.remove(age)),
            (Some(aside), Source::Waits(place, _)) => drop(aside.reserved.remove(place)),
            _ => {}
        }
    }
}

impl<M, K> Offer<M, K> {
    fn is_leased(&self) -> bool {
        matches!(self.source, Source::Leased(_))
    }
}
